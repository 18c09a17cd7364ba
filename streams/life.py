"""The life of an entity: what happened to an id, by the timeline.

Invariant: nothing is written. Cost: a lookup in Redis, whose calls are bounded, and one reading of the timeline partition of each id
that is looked at; an id's records lie in one. Of an entity that lives it is read from a little before the entity was first seen.
Neighbours: `resolvers.timeline` writes the records; `cli.timeline` prints them; `past` says what was true at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import orjson
from aiokafka.structs import TopicPartition

from resolvers.errors import NexusError, RedisUnavailable, StoreMismatch
from resolvers.identifier import founder_of
from resolvers.instant import read_instant
from resolvers.shards import shard_of
from streams.dump import whole_topic, written_since
from streams.graph import open_graph
from streams.settings import Settings

Line = dict[str, Any]
"""A record of the timeline."""

KINDS = (
    *("entity.created", "entity.merged", "entity.split", "entity.erased", "identifier.added", "identifier.removed"),
    *("trait.changed", "state.changed", "state.corrected", "state.refused"),
    *("membership.started", "membership.changed", "membership.ended", "merge.refused"),
)
"""The kinds of records that there are."""


@dataclass(frozen=True, slots=True)
class Found:
    """A record of the timeline, and where it lay."""

    partition: int
    offset: int
    line: Line


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


async def lines_of(settings: Settings, entity_ids: Iterable[str], since: int | None = None) -> list[Line]:
    """Read what the timeline tells of these ids, in the order in which it was told. Raises NexusError for what is no entity id.

    All of it, or at least what happened at `since`, in epoch ms, or later.
    """
    return in_order(await _found(settings, entity_ids, since))


async def _found(settings: Settings, entity_ids: Iterable[str], since: int | None) -> list[Found]:
    keys = sorted(set(entity_ids))
    topic = settings.topic("timeline")
    places = sorted({TopicPartition(topic, shard_of(_founder(key), settings.partitions)) for key in keys})
    wanted = {key.encode() for key in keys}
    read = whole_topic(settings, places, None if since is None else written_since(settings, since))
    return [Found(record.partition, record.offset, orjson.loads(record.value)) async for record in read if record.key in wanted]


def in_order(found: Iterable[Found]) -> list[Line]:
    """Put records in the order in which they were told: those of a partition by their offsets, whatever the clocks said.

    Between partitions the time of recording decides; one that is before that of a record further ahead counts as that one's.
    """
    stamped: list[tuple[str, int, int, Line]] = []
    latest: dict[int, str] = {}
    for one in sorted(found, key=lambda one: (one.partition, one.offset)):
        latest[one.partition] = max(str(one.line["recorded_at"]), latest.get(one.partition, ""))
        stamped.append((latest[one.partition], one.partition, one.offset, one.line))
    return [line for *_, line in sorted(stamped, key=itemgetter(0, 1, 2))]


def absorbed(lines: Iterable[Line]) -> set[str]:
    """Name the ids that were absorbed, by what the timeline tells."""
    return {str(line["data"]["absorbed_id"]) for line in lines if line["kind"] == "entity.merged" and "absorbed_id" in line["data"]}


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
    found: list[Found] = []
    asked = {entity_id}
    while asked:
        more = await _found(settings, asked, since)
        found += more
        known |= asked
        asked = absorbed(one.line for one in more) - known
    return in_order(found)


def states_told(lines: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str | None]]:
    """Fold what the timeline tells of an entity's states, in the order in which it was told: by state, its value from each time on."""
    told: dict[str, dict[str, str | None]] = {}
    for line in lines:
        match line["kind"]:
            case "entity.created" | "entity.erased":
                told = {}
            case "state.changed" | "state.corrected" as kind:
                _fold_state(told.setdefault(line["data"]["state"], {}), kind, line["data"])
    return told


def _fold_state(history: dict[str, str | None], kind: str, data: Mapping[str, Any]) -> None:
    if kind == "state.changed":
        history[data["entered_at"]] = data["to"]
        return
    for since in list(history) if data["old"] is None else [one["since"] for one in data["old"]]:
        history.pop(since, None)
    history |= {one["since"]: one["value"] for one in data["new"]}


def _founder(entity_id: str) -> bytes:
    try:
        return founder_of(entity_id)
    except ValueError as error:
        raise NexusError(str(error)) from error
