"""Composing the rounds that Redis gives; where states are derived of those whom memberships connect, these are read in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from time import perf_counter
from typing import Any, Protocol, cast

from resolvers.carried import Around, Counterpart
from resolvers.compose import compose
from resolvers.entity import EntityView
from resolvers.folds import counterpart
from resolvers.port import OutputRecord, Remembered
from resolvers.redis_rows import Rows, entity_type_of, pack, read_membership, unpack
from resolvers.round_order import in_order
from resolvers.rules import Rules
from resolvers.scripts import Reply
from resolvers.told_states import histories_told

AT_ONCE = 100
"""Output keys whose documents are composed without a pause: some milliseconds."""

AROUND_AT_ONCE = 500
"""After so many of those around entities one call reads no further entity."""

MOST_REST_MS = 60_000
"""However long it took to tell an entity, it is told again after so long."""

NOBODY: tuple[str, str] = ("", "")


class Call(Protocol):
    """Runs a script of the space."""

    def __call__(self, command: str, /, *arguments: bytes | str | int) -> Awaitable[tuple[Reply, list[Any]]]:
        """Give the word and the rest of its reply."""


async def composed(
    call: Call, rules: Rules, reader: Rows, rows: Sequence[list[Any]], now: int, patience: int
) -> tuple[tuple[OutputRecord, ...], tuple[Remembered, ...]]:
    """Compose a round's records, and let others have their turn in between: they keep Redis and Kafka busy meanwhile.

    An entity of very many observations rests for `patience` times as long as that took, before a round tells it again.
    """
    records: list[OutputRecord] = []
    remembered: list[Remembered] = []
    for at in range(0, len(rows), AT_ONCE):
        some = rows[at : at + AT_ONCE]
        living = [(row[1], row[5][1]) for row in some if row[0] == b"e" and row[5][0] == b"living"]
        around = await around_of(call, rules, living)
        for row in some:
            if row[0] != b"e" or row[5][0] != b"living" or not isinstance(row[5][10], bytes):
                records += compose(reader, (row,), now, around, remembered)
                continue
            begun, before = perf_counter(), len(remembered)
            row[5][10] = await observations_of(call, row[1], row[5])
            records += compose(reader, (row,), now, around, remembered)
            rests = min(MOST_REST_MS, int(patience * 1_000 * (perf_counter() - begun)))
            if len(remembered) > before:  # else nothing was observed after all
                remembered[-1] = cast("Remembered", (*remembered[-1], rests))
        await asyncio.sleep(0)
    return in_order(records), tuple(remembered)


async def observations_of(call: Call, digest: bytes, row: Sequence[Any]) -> Sequence[bytes] | None:
    """Give what was observed of a living entity's states, all of it.

    None if it became another meanwhile, as by a merge or a split: then its states stay as they were told, and it is told once more.
    """
    given: Sequence[bytes] | bytes = row[10]
    if not isinstance(given, bytes):
        return given
    found: list[bytes] = []
    alone: list[int] = []
    node, at = 0, b"0"
    while True:
        word, rest = await call("observed", digest, given, node, at, 0, 0)
        if word is Reply.GONE:
            return None
        found += unpack(rest[0])
        alone += unpack(rest[1])
        node, at = rest[2:]
        if not node:
            break
    for link in alone:
        known, page = 0, [b""]
        while page:
            word, rest = await call("observed", digest, given, 0, 0, link, known)
            if word is Reply.GONE:
                return None
            page = unpack(rest[0])
            found += page
            known += len(page)
    return found


async def view_of(call: Call, rules: Rules, rows: Rows, digest: bytes, row: list[Any], now: int) -> EntityView:
    """Read a living entity's row as it is now; `row` may not belong together with what is read later of a very busy one."""
    around = await around_of(call, rules, [(digest, row[1])])
    row[10] = await observations_of(call, digest, row)
    return rows.entity(digest, row, now, around.get(digest, {}))


async def around_of(call: Call, rules: Rules, entities: Sequence[tuple[bytes, bytes]]) -> dict[bytes, Around]:
    """Read whom memberships connect entities with, of those whose types look around: (founder's digest, its type) each."""
    if not rules.states.carried:
        return {}
    looking = {named: rules.states.looks_around(entity_type_of(named)) for _, named in entities}
    left = [(digest, looking[named].get("groups", 0), looking[named].get("members", 0)) for digest, named in entities if looking[named]]
    found: dict[bytes, Around] = {}
    while left:
        _, (packed,) = await call("around", pack(left), AROUND_AT_ONCE)
        rows = unpack(packed)
        for (digest, _, _), (groups, members) in zip(left, rows, strict=False):
            found[digest] = {"groups": _counterparts(groups), "members": _counterparts(members)}
        left = left[len(rows) :]
    return found


class _TooMany(Sequence[Counterpart]):
    """So many that none of them is looked at."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - a sequence's own
        raise IndexError(index)


def _counterparts(rows: int | list[list[bytes]] | dict[Any, Any]) -> Sequence[Counterpart]:
    if isinstance(rows, int):
        return _TooMany(rows)
    found: list[Counterpart] = []
    for fold, told in rows:  # an empty list may come as an empty map
        found.append(counterpart(histories_told(told), read_membership(NOBODY, fold)))
    return found
