"""Folds: from links and sightings of memberships to who is who, by the plainest means.

Invariant: every fold is a function of the set of evidence. Neighbours: `memory` keeps the evidence and asks for the folds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from resolvers.carried import ALONE, Around, Counterpart, History
from resolvers.division import Refused
from resolvers.edge import Together
from resolvers.entity import EntityView, Fact, MembershipView, Refusal, SeenIdentifier
from resolvers.identifier import entity_id
from resolvers.instant import hour_of
from resolvers.late import newest_late
from resolvers.parts import NO_CORRECTIONS, Corrections, Parts, parts_of
from resolvers.rules import Rules
from resolvers.sighting import Sighting, Usable
from resolvers.states import Observation, histories, next_lapse, refused
from resolvers.trait_rules import within_bounds

Whose = TypeVar("Whose")


@dataclass(slots=True)
class Link:
    """Identifiers seen together: since when, till which hour, with which traits and states."""

    identifiers: tuple[Usable, ...]
    first: Fact
    last_hour: int
    traits: dict[str, Fact] = field(default_factory=dict)
    states: set[Observation] = field(default_factory=set)

    @property
    def together(self) -> Together:
        """Give what guards need of it."""
        return Together(self.identifiers, self.first.occurred_at)

    def join(self, seen: Sighting, event: Fact) -> None:
        """Take one more sighting in. Idempotent and commutative."""
        self.first = min(self.first, event)
        self.last_hour = max(self.last_hour, hour_of(event.occurred_at))
        for name, value, order in seen.traits:
            fact = replace(event, value=value)
            if order is not None:
                fact = replace(fact, occurred_at=order, seen_at=event.occurred_at)
            self.traits[name] = max(self.traits.get(name, fact), fact)
        self.states |= {(name, event.occurred_at, event.source, event.event_id, seen.index, value) for name, value in seen.states}


@dataclass(frozen=True, slots=True)
class World:
    """Everything the evidence says at one moment. `owner` has no identifier that is off."""

    entities: dict[str, EntityView]
    owner: dict[bytes, str]
    memberships: dict[tuple[str, str], MembershipView]
    successors: dict[bytes, list[str]]
    """Of each identifier that connects nothing: who the links that it is on belong to."""
    refused: list[Refused] = field(default_factory=list)
    """Edges whose ends guards keep apart."""


@dataclass(frozen=True, slots=True)
class Owners:
    """Who is who, and nothing of what is known of anyone."""

    owner: dict[bytes, str]
    """As that of a world."""
    refused: list[Refused]
    """As those of a world."""
    seen: list[SeenIdentifier]
    """All identifiers, the oldest first."""
    parts: list[list[SeenIdentifier]]
    """By entity, its identifiers, the oldest first."""


Memberships = Mapping[tuple[bytes, bytes], set[tuple[Fact, bool]]]
"""By the names of two links, the member's and the group's: sightings, and whether they end the membership."""


def world_of(
    rules: Rules,
    links: dict[bytes, Link],
    memberships: Memberships,
    listed: int,
    now: int,
    corrections: Corrections = NO_CORRECTIONS,
) -> World:
    """Compute who is who: the parts of each entity type under its guards, each with the links of its own. `now` is the present in ms."""
    who = owners_of(rules, links, corrections)
    links_of: list[list[Link]] = [[] for _ in who.parts]
    part_of = {one.digest: at for at, part in enumerate(who.parts) for one in part}
    for link in links.values():
        if (at := of_centre(link, part_of)) is not None:
            links_of[at].append(link)
    views = [entity_of(rules, identifiers, mine, listed, now) for identifiers, mine in zip(who.parts, links_of, strict=True)]
    observed = {view.entity_id: _observed(mine) for view, mine in zip(views, links_of, strict=True)}
    successors: dict[bytes, list[str]] = {one.digest: [] for one in who.seen if one.digest not in who.owner}
    for link in links.values():
        for usable in link.identifiers:
            if usable.digest in successors and (name := of_centre(link, who.owner)) is not None:
                successors[usable.digest].append(name)
    belongs = _memberships(links, who.owner, memberships)
    entities = _with_carried(rules, {view.entity_id: view for view in views}, belongs, observed, now)
    return World(entities, who.owner, belongs, successors, who.refused)


def owners_of(rules: Rules, links: dict[bytes, Link], corrections: Corrections = NO_CORRECTIONS) -> Owners:
    """Compute whose every identifier is: the parts of each entity type under its guards. What is known of anyone is not looked at."""
    seen = identifiers_of(links)
    found = [_parts(rules, entity_type, links, corrections) for entity_type in sorted({one.identifier.entity_type for one in seen})]
    digests = [part for one in found for part in one.parts]
    part_of = {digest: at for at, part in enumerate(digests) for digest in part}
    parts: list[list[SeenIdentifier]] = [[] for _ in digests]
    for one in seen:
        if one.digest in part_of:
            parts[part_of[one.digest]].append(one)
    names = [id_of(rules, founder.identifier.entity_type, founder.digest) for founder, *_ in parts]
    owner = {digest: names[at] for digest, at in part_of.items()}
    return Owners(owner, [one for each in found for one in each.refused], seen, parts)


def _observed(links: list[Link]) -> set[Observation]:
    return {one for link in links for one in link.states}


def _with_carried(
    rules: Rules,
    entities: dict[str, EntityView],
    memberships: Mapping[tuple[str, str], MembershipView],
    observed: Mapping[str, Collection[Observation]],
    now: int,
) -> dict[str, EntityView]:
    """Derive what memberships carry, until nothing changes any more: no state is derived from itself."""
    looking = [name for name, view in entities.items() if rules.states.looks_around(view.entity_type)]
    while looking:
        around: dict[str, dict[str, list[Counterpart]]] = {name: {"members": [], "groups": []} for name in entities}
        for (member, group), one in memberships.items():
            around[member]["groups"].append(counterpart(entities[group].states, one))
            around[group]["members"].append(counterpart(entities[member].states, one))
        found = {name: with_states(entities[name], rules, observed[name], now, around[name]) for name in looking}
        if all(found[name] == entities[name] for name in looking):
            break
        entities = entities | found
    return entities


def _parts(rules: Rules, entity_type: str, links: dict[bytes, Link], corrections: Corrections) -> Parts:
    together = [link.together for link in links.values() if link.identifiers[0].identifier.entity_type == entity_type]
    return parts_of(together, rules.entities[entity_type], corrections)


def of_centre(link: Link, whose: Mapping[bytes, Whose]) -> Whose | None:
    """Say whose a link is, with its traits, states and memberships: its strongest identifier's of those that are anyone's."""
    return next((whose[one.digest] for one in link.identifiers if one.digest in whose), None)


def _memberships(links: dict[bytes, Link], owner: Mapping[bytes, str], known: Memberships) -> dict[tuple[str, str], MembershipView]:
    pairs: dict[tuple[str, str], set[tuple[Fact, bool]]] = {}
    for (member, group), sightings in known.items():
        person, company = of_centre(links[member], owner), of_centre(links[group], owner)
        if person and company:
            pairs.setdefault((person, company), set()).update(sightings)
    return {pair: membership_of(pair, sightings) for pair, sightings in pairs.items()}


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


def entity_of(rules: Rules, identifiers: list[SeenIdentifier], links: list[Link], listed: int, now: int) -> EntityView:
    """Fold a part's identifiers, the oldest first, and the links of its own into its entity: founder, times, traits, states."""
    traits: dict[str, Fact] = {}
    for link in links:
        for name, fact in link.traits.items():
            traits[name] = max(traits.get(name, fact), fact)
    founder = identifiers[0]
    entity_type = founder.identifier.entity_type
    name = id_of(rules, entity_type, founder.digest)
    last = max(one.last_hour for one in identifiers)
    view = EntityView(name, entity_type, founder.first, last, tuple(identifiers[:listed]), len(identifiers), within_bounds(traits))
    return with_states(view, rules, _observed(links), now)


def with_states(view: EntityView, rules: Rules, observations: Collection[Observation], now: int, around: Around = ALONE) -> EntityView:
    """Add the states that follow from the observations of an entity, and from those around it."""
    declared = rules.states.of(view.entity_type)
    if not observations and not declared:
        return view
    following: list[Refusal] = []
    found = histories(declared, observations, view.first, now, around, following)
    wrong = refused(declared, observations, following)
    late = partial(newest_late, declared, observations)
    return replace(view, states=found, refused=wrong, lapses=next_lapse(declared, observations, view.first, now), late=late)


def membership_of(pair: tuple[str, str], sightings: set[tuple[Fact, bool]]) -> MembershipView:
    """Fold the sightings of one membership into the latest, and the latest and the first that do not end it."""
    latest, ended = max(sightings)
    holding = [fact for fact, ends in sightings if not ends]
    return MembershipView(*pair, latest, ended, max(holding, default=None), min(holding, default=None))


def counterpart(states: Mapping[str, History], membership: MembershipView | None) -> Counterpart:
    """Say what an entity with these histories is to whom a membership connects it with; one that is not known carries nothing."""
    if membership is None:
        return Counterpart(states, None)
    return Counterpart(states, membership.begun, membership.latest if membership.ended else None)
