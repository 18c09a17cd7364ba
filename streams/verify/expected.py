"""What the event log says, for checking: identifiers, links, entities, memberships and participants, and their documents.

Everything is numbered: an identifier by its place in `identifiers`, an entity by the number of the identifier that
founds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain
from typing import Any

import msgspec

from streams.verify.commanded import Commanded
from streams.verify.flood import flooded
from streams.verify.instants import HOUR, hour, written
from streams.verify.states import DeclaredStates, History, Span
from streams.verify.traits import told as told_traits
from streams.verify.usable import Name, Usable, founding_digest

LISTED = 1_000
"""A document lists at most so many identifiers, the oldest."""

Moment = tuple[int, str, str]
"""An event as what is ordered by it needs it: (time, source, event id)."""

Observed = tuple[Moment, bytes]
"""(event, canonical JSON): of several values of a trait, the largest holds."""

State = tuple[str, Moment, int, str]
"""(state, event, index of the participant, value)."""


@dataclass(slots=True)
class Link:
    """Identifiers seen together: when first, in which hour last, and what was observed through them."""

    identifiers: tuple[int, ...]
    first: Moment
    last: int
    traits: dict[str, Observed] | None = None
    states: set[State] | None = None


Role = tuple[Moment, str]
"""(event, role, empty for none)."""


@dataclass(slots=True)
class Belonging:
    """Sightings of one membership: the latest, whether it ends it, and the latest and the first that do not."""

    latest: Role
    ended: bool
    active: Role | None
    begun: Role | None

    def join(self, latest: Role, ended: bool, active: Role | None, begun: Role | None) -> None:
        """Take more sightings of the same membership in."""
        self.latest, self.ended = max((self.latest, self.ended), (latest, ended))
        if active is not None and (self.active is None or active > self.active):
            self.active = active
        if begun is not None and (self.begun is None or begun < self.begun):
            self.begun = begun


@dataclass(slots=True)
class Seen:
    """When an identifier was seen: its first event, its last hour, and the number of its entity's founder, -1 for nobody's."""

    first: Moment
    last: int
    founder: int = -1


@dataclass(slots=True)
class Entity:
    """Identifiers that are one, the oldest first, which founds it."""

    members: list[int]
    first: int
    last: int
    traits: dict[str, Observed] = field(default_factory=dict)


Part = tuple[tuple[int, ...], str, int]
"""A participant: its identifiers, its role, its time."""

Pair = tuple[tuple[int, ...], tuple[int, ...]]
"""The identifiers of two participants: the member's, the group's."""


@dataclass(slots=True)
class Counts:
    """How much of the log was read, and what was left out of it."""

    events: int = 0
    rejected: int = 0
    without_identifier: int = 0


@dataclass
class Erased:
    """What erasures have taken out: sightings that count no more, as far as it must be known that they were there."""

    connected: set[tuple[bytes, bytes]] = field(default_factory=set)
    """Digests of first generations that were seen together."""

    participants: set[bytes] = field(default_factory=set)
    """Keys of participants of which the topic may or may not have a record."""

    shown: set[tuple[str, str, Moment, str]] = field(default_factory=set)
    """What was observed of states: (entity type, state, event, value)."""

    former: dict[bytes, bytes] = field(default_factory=dict)
    """Digests of which ids may have been made that lead nowhere now, to those of first generations."""


@dataclass
class Expected:
    """Everything that the store and the topics must say. Made by `recompute`, then never changed."""

    usable: Usable
    identifiers: list[Name]
    seen: list[Seen]
    links: dict[tuple[int, ...], Link]
    entities: dict[int, Entity]
    belongings: dict[Pair, Belonging]
    memberships: dict[tuple[int, int], Belonging]
    participants: dict[bytes, Part | set[Part]]
    counts: Counts
    commanded: Commanded
    once_linked: set[tuple[int, int]]
    """Pairs of identifiers that a command linked, whether or not it stands."""

    erased: Erased
    states: DeclaredStates
    now: int
    """The present in ms, until which values lapse."""

    @cached_property
    def by_digest(self) -> dict[bytes, int]:
        """Number identifiers by their digests."""
        return {name.digest: number for number, name in enumerate(self.identifiers)}

    def entity_id(self, founder: int) -> str:
        """Write the id of the entity with this founder."""
        return self.ids[founder]

    @cached_property
    def ids(self) -> dict[int, str]:
        """Write the id of every living entity, by its founder."""
        return {founder: self.usable.entity_id(self.identifiers[founder]) for founder in self.entities}

    def living(self, entity_id: str) -> str | None:
        """Give the living entity that an id leads to by its founding identifier; None when the log knows no such identifier."""
        number = self.by_digest.get(founding_digest(entity_id) or b"")
        return None if number is None else self.ids.get(self.seen[number].founder)

    @cached_property
    def off(self) -> set[int]:
        """Give the identifiers that connect nothing."""
        return {number for number, seen in enumerate(self.seen) if seen.founder < 0}

    def owner(self, identifiers: tuple[int, ...]) -> int:
        """Give the founder of the entity to which a link of these identifiers belongs; -1 for nobody."""
        names, seen = self.identifiers, self.seen
        usable = [number for number in identifiers if seen[number].founder >= 0]
        return seen[min(usable, key=lambda one: (names[one].priority, names[one].digest))].founder if usable else -1

    def once_joined(self, entity_id: str, number: int) -> bool:
        """Say whether the founding identifier of an id and another are connected by links, but guards keep apart what is connected."""
        founder = self._numbered.get(founding_digest(entity_id) or b"", -1)
        return founder >= 0 and self._connected[founder] == self._connected[number] and self._connected[number] in self._parted

    @cached_property
    def _numbered(self) -> dict[bytes, int]:
        """Number identifiers by digest, and behind them what was erased by the digests of its generations."""
        first = sorted({*self.erased.former.values(), *(one for pair in self.erased.connected for one in pair)})
        erased = {digest: len(self.identifiers) + at for at, digest in enumerate(first)}
        return {**erased, **{digest: erased[known] for digest, known in self.erased.former.items()}, **self.by_digest}

    @cached_property
    def _connected(self) -> list[int]:
        """Label identifiers by what links connect, guards or none."""
        pairs = ((one[0], other) for one in self.links for other in one[1:])
        numbered = self._numbered
        known_as = self.commanded.known_as
        again = ((numbered[one], numbered[known_as(one)]) for one in {*self.commanded.cutoffs} if known_as(one) in numbered)
        former = ((numbered[one], numbered[first]) for one, first in self.erased.former.items())
        seen = ((numbered[one], numbered[other]) for one, other in self.erased.connected)
        return flooded(max([*numbered.values(), -1]) + 1, chain(pairs, self.once_linked, again, former, seen))

    @cached_property
    def _parted(self) -> set[int]:
        """Name what is connected and yet not one."""
        founders: dict[int, set[int]] = {}
        for number, label in enumerate(self._connected):
            founders.setdefault(label, set()).add(self.seen[number].founder if number < len(self.seen) else -number)
        return {label for label, found in founders.items() if len(found) > 1}

    @cached_property
    def successors(self) -> dict[int, set[str]]:
        """Give, for each identifier that connects nothing, who the links that it is on belong to."""
        found: dict[int, set[str]] = {number: set() for number in self.off}
        for identifiers in self.links if found else ():
            for number in identifiers:
                if number in found and (owner := self.owner(identifiers)) >= 0:
                    found[number].add(self.ids[owner])
        return found

    def entity_documents(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Write every living entity's document by its key."""
        for founder, entity in self.entities.items():
            key = self.ids[founder]
            yield (
                key,
                {
                    "entity_id": key,
                    "entity_type": self.identifiers[founder].entity_type,
                    "status": "active",
                    "first_seen": written(entity.first),
                    "last_seen": _last(entity.first, entity.last),
                    "identifiers": [self._listed(number) for number in entity.members[:LISTED]],
                    "identifier_count": len(entity.members),
                    **_told({name: value for name, (_, value) in entity.traits.items()}),
                    **_states_told({name: held[-1] for name, held in self.histories(founder).items()}),
                },
            )

    def histories(self, founder: int) -> dict[str, History]:
        """Give the histories of an entity's states."""
        names = self.states.named(self.identifiers[founder].entity_type, self._observed.get(founder, ()))
        return {name: known for name in names if (known := self.history(founder, name))}

    def history(self, founder: int, name: str) -> History:
        """Give the history of one state of an entity."""
        if (founder, name) not in self._histories:
            observed, others = self._observed.get(founder, ()), Near(self, founder)
            entity_type = self.identifiers[founder].entity_type
            first = self.entities[founder].first
            self._histories[founder, name] = self.states.history(entity_type, name, observed, first, self.now, others)
        return self._histories[founder, name]

    def observed_of(self, founder: int) -> set[State]:
        """Give what was observed of an entity's states."""
        return self._observed.get(founder, set())

    def refused_following(self, founder: int) -> Iterator[tuple[str, int, str]]:
        """Give the values that follow for an entity and are refused: (state, from when on in ms, value)."""
        entity_type, first = self.identifiers[founder].entity_type, self.entities[founder].first
        return self.states.refused_following(entity_type, first, Near(self, founder))

    def unbrought(self, founder: int) -> set[int]:
        """Give the times in ms at which something may come to follow for an entity that no event brought."""
        return self.states.unbrought(self.identifiers[founder].entity_type, self.entities[founder].first, self.now)

    @cached_property
    def _histories(self) -> dict[tuple[int, str], History]:
        return {}

    @cached_property
    def near(self) -> dict[str, dict[int, list[tuple[int, Span]]]]:
        """Give the `members` and the `groups` of each entity, by founders, and from when to when these memberships held."""
        found: dict[str, dict[int, list[tuple[int, Span]]]] = {"members": {}, "groups": {}}
        for (member, group), one in self.memberships.items():
            span = one.begun and one.begun[0][0], one.latest[0][0] if one.ended else None
            found["members"].setdefault(group, []).append((member, span))
            found["groups"].setdefault(member, []).append((group, span))
        return found

    @cached_property
    def _observed(self) -> dict[int, set[State]]:
        """Gather what was observed of each entity's states."""
        found: dict[int, set[State]] = {}
        for identifiers, link in self.links.items():
            if link.states and (owner := self.owner(identifiers)) >= 0:
                found.setdefault(owner, set()).update(link.states)
        return found

    def identifier_documents(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Write every identifier's document by its key."""
        for number, name in enumerate(self.identifiers):
            if self.seen[number].founder < 0:
                continue
            document = {"entity_type": name.entity_type, **self._listed(number), "status": "active"}
            yield name.key, {**document, "entity_id": self.ids[self.seen[number].founder]}

    def membership_documents(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Write every membership's document by its key.

        The latest sighting gives role and source. `since` is its time, or where it ends the membership and there was
        one before that did not, that one's; a role that an ending leaves out is taken from there too.
        """
        for (member, group), one in self.memberships.items():
            began = one.active if one.ended and one.active is not None else one.latest
            pair = self.ids[member], self.ids[group]
            yield (
                ":".join(pair),
                {
                    "person_id": pair[0],
                    "group_id": pair[1],
                    "role": one.latest[1] or began[1] or None,
                    "since": written(began[0][0]),
                    "until": written(one.latest[0][0]) if one.ended else None,
                    "last_seen": _last(began[0][0], hour(one.latest[0][0])),
                    "source": one.latest[0][1],
                },
            )

    def _listed(self, number: int) -> dict[str, Any]:
        name, seen = self.identifiers[number], self.seen[number]
        return {"type": name.type, "value": name.told, "first_seen": written(seen.first[0]), "last_seen": _last(seen.first[0], seen.last)}


@dataclass(frozen=True, slots=True)
class Near:
    """What derived states of an entity may be made of."""

    expected: Expected
    founder: int

    def own(self, name: str) -> History:
        """Give the history of a state of its own."""
        return self.expected.history(self.founder, name)

    def around(self, of: str) -> list[tuple[Callable[[str], History], Span]]:
        """Give the histories of its `members` or `groups`, and from when to when the membership held."""
        return [(partial(self.expected.history, other), span) for other, span in self.expected.near[of].get(self.founder, ())]


def _states_told(present: dict[str, tuple[int, str | None]]) -> dict[str, Any]:
    """Write the states that have a value: as many, in the order of their names, as a quarter of a mebibyte holds."""
    told: dict[str, Any] = {}
    total, having = 0, sorted((name, since, value) for name, (since, value) in present.items() if value is not None)
    for name, since, value in having:
        total += len(f"{name}{value}".encode("utf-8", "surrogatepass"))
        if total > 256 * 1024:
            break
        told[name] = {"value": value, "since": written(since)}
    return {"states": told} | ({"states_left_out": len(having) - len(told)} if len(told) < len(having) else {})


def _last(first: int, last_hour: int) -> str:
    return written(max(last_hour * HOUR, first))


def _told(traits: dict[str, bytes]) -> dict[str, Any]:
    """Choose the traits that a document has room for: all, but the largest where they are over half a mebibyte together."""
    sizes = {name: len(name.encode("utf-8", "surrogatepass")) + len(value) for name, value in traits.items()}
    by_size, total = sorted(sizes, key=lambda name: (sizes[name], name)), sum(sizes.values())
    left_out = 0
    while total > 512 * 1024:
        total -= sizes[by_size.pop()]
        left_out += 1
    told: dict[str, Any] = {
        "traits": {name: msgspec.json.decode(value) for name, value in told_traits({one: traits[one] for one in by_size}).items()}
    }
    return told | ({"traits_left_out": left_out} if left_out else {})
