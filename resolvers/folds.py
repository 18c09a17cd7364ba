"""Folds: from links and sightings of memberships to who is who, by the plainest means.

Invariant: every fold is a function of the set of evidence. Neighbours: `memory` keeps the evidence and asks for the folds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from resolvers.entity import EntityView, Fact, MembershipView, SeenIdentifier
from resolvers.identifier import entity_id
from resolvers.instant import hour_of
from resolvers.rules import Rules
from resolvers.sighting import Sighting, Usable

Observation = tuple[str, int, str, str, int, str]
"""A state seen: (state, event time, source, event id, participant, value)."""


@dataclass(slots=True)
class Link:
    """Identifiers seen together: since when, till which hour, with which traits and states."""

    identifiers: tuple[Usable, ...]
    first: Fact
    last_hour: int
    traits: dict[str, Fact] = field(default_factory=dict)
    states: set[Observation] = field(default_factory=set)

    def join(self, seen: Sighting, event: Fact) -> None:
        """Take one more sighting in. Idempotent and commutative."""
        self.first = min(self.first, event)
        self.last_hour = max(self.last_hour, hour_of(event.occurred_at))
        for name, value in seen.traits:
            fact = replace(event, value=value)
            self.traits[name] = max(self.traits.get(name, fact), fact)
        self.states |= {(name, event.occurred_at, event.source, event.event_id, seen.index, value) for name, value in seen.states}


@dataclass(frozen=True, slots=True)
class World:
    """Everything the evidence says at one moment."""

    entities: dict[str, EntityView]
    owner: dict[bytes, str]
    memberships: dict[tuple[str, str], MembershipView]


def components(links: dict[bytes, Link]) -> Iterator[list[Link]]:
    """Group links that share identifiers, directly or through others."""
    by_identifier: dict[bytes, list[bytes]] = {}
    for name, link in links.items():
        for usable in link.identifiers:
            by_identifier.setdefault(usable.digest, []).append(name)
    todo = set(links)
    while todo:
        group, edge = set(), {todo.pop()}
        while edge:
            group |= edge
            edge = {other for name in edge for usable in links[name].identifiers for other in by_identifier[usable.digest]} - group
        todo -= group
        yield [links[name] for name in group]


def identifiers_of(links: dict[bytes, Link] | list[Link]) -> list[SeenIdentifier]:
    """Fold links into their identifiers, the oldest first."""
    found: dict[bytes, SeenIdentifier] = {}
    for link in links.values() if isinstance(links, dict) else links:
        for usable in link.identifiers:
            seen = SeenIdentifier(usable.identifier, usable.digest, link.first.occurred_at, link.last_hour, link.first)
            old = found.get(usable.digest, seen)
            event = min(old.event, seen.event)
            found[usable.digest] = replace(seen, first=event.occurred_at, last_hour=max(old.last_hour, seen.last_hour), event=event)
    return sorted(found.values(), key=lambda seen: (seen.first, seen.digest))


def id_of(rules: Rules, entity_type: str, founder: bytes) -> str:
    """Write the id of the entity of this type that a digest founds."""
    return entity_id(rules.prefix(entity_type), founder)


def entity_of(rules: Rules, links: list[Link], listed: int) -> EntityView:
    """Fold a component's links into its entity: founder, times, traits."""
    identifiers = identifiers_of(links)
    traits: dict[str, Fact] = {}
    for link in links:
        for name, fact in link.traits.items():
            traits[name] = max(traits.get(name, fact), fact)
    founder = identifiers[0]
    entity_type = founder.identifier.entity_type
    name = id_of(rules, entity_type, founder.digest)
    last = max(link.last_hour for link in links)
    return EntityView(name, entity_type, founder.first, last, tuple(identifiers[:listed]), len(identifiers), traits)


def membership_of(pair: tuple[str, str], sightings: set[tuple[Fact, bool]]) -> MembershipView:
    """Fold the sightings of one membership into the latest, and the latest that does not end it."""
    latest, ended = max(sightings)
    active = max((fact for fact, ends in sightings if not ends), default=None)
    return MembershipView(*pair, latest, ended, active)
