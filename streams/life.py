"""The life of an entity, as the timeline tells it: what happened to an id, and what was true of it at a time.

Invariant: nothing is written. Cost: one reading of the timeline partition of each id that is looked at; an id's records lie in one.
Neighbours: `resolvers.timeline` writes the records; `cli.timeline` prints them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiokafka.structs import TopicPartition

from resolvers.errors import NexusError
from resolvers.identifier import founder_of
from resolvers.instant import read_instant, write_instant
from resolvers.shards import shard_of
from streams.dump import whole_topic
from streams.settings import Settings

Line = dict[str, Any]
"""A record of the timeline."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records are asked for: of these kinds (any where there are none), with event times in the stretch, its end left out."""

    kinds: Collection[str] = ()
    start: int | None = None
    end: int | None = None

    def has(self, line: Line) -> bool:
        """Say whether a record is asked for. A kind may be given by its first word, as `state`."""
        kind, at = str(line["kind"]), read_instant(line["occurred_at"])
        named = not self.kinds or kind in self.kinds or kind.partition(".")[0] in self.kinds
        return named and (self.start is None or self.start <= at) and (self.end is None or at < self.end)


@dataclass(slots=True)
class Then:
    """What was true of an entity at an event time: as far as the timeline tells it."""

    identifiers: dict[tuple[str, str], str] = field(default_factory=dict)
    traits: dict[str, Any] = field(default_factory=dict)
    states: dict[str, dict[str, str | None]] = field(default_factory=dict)
    """By state, its value from each time on."""
    memberships: dict[str, str | None] = field(default_factory=dict)
    traits_at: dict[str, str] = field(default_factory=dict)


async def lines_of(settings: Settings, entity_ids: Iterable[str]) -> list[Line]:
    """Read all that the timeline tells of these ids, in the order in which it was told. Raises NexusError for what is no entity id."""
    keys = sorted(set(entity_ids))
    topic = settings.topic("timeline")
    places = sorted({TopicPartition(topic, shard_of(_founder(key), settings.partitions)) for key in keys})
    wanted = {key.encode() for key in keys}
    found = [orjson.loads(record.value) async for record in whole_topic(settings, places) if record.key in wanted]
    return sorted(found, key=lambda line: (line["recorded_at"], line["version"]))


def absorbed(lines: Iterable[Line]) -> set[str]:
    """Name the ids that were absorbed, by what the timeline tells."""
    return {str(line["data"]["absorbed_id"]) for line in lines if line["kind"] == "entity.merged" and "absorbed_id" in line["data"]}


async def with_absorbed(settings: Settings, entity_id: str) -> list[Line]:
    """Read the life of an id and of all ids that it absorbed, and these in turn."""
    known: set[str] = set()
    found: list[Line] = []
    asked = {entity_id}
    while asked:
        more = await lines_of(settings, asked)
        found += more
        known |= asked
        asked = absorbed(more) - known
    return sorted(found, key=lambda line: (line["recorded_at"], line["version"]))


def then(lines: Iterable[Line], at_ms: int) -> Then:
    """Compute what an id's timeline makes of it at an event time: by all that is told today, corrections applied.

    A trait's value is that of the latest event up to then which the timeline tells; one that was never the latest is not told.
    """
    told = Then()
    for line in lines:
        _fold(told, line, at_ms)
    at = write_instant(at_ms)
    told.states = {name: {since: value for since, value in history.items() if since <= at} for name, history in told.states.items()}
    told.identifiers = {name: first for name, first in told.identifiers.items() if first <= at}
    return told


def _fold(told: Then, line: Line, at_ms: int) -> None:
    data, kind, happened = line["data"], line["kind"], line["occurred_at"]
    match kind:
        case "entity.created":
            told.identifiers, told.states = {}, {}
        case "entity.erased":
            told.identifiers, told.states, told.traits, told.traits_at = {}, {}, {}, {}
        case "identifier.added":
            told.identifiers[data["type"], data["value"]] = data["first_seen"]
        case "identifier.removed":
            told.identifiers.pop((data["type"], data["value"]), None)
        case "state.changed" | "state.corrected":
            _fold_state(told.states.setdefault(data["state"], {}), kind, data)
        case "trait.changed" if read_instant(happened) <= at_ms and happened >= told.traits_at.get(data["trait"], ""):
            told.traits[data["trait"]], told.traits_at[data["trait"]] = data["new"], happened
        case "membership.started" | "membership.changed" if read_instant(happened) <= at_ms:
            told.memberships[data["group_id"]] = data["role"]
        case "membership.ended" if read_instant(happened) <= at_ms:
            told.memberships.pop(data["group_id"], None)


def _fold_state(history: dict[str, str | None], kind: str, data: dict[str, Any]) -> None:
    if kind == "state.changed":
        history[data["entered_at"]] = data["to"]
        return
    for since in list(history) if data["old"] is None else [one["since"] for one in data["old"]]:
        history.pop(since, None)
    history |= {one["since"]: one["value"] for one in data["new"]}


def then_document(entity_id: str, told: Then) -> dict[str, Any]:
    """Write what was true of an entity then. Raises NexusError where it was not there yet."""
    if not told.identifiers:
        raise NexusError(f"the timeline knows no {entity_id} at that time")
    listed = [
        {"type": kind, "value": value, "first_seen": first}
        for (kind, value), first in sorted(told.identifiers.items(), key=lambda item: (item[1], item[0]))
    ]
    last = {name: max(history) for name, history in told.states.items() if history}
    held = {name: {"value": told.states[name][at], "since": at} for name, at in sorted(last.items())}
    return {
        "entity_id": entity_id,
        "first_seen": listed[0]["first_seen"],
        "identifiers": listed,
        "identifier_count": len(listed),
        "traits": {name: value for name, value in sorted(told.traits.items()) if value is not None},
        "states": {name: one for name, one in held.items() if one["value"] is not None},
        "memberships": [{"group_id": group, "role": role} for group, role in sorted(told.memberships.items())],
    }


def _founder(entity_id: str) -> bytes:
    try:
        return founder_of(entity_id)
    except ValueError as error:
        raise NexusError(str(error)) from error
