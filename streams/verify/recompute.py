"""Recomputing: from all events of the log to what they say together, in one batch over the whole set.

Events are gathered into the sets of identifiers that were seen together; then, once, these are sorted into who is
one under the guards, and folded. Nothing of the resolver is used, and nothing is kept up to date: this is the plain way.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import replace

import msgspec

from streams.events import Event, Membership, Participant, decode_event
from streams.settings import Settings
from streams.verify.commanded import Commanded
from streams.verify.expected import Belonging, Counts, Entity, Erased, Expected, Link, Moment, Pair, Part, Seen
from streams.verify.guards import Orders, crowded, labels, strongest
from streams.verify.instants import hour, milliseconds
from streams.verify.states import DeclaredStates, cut
from streams.verify.traits import DeclaredTraits, bounded
from streams.verify.usable import Name, Usable

MOST_IDENTIFIERS = 200
MOST_NAMES = 500
LONGEST_NAME = 256
DEEPEST = 100
"""An event whose participant has more is a dead letter."""

_Sighting = tuple[tuple[int, ...], dict[str, bytes]]
"""(identifiers with the centre first, traits as canonical JSON)."""


class UnreadableError(Exception):
    """An event that the pipeline must have sent to the dead letters."""


def recompute(events: Iterable[bytes | None], settings: Settings, commands: Iterable[tuple[bytes | None, int]] = ()) -> Expected:
    """Say what the values of the event log's records say together, and commands with their timestamps. Order and repeats do not matter."""
    gathered = Gathered(settings)
    for value, written in commands:
        gathered.commanded.add(value, written)
    for value in events:
        gathered.add(value)
    return gathered.expected()


class Gathered:
    """Events gathered so far. Adding one again changes nothing but the counts. Erasures must be known before the first event."""

    def __init__(self, settings: Settings, commanded: Commanded | None = None) -> None:
        """Start with nothing, or with what was commanded."""
        self._usable = Usable(settings)
        self._states = DeclaredStates(settings)
        self._traits = DeclaredTraits(settings)
        self._numbers: dict[tuple[str, str, str], int] = {}
        self._by_key: dict[tuple[str, str, str], int] = {}
        self._identifiers: list[Name] = []
        self._one: dict[bytes, bytes] = {}
        self._links: dict[tuple[int, ...], Link] = {}
        self._belongings: dict[Pair, Belonging] = {}
        self._participants: dict[bytes, Part | set[Part]] = {}
        declaring: dict[str, list[str]] = {}
        for name, entity in settings.entities.items():
            for kind in entity.identifiers:
                declaring.setdefault(kind, []).append(name)
        self.commanded = commanded or Commanded(self._usable, declaring)
        self.counts = Counts()
        self._erased = Erased()
        self._first: dict[tuple[str, str, str], Name | None] = {}

    def add(self, value: bytes | None) -> None:
        """Take a record of the event log in."""
        self.counts.events += 1
        try:
            event, at = _read(value)
            sightings = [self._sighting(one, at) for one in event.participants]
        except UnreadableError:
            self.counts.rejected += 1
            return
        moment = at, sys.intern(event.source), event.event_id
        usable = False
        for index, (participant, (identifiers, traits)) in enumerate(zip(event.participants, sightings, strict=True)):
            if identifiers:
                usable = True
                together = self._see(moment, index, identifiers, traits, self._states.seen(event, participant))
                self._take_part(f"{event.source}:{event.event_id}:{index}".encode(), (together, sys.intern(participant.role), at))
            elif self.commanded.cutoffs and self._is_erased(participant, at):
                self._erased.participants.add(f"{event.source}:{event.event_id}:{index}".encode())
                self._erased.shown |= {(participant.entity, state, moment, value) for state, value in self._states.seen(event, participant)}
        if not usable:
            self.counts.without_identifier += 1
        for one in event.memberships:
            member, group = sightings[one.member][0], sightings[one.group][0]
            if member and group:
                self._belong(moment, one, self._links[member].identifiers, self._links[group].identifiers)

    def expected(self) -> Expected:
        """Compute who is who from everything gathered."""
        seen = _times(len(self._identifiers), self._links)
        entities = self._entities(seen)
        memberships: dict[tuple[int, int], Belonging] = {}
        found = Expected(
            self._usable,
            self._identifiers,
            seen,
            self._links,
            entities,
            self._belongings,
            memberships,
            self._participants,
            self.counts,
            self.commanded,
            self._once_linked(),
            self._erased,
            self._states,
            time.time_ns() // 1_000_000,
        )
        self._erased.former |= self.commanded.former
        for (member, group), one in self._belongings.items():
            pair = found.owner(member), found.owner(group)
            if min(pair) >= 0:
                memberships.setdefault(pair, replace(one)).join(one.latest, one.ended, one.active, one.begun)
        return found

    def _orders(self) -> Orders:
        """Say what operators say of identifiers that were seen."""
        known = {name.digest: number for number, name in enumerate(self._identifiers)}
        known_as = self.commanded.known_as
        said = {
            kind: [(one, [known.get(known_as(name.digest), -1) for name in one.names]) for one in self.commanded.in_force(kind)]
            for kind in "bfl"
        }
        return Orders(
            frozenset(numbers[0] for _, numbers in said["b"] if numbers[0] >= 0),
            frozenset((numbers[0], numbers[1]) for _, numbers in said["f"] if min(numbers) >= 0),
            {(numbers[0], numbers[1]): one.issued for one, numbers in said["l"] if min(numbers) >= 0},
        )

    def _once_linked(self) -> set[tuple[int, int]]:
        """List the pairs of seen identifiers that a command ever linked."""
        known = {name.digest: number for number, name in enumerate(self._identifiers)}
        linked = [map(self.commanded.known_as, digests) for kind, digests in self.commanded.ever if kind == "l"]
        pairs = [[known.get(digest, -1) for digest in digests] for digests in linked]
        return {(one, other) for one, other in pairs if min(one, other) >= 0}

    def _entities(self, seen: list[Seen]) -> dict[int, Entity]:
        """Sort identifiers into entities, oldest first, so that the first to come of each founds it."""
        names, links = self._identifiers, self._links
        orders = self._orders()
        off = crowded(names, links, self._usable.hubs, orders.blocked) | orders.blocked
        label = labels(names, links, off, self._usable, orders)
        entities: dict[int, Entity] = {}
        founders: dict[int, int] = {}
        for number in sorted(range(len(names)), key=lambda one: (seen[one].first[0], names[one].digest)):
            if label[number] < 0:
                continue
            founder = seen[number].founder = founders.setdefault(label[number], number)
            entity = entities.setdefault(founder, Entity([], seen[founder].first[0], seen[founder].last))
            entity.members.append(number)
            entity.last = max(entity.last, seen[number].last)
        for link in links.values():
            bounded(link.traits or {})
        for together, link in links.items():
            if link.traits and (centre := strongest(names, together, off)) >= 0:
                traits = entities[seen[centre].founder].traits
                for name, observed in link.traits.items():
                    traits[name] = max(traits.get(name, observed), observed)
        for entity in entities.values():
            bounded(entity.traits)
        return entities

    def _is_erased(self, participant: Participant, at: int) -> bool:
        """Say whether an erasure covers a participant of an event of this time; what it was seen with is remembered then."""
        named = [self._named(participant.entity, one.type, one.value) for one in participant.identifiers]
        digests = [name.digest for name in named if name is not None]
        if not any(self.commanded.cutoffs.get(digest, at) > at for digest in digests):
            return False
        self._erased.connected.update((digests[0], other) for other in digests)
        self._erased.former |= {digest: digest for digest in digests}
        return True

    def _named(self, entity_type: str, kind: str, value: str) -> Name | None:
        """Judge an identifier, which has the digest of its first generation then."""
        asked = entity_type, kind, value
        if asked not in self._first:
            self._first[asked] = self._usable.judge(*asked)
        return self._first[asked]

    def _sighting(self, participant: Participant, at: int) -> _Sighting:
        names = [*participant.traits, *participant.states]
        if len(participant.identifiers) > MOST_IDENTIFIERS or max(len(participant.traits), len(participant.states)) > MOST_NAMES:
            raise UnreadableError
        if any(len(name) > LONGEST_NAME for name in names) or any("\0" in name for name in participant.traits):
            raise UnreadableError
        erased = bool(self.commanded.cutoffs) and self._is_erased(participant, at)
        found = [-1 if erased else self._number(participant.entity, one.type, one.value) for one in participant.identifiers]
        identifiers = (found[0],) if len(found) == 1 else self._centre_first(set(found) - {-1})
        if not identifiers or identifiers[0] < 0:
            identifiers = ()
        if not participant.traits or not (identifiers or erased):
            return identifiers, {}
        try:
            if any(_levels(one) > DEEPEST for one in participant.traits.values()):
                raise UnreadableError
            traits = dict(self._traits.seen(participant.entity, participant.traits))
        except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
            raise UnreadableError from error
        if len(traits) > MOST_NAMES:
            raise UnreadableError
        return identifiers, traits if identifiers else {}

    def _centre_first(self, found: set[int]) -> tuple[int, ...]:
        if len(found) < 2:
            return (*found,)
        centre = min(found, key=lambda number: (self._identifiers[number].priority, self._identifiers[number].digest))
        return (centre, *sorted(found - {centre}))

    def _number(self, entity_type: str, kind: str, value: str) -> int:
        """Give an identifier's number; -1 for one that connects nothing."""
        asked = entity_type, kind, value
        number = self._numbers.get(asked)
        if number is None:
            name = self._usable.judge(entity_type, kind, value)
            number = self._numbers[asked] = -1 if name is None else self._number_of(name)
        return number

    def _number_of(self, name: Name) -> int:
        number = self._by_key.setdefault((name.entity_type, name.type, name.value), len(self._identifiers))
        if number == len(self._identifiers):
            self._identifiers.append(replace(name, digest=self.commanded.known_as(name.digest)))
        return number

    def _see(
        self, moment: Moment, index: int, identifiers: tuple[int, ...], traits: dict[str, bytes], states: list[tuple[str, str]]
    ) -> tuple[int, ...]:
        link = self._links.get(identifiers)
        if link is None:
            link = self._links[identifiers] = Link(identifiers, moment, hour(moment[0]))
        elif moment < link.first:
            link.first = moment
        else:
            link.last = max(link.last, hour(moment[0]))
        if traits:
            known = link.traits = link.traits or {}
            for name, value in traits.items():
                ranked = self._traits.ranked(self._identifiers[identifiers[0]].entity_type, name, moment, value)
                observed = ranked, self._one.get(value) or self._keep(value)
                if name not in known or observed > known[name]:
                    known[name] = observed
        if states:
            link.states = link.states or set()
            link.states.update((state, moment, index, value) for state, value in states)
        return link.identifiers

    def _keep(self, value: bytes) -> bytes:
        """Hold every distinct value once, in a copy of its own size: what an encoder gives occupies kilobytes."""
        return self._one.setdefault(value, bytes(memoryview(value)))

    def _take_part(self, key: bytes, part: Part) -> None:
        """Remember a participant. Events of one id that differ leave several, any of which may be on the topic."""
        known = self._participants.setdefault(key, part)
        if isinstance(known, set):
            known.add(part)
        elif known != part:
            self._participants[key] = {known, part}

    def _belong(self, moment: Moment, one: Membership, member: tuple[int, ...], group: tuple[int, ...]) -> None:
        role = moment, cut(one.role or "")
        active = None if one.ended else role
        known = self._belongings.get((member, group))
        if known is None:
            self._belongings[member, group] = Belonging(role, one.ended, active, active)
        else:
            known.join(role, one.ended, active, active)


def _read(value: bytes | None) -> tuple[Event, int]:
    if value is None:
        raise UnreadableError
    try:
        event = decode_event(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError from error
    at = milliseconds(event.occurred_at)
    if at is None:
        raise UnreadableError
    for one in event.memberships:
        if not (0 <= one.member < len(event.participants) and 0 <= one.group < len(event.participants)):
            raise UnreadableError
    return event, at


def _levels(value: object) -> int:
    """Count how deep lists and objects are nested in a value; a number or a text is 0 deep."""
    deepest, todo = 0, [(value, 0)]
    while todo:
        one, depth = todo.pop()
        inner = one.values() if isinstance(one, dict) else one if isinstance(one, list) else None
        if inner is not None:
            deepest = max(deepest, depth + 1)
            todo += [(each, depth + 1) for each in inner]
    return deepest


def _times(count: int, links: dict[tuple[int, ...], Link]) -> list[Seen]:
    """Find each identifier's first event and last hour among the links that it is in."""
    seen: list[Seen | None] = [None] * count
    for identifiers, link in links.items():
        for number in identifiers:
            known = seen[number]
            if known is None:
                seen[number] = Seen(link.first, link.last)
                continue
            known.first = min(known.first, link.first)
            known.last = max(known.last, link.last)
    return [one for one in seen if one is not None]
