"""What must become of a source record of the stream: its event, or a dead letter.

Invariant: written plainly from the mapping's meaning (docs/reference/events.md), with nothing of the adapters, so that
a mistake there shows here. Neighbours: `judge_accounts` looks for what this says.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any, NoReturn

from streams.verify.instants import milliseconds, written

LARGEST_BYTES = 1 << 20
DEEPEST = 100
MOST_IDENTIFIERS = 200
SECONDS_BELOW = 10**11
DAY_MS = 86_400_000
MARK = b"\xef\xbb\xbf"
FALSE = {"", "false", "f", "no", "n", "0"}

TYPES = {"person": {"user_id": "user", "email": "email", "device": "devices"}, "group": {"domain": "site", "account": "account"}}
TRAITS = {"person": {"plan": "plan"}, "group": {"size": "size"}}


class BadError(Exception):
    """A record that becomes a dead letter."""


def event_of(value: bytes, timestamp_ms: int) -> dict[str, Any] | None:
    """Give the event that a record becomes, without origin and recorded_at; None for one that becomes a dead letter.

    `timestamp_ms` is the record's own time in Kafka, which bounds how far ahead its event may lie.
    """
    try:
        return _event(_document(value), timestamp_ms) | _event_id(_document(value), value)
    except BadError:
        return None


def canonical(event: dict[str, Any]) -> str:
    """Write an event so that equal ones are equal texts: a number and a text, 1 and 1.0, true and 1 all differ."""
    return json.dumps(event, sort_keys=True)


def as_written(value: bytes | None) -> dict[str, Any] | None:
    """Read a record of the event log; None for what is no JSON object."""
    try:
        event = json.loads(value or b"", parse_constant=_refuse)
    except (ValueError, RecursionError, BadError):
        return None
    return event if isinstance(event, dict) else None


def _document(value: bytes) -> dict[str, Any]:
    if len(value) > LARGEST_BYTES:
        raise BadError
    try:
        document = json.loads(value.removeprefix(MARK).decode(), parse_constant=_refuse, parse_float=_finite)
        json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise BadError from error
    if not isinstance(document, dict) or _levels(document) > DEEPEST:
        raise BadError
    return document


def _refuse(_: str) -> NoReturn:
    raise BadError


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise BadError
    return number


def _levels(value: object) -> int:
    if isinstance(value, dict | list):
        return 1 + max((_levels(one) for one in (value.values() if isinstance(value, dict) else value)), default=0)
    return 0


def _event(said: dict[str, Any], timestamp_ms: int) -> dict[str, Any]:
    person, group = _participant("person", said), _participant("group", said)
    person |= {"role": "somebody", "states": _states(said)}
    event = {"source": "crowd", "name": "seen", "occurred_at": _time(said.get("at"), timestamp_ms)}
    return event | {"participants": [person, group], "memberships": _memberships(said, [person, group])}


def _event_id(said: dict[str, Any], value: bytes) -> dict[str, str]:
    """Take the record's own id, or a digest of the record where it has none."""
    if isinstance(said.get("id"), dict | list):
        raise BadError
    return {"event_id": _scalar(said.get("id")) or hashlib.blake2b(value, digest_size=16).hexdigest()}


def _scalar(value: object) -> str | None:
    """Write a value that may be an identifier, a role or a state."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return (str(value).strip() or None) if isinstance(value, str | int | float) else None


def _participant(entity: str, said: dict[str, Any]) -> dict[str, Any]:
    named = [(kind, value) for kind, name in TYPES[entity].items() for value in _values(said.get(name))]
    identifiers = [{"type": kind, "value": value} for kind, value in dict.fromkeys(named)]
    if len(identifiers) > MOST_IDENTIFIERS:
        raise BadError
    traits = {trait: said.get(name) for trait, name in TRAITS[entity].items() if not _blank(said.get(name))}
    return {"entity": entity, "role": "", "identifiers": identifiers, "traits": traits, "states": {}}


def _values(value: object) -> list[str]:
    """List the identifiers of a field: a text or number, or a list of these, at any depth."""
    if isinstance(value, dict):
        raise BadError
    if isinstance(value, list):
        return [found for one in value for found in _values(one)]
    text = None if isinstance(value, bool) else _scalar(value)
    return [] if text is None else [text]


def _blank(value: object) -> bool:
    return value is None or value in ([], {}) or (isinstance(value, str) and not value.strip())


def _states(said: dict[str, Any]) -> dict[str, str]:
    stage = said.get("stage")
    if isinstance(stage, dict | list) and stage:
        return {"stage": json.dumps(stage, separators=(",", ":"), ensure_ascii=False)}
    text = _scalar(stage)
    return {} if text is None else {"stage": text}


def _memberships(said: dict[str, Any], participants: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if isinstance(said.get("role"), dict | list):
        raise BadError
    if not all(one["identifiers"] for one in participants):
        return []
    left = said.get("left")
    ended = left.strip().lower() not in FALSE if isinstance(left, str) else bool(left)
    return [{"member": 0, "group": 1, "role": _scalar(said.get("role")), "ended": ended}]


def _time(said: object, timestamp_ms: int) -> str:
    """Read a time in the two forms that the stream writes; whatever else it writes for one is none."""
    at: int | None = None
    if isinstance(said, str):
        at = milliseconds(said)
    elif isinstance(said, int | float) and not isinstance(said, bool):
        at = math.floor(said * 1_000 if abs(said) < SECONDS_BELOW else said)
    if at is None or not 0 <= at <= timestamp_ms + DAY_MS:
        raise BadError
    return written(at)
