"""The past: what was true of an entity at an event time, by all evidence that holds today.

Identifiers and states are Redis's. Traits and memberships are folded of the event log, as Redis keeps of them what counts now and not
what counted then. So the answer depends on no order of arrival, and is right after an undo.
Invariant: nothing is written. Cost: a reading of all partitions of the event log from when the entity was first seen to its end, one
of the commands, and a lookup for each other identifier that matters: one for each member of a group.
Neighbours: `resolvers.past` folds the events; `cli.ask` prints what comes of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import orjson

from resolvers.carried import ALONE, Around, Counterpart
from resolvers.entity import EntityView, Point, traits_told
from resolvers.erasure import Cutoffs, Erasure, cutoffs_with
from resolvers.errors import NexusError, Rejected
from resolvers.folds import with_states
from resolvers.identifier import Identifier, founder_of
from resolvers.instant import hour_of, write_instant
from resolvers.past import Belonging, Past, Told
from resolvers.port import Resolver
from resolvers.preview import Picture, Surroundings, picture, surroundings, until
from resolvers.rules import Rules
from resolvers.trait_rules import within_bounds
from streams import kafka
from streams.command import read_command
from streams.dump import lost_until, whole_topic, written_since
from streams.events import Event
from streams.graph import rules_of
from streams.resolve import checked_event
from streams.settings import Settings
from streams.topics import places_of

LISTED_MEMBERS = 1_000
"""A document lists at most so many members of a group, those with the smallest ids, beside their count."""

_AT_ONCE = 20
"""Lookups in Redis that wait for their answers together."""


class Log(Protocol):
    """Where events and erasures come from; `begins` is since when it is whole, in epoch ms, where it is not."""

    begins: int | None

    async def cutoffs(self) -> Cutoffs:
        """Read all erasures."""

    def events(self, since_ms: int) -> AsyncIterator[Event]:
        """Give all events that happened at a time in epoch ms or later, in any order, and any others."""


class KafkaLog:
    """The topics of events and commands."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is read before it is asked for."""
        self._settings = settings
        self.begins: int | None = None

    async def cutoffs(self) -> Cutoffs:
        """Read all erasures, also those that no worker has taken in yet."""
        rules, found = rules_of(self._settings), dict[bytes, int]()
        places = await self._places("commands")
        async for record in whole_topic(self._settings, places):
            try:
                command = read_command(rules, record.value, record.timestamp)
            except Rejected:
                continue
            if isinstance(command, Erasure):
                found = cutoffs_with(found, command)
        return found

    async def events(self, since_ms: int) -> AsyncIterator[Event]:
        """Read every event that was written since then; sets `begins` where the log does not reach back so far."""
        places, written = await self._places("events"), written_since(self._settings, since_ms)
        self.begins = await lost_until(self._settings, places, written)
        async for record in whole_topic(self._settings, places, written):
            try:
                yield checked_event(record.value)
            except Rejected:
                continue

    async def _places(self, word: str) -> list[Any]:
        client = await kafka.started(kafka.admin(self._settings), self._settings.kafka, "admin")
        try:
            found = await places_of(client, [self._settings.topic(word)])
        finally:
            await client.close()
        if not found:
            raise NexusError(f"Kafka has no topic {self._settings.topic(word)}: `nexus topics plan` shows what is missing")
        return found


@dataclass(frozen=True, slots=True)
class Asked:
    """Which entity is asked for, at which event time in epoch ms, and who answers."""

    rules: Rules
    graph: Resolver
    log: Log
    entity_id: str
    at_ms: int

    @property
    def nothing(self) -> NexusError:
        """Say that it was not there yet."""
        return NexusError(f"nothing tells of {self.entity_id} at that time")


async def as_of(asked: Asked) -> dict[str, Any]:
    """Write the document of an id as it was then. Raises NexusError.

    Of an entity that lives: all that is its own today and was seen by then. Of an id that was merged: what was its own then by what
    events had shown, or that it was one with another by then. The commands that stand today hold for all times.
    """
    entity_id = asked.entity_id
    try:
        founder_of(entity_id)
    except ValueError as error:
        raise NexusError(str(error)) from error
    document = await asked.graph.entity(entity_id)
    match document["status"] if document else "unknown":
        case "active":
            view = await asked.graph.view(entity_id)
            if view is not None:
                return await _of_living(asked, view)
        case "merged" if document:
            return await _of_former(asked, document)
        case "split" if document:
            came = ", ".join(document["successors"]) or "nobody"
            raise NexusError(f"{entity_id} was split: its founding identifier connects nothing, at no time; of it came {came}")
        case "erased":
            raise NexusError(f"{entity_id} was erased")
        case _:
            raise asked.nothing
    raise _changes(entity_id)


async def _of_living(asked: Asked, view: EntityView) -> dict[str, Any]:
    own = await _own(asked, view)
    if view.first > asked.at_ms:
        raise asked.nothing
    told = await _told(asked, own, view.first, {})
    for name, fact in view.traits.items():
        if fact.time <= asked.at_ms:  # known, also where the log does not reach back so far
            told.traits[name] = max(told.traits.get(name, fact), fact)
    told.traits = within_bounds(told.traits)
    return _document(asked, view.entity_type, own, told, view.states)


async def _own(asked: Asked, view: EntityView) -> dict[Identifier, int]:
    """Give all identifiers of a living entity, with their first times."""
    if view.count == len(view.identifiers):
        return {one.identifier: one.first for one in view.identifiers}
    around = await surroundings(asked.graph, [view.founder.identifier], most=50 * view.count)
    members = picture(asked.rules, around).members.get(view.entity_id, frozenset())
    if around.cut or len(members) != view.count:
        raise _changes(view.entity_id)
    return _first_of(around, members)


async def _of_former(asked: Asked, document: dict[str, Any]) -> dict[str, Any]:
    """Write what was an id's own, or how it ended if it had by then."""
    living = await asked.graph.view(document["merged_into"])
    if living is None:
        raise _changes(asked.entity_id)
    around = await surroundings(asked.graph, [living.founder.identifier])
    if around.cut:
        raise NexusError(f"very many links hang together around {document['merged_into']}: that is too much to look back in")
    then = until(around, asked.at_ms)
    found = picture(asked.rules, then)
    founder = founder_of(asked.entity_id)
    if not any(one.digest == founder for link in then.links.values() for one in link.identifiers):
        raise asked.nothing
    if asked.entity_id not in found.members:
        return document
    own = _first_of(then, found.members[asked.entity_id])
    first = min(own.values())
    told = await _told(asked, own, first, _owners_in(found, around))
    view = EntityView(asked.entity_id, document["entity_type"], first, hour_of(first), (), 0)
    view = with_states(view, asked.rules, told.observations, asked.at_ms, await _around(asked, view.entity_type, told))
    return _document(asked, view.entity_type, own, told, view.states)


def _owners_in(found: Picture, around: Surroundings) -> dict[Identifier, str | None]:
    return {one: found.entity_of.get(one) for one in around.standings}


def _first_of(around: Surroundings, members: Iterable[Identifier]) -> dict[Identifier, int]:
    """Say when each of these was first seen."""
    wanted, found = frozenset(members), dict[Identifier, int]()
    for link in around.links.values():
        first = link.first.occurred_at
        found |= {one: min(first, found.get(one, first)) for one in link.linked & wanted}
    return found


async def _told(asked: Asked, own: Mapping[Identifier, int], first: int, owners: Mapping[Identifier, str | None]) -> Told:
    """Fold what events said of the owner of these identifiers. `owners` says whose others were, where it is not as today."""
    past = Past(asked.rules, asked.entity_id, own, asked.at_ms, await asked.log.cutoffs())
    async for event in asked.log.events(first):
        try:
            past.take(event)
        except Rejected:
            continue
    return past.told({**owners, **await _owners(asked.graph, past.wanted - owners.keys())})


async def _owners(graph: Resolver, identifiers: Iterable[Identifier]) -> dict[Identifier, str]:
    """Ask whose identifiers are today."""
    found, left = dict[Identifier, str](), iter(identifiers)
    while some := list(islice(left, _AT_ONCE)):
        documents = await asyncio.gather(*(graph.identifier(one) for one in some))
        found |= {one: str(document["entity_id"]) for one, document in zip(some, documents, strict=True) if document}
    return found


async def _around(asked: Asked, entity_type: str, told: Told) -> Around:
    """Give the histories of those whom memberships connected it with, as they are known today, if its states are derived of them."""
    if not asked.rules.states.looks_around(entity_type):
        return ALONE
    return {"groups": await _counterparts(asked, told.groups), "members": await _counterparts(asked, told.members)}


async def _counterparts(asked: Asked, others: Mapping[str, Belonging]) -> list[Counterpart]:
    found = []
    for entity_id, one in others.items():
        view = await asked.graph.view(entity_id)
        if view is not None:
            found.append(Counterpart(view.states, one.begun, one.latest if one.ended else None))
    return found


def _document(
    asked: Asked, entity_type: str, own: Mapping[Identifier, int], told: Told, states: Mapping[str, tuple[Point, ...]]
) -> dict[str, Any]:
    seen = sorted((first, one) for one, first in own.items() if first <= asked.at_ms)
    listed = [{"type": one.type, "value": one.value, "first_seen": write_instant(first)} for first, one in seen]
    last = {name: points[-1] for name, history in states.items() if (points := [one for one in history if one.since <= asked.at_ms])}
    groups, members = _holding(told.groups), _holding(told.members)
    document = {
        "entity_id": asked.entity_id,
        "entity_type": entity_type,
        "first_seen": listed[0]["first_seen"],
        "identifiers": listed,
        "identifier_count": len(listed),
        "traits": {name: orjson.loads(value) for name, value in sorted(traits_told(told.traits).items())},
        "states": {
            name: {"value": one.value, "since": write_instant(one.since)} for name, one in sorted(last.items()) if one.value is not None
        },
        "memberships": [{"group_id": name, "role": role} for name, role in groups],
        "members": [{"person_id": name, "role": role} for name, role in members[:LISTED_MEMBERS]],
        "member_count": len(members),
    }
    return document if asked.log.begins is None else {**document, "log_begins": write_instant(asked.log.begins)}


def _holding(memberships: Mapping[str, Belonging]) -> list[tuple[str, str | None]]:
    """Give the memberships that their latest sighting does not end, each with its role."""
    return sorted((name, one.latest.value.decode() or None) for name, one in memberships.items() if not one.ended)


def _changes(entity_id: str) -> NexusError:
    return NexusError(f"{entity_id} has very many identifiers or changes while it is read: try again")
