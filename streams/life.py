"""The life of an entity: what happened to an id, and what was true of it at a time, by Redis as far as it knows, and by the timeline.

Invariant: nothing is written. Cost: a lookup in Redis, whose calls are bounded, and one reading of the timeline partition of each id
that is looked at; an id's records lie in one. Of an entity that lives it is read from a little before the entity was first seen.
Neighbours: `resolvers.timeline` writes the records; `cli.timeline` and `cli.ask` print them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from aiokafka.structs import TopicPartition

from resolvers.entity import EntityView, traits_told
from resolvers.errors import NexusError, RedisUnavailable, StoreMismatch
from resolvers.evidence import canonical_json
from resolvers.identifier import founder_of
from resolvers.instant import HOUR_MS, read_instant, write_instant
from resolvers.port import Resolver
from resolvers.shards import shard_of
from streams.dump import whole_topic
from streams.graph import open_graph
from streams.settings import Settings

Line = dict[str, Any]
"""A record of the timeline."""

_CLOCKS_MS = 2 * HOUR_MS
"""How far clocks may be apart. Kafka takes no record more than an hour ahead of its own, which an event lies `ahead_seconds` ahead of."""


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


async def lines_of(settings: Settings, entity_ids: Iterable[str], since: int | None = None) -> list[Line]:
    """Read what the timeline tells of these ids, in the order in which it was told. Raises NexusError for what is no entity id.

    All of it, or at least what happened at `since`, in epoch ms, or later.
    """
    keys = sorted(set(entity_ids))
    topic = settings.topic("timeline")
    places = sorted({TopicPartition(topic, shard_of(_founder(key), settings.partitions)) for key in keys})
    wanted = {key.encode() for key in keys}
    written = None if since is None else since - settings.times.ahead_seconds * 1_000 - _CLOCKS_MS
    found = [orjson.loads(record.value) async for record in whole_topic(settings, places, written) if record.key in wanted]
    return sorted(found, key=lambda line: (line["recorded_at"], line["version"]))


def absorbed(lines: Iterable[Line]) -> set[str]:
    """Name the ids that were absorbed, by what the timeline tells."""
    return {str(line["data"]["absorbed_id"]) for line in lines if line["kind"] == "entity.merged" and "absorbed_id" in line["data"]}


async def as_of(settings: Settings, graph: Resolver, entity_id: str, at_ms: int) -> dict[str, Any]:
    """Write the document of an id as it was at an event time, by all that is known today.

    Of an entity that lives, identifiers, states, and traits whose latest value is not later come from Redis, as do those that are
    not told yet; memberships and earlier traits come from the timeline, as does everything of an id that ended. Raises NexusError.
    """
    view = await graph.view(entity_id)
    if view is None:
        document = await graph.entity(entity_id)
        if document is not None and document["status"] == "erased":
            raise NexusError(f"{entity_id} was erased")
    told = then(await lines_of(settings, [entity_id], view.first if view else None), at_ms)
    return then_document(entity_id, told if view is None else by_evidence(told, view, at_ms))


def by_evidence(told: Then, view: EntityView, at_ms: int) -> Then:
    """Put what the graph knows of a living entity over what was told of it, as of an event time."""
    seen = {(one.identifier.type, one.identifier.value): write_instant(one.first) for one in view.identifiers if one.first <= at_ms}
    if view.count > len(view.identifiers):  # not all are listed
        seen = told.identifiers | seen
    states = {name: {write_instant(one.since): one.value for one in history if one.since <= at_ms} for name, history in view.states.items()}
    # Of a trait that gathers all values the latest time of each is known, but not since when it was there.
    earlier = {name: fact for name, fact in view.traits.items() if fact.seen_at is None and fact.occurred_at <= at_ms}
    known = {name: orjson.loads(value) for name, value in traits_told(earlier).items() if name in earlier}
    return replace(told, identifiers=seen, states=states, traits=told.traits | known)


async def first_known(settings: Settings, entity_id: str) -> int | None:
    """Ask Redis when an entity was first seen, in epoch ms; None where it cannot say: then all of the timeline must be read."""
    async with open_graph(settings, check=False) as graph:
        try:
            view = await graph.entity(entity_id)
        except (RedisUnavailable, StoreMismatch):
            return None
    return read_instant(view["first_seen"]) if view and view["status"] == "active" else None


async def with_absorbed(settings: Settings, entity_id: str, since: int | None = None) -> list[Line]:
    """Read the life of an id and of all ids that it absorbed, and these in turn; `since` is as for `lines_of`."""
    known: set[str] = set()
    found: list[Line] = []
    asked = {entity_id}
    while asked:
        more = await lines_of(settings, asked, since)
        found += more
        known |= asked
        asked = absorbed(more) - known
    return sorted(found, key=lambda line: (line["recorded_at"], line["version"]))


def then(lines: Iterable[Line], at_ms: int) -> Then:
    """Compute what an id's timeline makes of it at an event time: by all that is told today, corrections applied.

    A trait's value is the last one that was told of an event up to then; one that was never the entity's is not told.
    """
    told = Then()
    for line in lines:
        _fold(told, line, at_ms)
    at = write_instant(at_ms)
    told.states = {name: {since: value for since, value in history.items() if since <= at} for name, history in told.states.items()}
    told.identifiers = {name: first for name, first in told.identifiers.items() if first <= at}
    return told


def _fold(told: Then, line: Line, at_ms: int) -> None:
    data, kind = line["data"], line["kind"]
    known = not line["event_id"] or read_instant(line["occurred_at"]) <= at_ms  # what no event brought: evidence went
    match kind:
        case "entity.created" | "entity.erased":
            told.identifiers, told.states, told.traits = {}, {}, {}
        case "identifier.added":
            told.identifiers[data["type"], data["value"]] = data["first_seen"]
        case "identifier.removed":
            told.identifiers.pop((data["type"], data["value"]), None)
        case "state.changed" | "state.corrected":
            _fold_state(told.states.setdefault(data["state"], {}), kind, data)
        case "trait.changed" if known:
            told.traits[data["trait"]] = _values(told.traits.get(data["trait"]), **data) if "added" in data else data["new"]
        case "membership.started" | "membership.changed" if known:
            told.memberships[data["group_id"]] = data["role"]
        case "membership.ended" if known:
            told.memberships.pop(data["group_id"], None)


def _values(before: list[Any] | None, trait: str, added: list[Any], removed: list[Any]) -> list[Any] | None:  # noqa: ARG001 - as it is told
    """Let values of a trait that keeps all come and go; None where there are none left. They are in the order of their JSON."""
    values = {canonical_json(one): one for one in before or ()}
    for one in removed:
        values.pop(canonical_json(one), None)
    values |= {canonical_json(one): one for one in added}
    return [values[one] for one in sorted(values)] or None


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
        raise NexusError(f"nothing tells of {entity_id} at that time")
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
