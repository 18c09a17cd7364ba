"""Poison: records that are bad in every way that came to mind, and a few that only look bad.

Invariant: those that become events all the same have an id of their own. Neighbours: `stream` hands them out;
`judge_records` says which are which.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import orjson

AT = 1_704_067_200_000
DEEP = 100


def bad_record(number: int, pick: random.Random) -> bytes:
    """Write one of the ordinary bad records: not JSON, no time, wrong types."""
    name = b'{"id": "b%d"' % number
    return pick.choice(
        [
            name,
            b"\xff\xfe" + name,
            name + b"}",
            name + b', "at": "noon"}',
            name + b', "at": %d, "user": {"id": 1}}' % AT,
            name + b', "at": [%d], "user": "u1"}' % AT,
            b'{"at": %d, "user": "u%d"}' % (AT, number),
            name + b', "at": %d, "user": "u1", "site": "x.example", "role": ["owner"]}' % AT,
        ]
    )


class Poison:
    """Hands out one sort after the other, in a shuffled order that is new every time around."""

    def __init__(self, pick: random.Random) -> None:
        """Start with the first shuffle."""
        self._pick = pick
        self._made = 0
        self._waiting: list[Callable[[int], bytes]] = []

    def next(self) -> bytes:
        """Write the next one."""
        if not self._waiting:
            self._waiting = list(SORTS)
            self._pick.shuffle(self._waiting)
        self._made += 1
        return self._waiting.pop()(self._made)


def _said(number: int, **fields: object) -> bytes:
    """Write a record that is right but for the fields given."""
    return orjson.dumps({"id": f"p{number}", "at": AT + number, "user": f"poisoned{number}"} | fields)


def _text(number: int, fields: str) -> bytes:
    """Write a record with fields that no serialiser would write."""
    return f'{{"id": "p{number}", "at": {AT}, "user": "poisoned{number}", {fields}}}'.encode()


def _fixed(value: bytes) -> Callable[[int], bytes]:
    return lambda _: value


def _with(**fields: object) -> Callable[[int], bytes]:
    return lambda number: _said(number, **fields)


def _with_text(fields: str) -> Callable[[int], bytes]:
    return lambda number: _text(number, fields)


def _cut(number: int) -> bytes:
    return _said(number, plan="free")[:-3]


def _deep_trait(number: int, levels: int) -> bytes:
    return _text(number, '"plan": ' + "[" * levels + "]" * levels)


def _many_devices(number: int, count: int) -> bytes:
    return _said(number, devices=[f"p{number}-{one}" for one in range(count)])


def _numbers_for_text(number: int) -> bytes:
    devices: list[Any] = [number + 0.5, -(number**3), True, None, [[f"in a list {number}"]]]
    return orjson.dumps({"id": 900_000_000 + number, "at": AT, "user": 7_000_000 + number, "devices": devices, "stage": 3, "plan": 1e300})


def _unreadable_times() -> list[Callable[[int], bytes]]:
    absurd: list[object] = [
        1e30, -1e30, -1, -(10**15), 253_402_300_800_000, True, [], {}, "", " ", "soon", "2024-13-01T00:00:00Z",
        "2024-01-01T25:00:00Z", "9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z", 4_102_444_800, None,
    ]  # fmt: skip
    return [_with(at=one) for one in absurd]


SORTS: list[Callable[[int], bytes]] = [
    _fixed(b""),
    _fixed(b" "),
    _fixed(b"\0" * 64),
    _fixed(b"null"),
    _fixed(b"[]"),
    _fixed(b"{}"),
    _fixed(b'"text"'),
    _fixed(b"12"),
    _fixed(b"NaN"),
    _fixed(b"\x80\x81"),
    _fixed(b"[" * 100_000),
    _fixed(b'{"a":' * 5_000),
    _fixed(b"\x1f\x8b\x08\x00"),
    _cut,
    lambda number: _said(number) + b"}",
    lambda number: _said(number) + _said(number),
    lambda number: _said(number).decode().encode("utf-16"),
    lambda number: b"\xef\xbb\xbf" + _said(number),
    lambda number: _said(number, plan="ZZ").replace(b"ZZ", b"\xc3\x28"),
    lambda number: _deep_trait(number, DEEP - 1),
    lambda number: _deep_trait(number, DEEP),
    lambda number: _deep_trait(number, 20_000),
    lambda number: _said(number, plan="x" * 1_100_000),
    lambda number: _said(number, plan="x" * 100_000),
    lambda number: _said(number, user="u" * 513 + str(number)),
    lambda number: _said(number, email=f"{'long' * 5_000}{number}@x.example"),
    lambda number: _many_devices(number, 150),
    lambda number: _many_devices(number, 201),
    lambda number: _many_devices(number, 20_000),
    lambda number: _said(number, user=f"nul\0{number}", email=f"\0{number}@x.example", plan="\0"),
    lambda number: _said(number, user=f"\u202e{number}\U0001f47b", site=f"b\u00fccher{number}.example"),
    _with(user="", email="  ", devices=["", None, [], True]),
    _with(user="null", email="N/A", devices=["0000", "undefined"]),
    _with(user=[], email=None, site=" ", account=[]),
    _numbers_for_text,
    _with(id={"is": "an object"}),
    _with(id=""),
    _with(id=None),
    _with(user={"id": 1}),
    _with(devices=[["a"], {"b": 1}]),
    _with(site="x.example", role={"name": "owner"}),
    _with(stage=["lead", {"a": 1}]),
    _with_text('"plan": "\\ud800"'),
    _with_text('"user": "\\udfff\\ud800"'),
    _with_text('"unread": "\\ud83d"'),
    _with_text('"plan": NaN'),
    _with_text('"plan": -Infinity'),
    _with_text('"plan": 1e999'),
    _with_text(f'"plan": {10**30}'),
    _with_text('"plan": 1' + "0" * 5_000),
    _with_text(f'"user": {10**40}'),
    _with_text('"plan": 01'),
    _with_text('"plan": "a\nb"'),
    _with_text('"plan": "\x00"'),
    _with_text('"plan": "free",'),
    _with_text("'plan': 1"),
    _with_text('"plan": "free", "plan": "paid"'),
    *_unreadable_times(),
]
