"""Documents: what the compacted topics say about entities, identifiers and memberships.

Pure functions from views (what a store knows, in memory or in Redis) to the documents of the topics, without
`version`, which the round adds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from resolvers.identifier import Identifier
from resolvers.instant import HOUR_MS, hour_of, write_instant
from resolvers.trait_rules import gathered

LISTED_IDENTIFIERS = 1_000
"""A document lists at most so many identifiers, the oldest, beside their count."""

MOST_TRAIT_BYTES = 512 * 1024
"""A document holds at most so many bytes of traits, so that it fits its topic; the largest are left out and counted."""


MOST_STATE_BYTES = 256 * 1024
"""Likewise of the names and values of states, of which those that come first by name are told."""


@dataclass(frozen=True, slots=True, order=True)
class Fact:
    """An observed value, ordered by what decides between two: the latest event time, then source, event id, value."""

    occurred_at: int
    source: str
    event_id: str
    value: bytes = b""
    seen_at: int | None = field(default=None, compare=False)
    """When it was, for a fact whose order is not the time; `occurred_at` is its order then."""

    @property
    def time(self) -> int:
        """Give the event time in ms."""
        return self.occurred_at if self.seen_at is None else self.seen_at


@dataclass(frozen=True, slots=True)
class SeenIdentifier:
    """An identifier with the time of its first sighting in ms, that of the last in hours, and its first event."""

    identifier: Identifier
    digest: bytes
    first: int
    last_hour: int
    event: Fact


@dataclass(frozen=True, slots=True)
class Point:
    """From this time on, in ms, a state has a value, None for none; and the event that brought it."""

    since: int
    value: str | None
    source: str = ""
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A value that a state may not have: observed, or one that follows."""

    occurred_at: int
    source: str
    event_id: str
    index: int
    state: str
    value: str
    reason: str = ""
    """Why, for people; not kept of one that was told."""


Late = Callable[[Mapping[str, tuple[Point, ...]], str, int], Fact | None]
"""Of the histories that were told, a state, and a time in ms up to which: the newest event that they did not know."""


def nothing_late(_told: Mapping[str, tuple[Point, ...]], _state: str, _until: int) -> None:
    """Know of no event."""


@dataclass(frozen=True, slots=True)
class EntityView:
    """A living entity as a store knows it. `identifiers` are the oldest ones by (first, digest), `count` is of all.

    `states` are the histories of its states, of which only the last points are known if it is not `whole`; `lapses` is when the next
    value lapses, in ms; `late` knows the observations.
    """

    entity_id: str
    entity_type: str
    first: int
    last_hour: int
    identifiers: tuple[SeenIdentifier, ...]
    count: int
    traits: Mapping[str, Fact] = field(default_factory=dict)
    states: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)
    refused: tuple[Refusal, ...] = ()
    whole: bool = True
    lapses: int | None = None
    late: Late = field(default=nothing_late, compare=False, repr=False)

    @property
    def founder(self) -> SeenIdentifier:
        """Give the identifier that the entity's id is made of: the oldest."""
        return self.identifiers[0]


@dataclass(frozen=True, slots=True)
class MembershipView:
    """Who belongs to whom. `latest` is the latest sighting, `active` the latest and `begun` the first that do not end it; values are roles.

    Of what a topic says `begun` is not known.
    """

    person_id: str
    group_id: str
    latest: Fact
    ended: bool
    active: Fact | None
    begun: Fact | None = None


def entity_document(view: EntityView) -> dict[str, Any]:
    """Write a living entity's document."""
    left_out = traits_left_out(view.traits)
    states = {name: history[-1] for name, history in view.states.items() if history[-1].value is not None}
    document: dict[str, Any] = {
        "entity_id": view.entity_id,
        "entity_type": view.entity_type,
        "status": "active",
        "first_seen": write_instant(view.first),
        "last_seen": last_seen(view.first, view.last_hour),
        "identifiers": [_listed(seen) for seen in view.identifiers],
        "identifier_count": view.count,
        "traits": {name: msgspec.json.decode(value) for name, value in sorted(traits_told(view.traits, left_out).items())},
        "states": states_told(states),
    }
    counted = {"traits_left_out": len(left_out), "states_left_out": len(states) - len(document["states"])}
    return document | {name: count for name, count in counted.items() if count}


def states_told(states: Mapping[str, Point]) -> dict[str, Any]:
    """Write the states that a document has room for: the first by name."""
    found: dict[str, Any] = {}
    room = MOST_STATE_BYTES
    for name in sorted(states):
        room -= len(name.encode("utf-8", "surrogatepass")) + len((states[name].value or "").encode("utf-8", "surrogatepass"))
        if room < 0:
            break
        found[name] = {"value": states[name].value, "since": write_instant(states[name].since)}
    return found


def traits_told(traits: Mapping[str, Fact], left_out: Collection[str] = ()) -> dict[str, bytes]:
    """Give the values of traits by name, as JSON."""
    return gathered({name: fact.value for name, fact in traits.items() if name not in left_out})


def traits_left_out(traits: Mapping[str, Fact]) -> set[str]:
    """Name the traits that a document has no room for: the largest values, until the others fit."""
    total = sum(_room(name, fact) for name, fact in traits.items())
    if total <= MOST_TRAIT_BYTES:
        return set()
    left_out = set()
    for size, name in sorted(((_room(name, fact), name) for name, fact in traits.items()), reverse=True):
        if total <= MOST_TRAIT_BYTES:
            break
        left_out.add(name)
        total -= size
    return left_out


def fits_a_document(name: str, fact: Fact) -> bool:
    """Say whether there is room for a trait in a document that has no other."""
    return _room(name, fact) <= MOST_TRAIT_BYTES


def _room(name: str, fact: Fact) -> int:
    return len(name.encode("utf-8", "surrogatepass")) + len(fact.value)


def last_seen(first: int, last_hour: int) -> str:
    """Write a last time: the hour in which it lies, but never before the first time."""
    return write_instant(max(first, last_hour * HOUR_MS))


def merged_document(entity_id: str, entity_type: str, merged_into: str) -> dict[str, Any]:
    """Write what became of an id whose founding identifier belongs to an older entity now."""
    return {"entity_id": entity_id, "entity_type": entity_type, "status": "merged", "merged_into": merged_into}


ENDED = {"merged", "split", "erased"}
"""The statuses of an id that no living entity has any more."""

MOST_SUCCESSORS = 100
"""An id that was split names at most so many of those that came of it."""


def split_document(entity_id: str, entity_type: str, successors: Iterable[str]) -> dict[str, Any]:
    """Write what became of an id whose founding identifier connects nothing any more."""
    named = sorted(set(successors))[:MOST_SUCCESSORS]
    return {"entity_id": entity_id, "entity_type": entity_type, "status": "split", "successors": named}


def erased_document(entity_id: str, entity_type: str) -> dict[str, Any]:
    """Write what became of an id of which an erasure left nothing."""
    return {"entity_id": entity_id, "entity_type": entity_type, "status": "erased"}


def identifier_document(seen: SeenIdentifier, entity_id: str) -> dict[str, Any]:
    """Write which living entity an identifier belongs to."""
    identifier = seen.identifier
    return {
        "entity_type": identifier.entity_type,
        "type": identifier.type,
        "value": identifier.value,
        "entity_id": entity_id,
        "first_seen": write_instant(seen.first),
        "last_seen": last_seen(seen.first, seen.last_hour),
        "status": "active",
    }


def membership_document(view: MembershipView) -> dict[str, Any]:
    """Write a membership: role, since and source are those of the latest sighting.

    A latest sighting that ends it gives `until`; `since` is then that of the latest one before, if there is any.
    """
    told = view.active if view.ended and view.active else view.latest
    role = view.latest.value or told.value
    return {
        "person_id": view.person_id,
        "group_id": view.group_id,
        "role": role.decode() or None,
        "since": write_instant(told.occurred_at),
        "until": write_instant(view.latest.occurred_at) if view.ended else None,
        "last_seen": last_seen(told.occurred_at, hour_of(view.latest.occurred_at)),
        "source": view.latest.source,
    }


def _listed(seen: SeenIdentifier) -> dict[str, Any]:
    return {
        "type": seen.identifier.type,
        "value": seen.identifier.value,
        "first_seen": write_instant(seen.first),
        "last_seen": last_seen(seen.first, seen.last_hour),
    }
