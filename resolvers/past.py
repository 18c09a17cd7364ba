"""The past of one entity: what events up to a time say of it, by who is who today or was then.

Invariant: a function of the set of events, as `folds` is of all of them: a sighting is that of its strongest identifier that belongs
to anybody, of a trait the value counts that its rule says, of a membership the latest sighting and the first.
Cost: no event is kept, but a fold for each set of identifiers that are stronger than the entity's own, and two sightings of each
membership.
Neighbours: `streams.past` reads the events for it, and asks whose the other identifiers are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from resolvers.entity import Fact
from resolvers.erasure import Cutoffs, surviving
from resolvers.evidence import EventLike, evidence_of
from resolvers.folds import Link
from resolvers.identifier import Identifier
from resolvers.instant import hour_of
from resolvers.kept import event_of
from resolvers.rules import Rules
from resolvers.sighting import Evidence, Sighting
from resolvers.states import Observation
from resolvers.trait_rules import within_bounds

Owners = Mapping[Identifier, str | None]
"""Whose identifiers are, by entity id; None, as for one that is left out, for nobody's."""

Names = tuple[Identifier, ...]
"""The identifiers of a sighting, the strongest first, up to the first of the entity's own."""


@dataclass(frozen=True, slots=True)
class Belonging:
    """What sightings of a membership come to: as in a `MembershipView`, values being roles."""

    latest: Fact
    ended: bool
    begun: Fact | None

    def joined(self, other: Belonging | None) -> Belonging:
        """Take more sightings of the same membership in."""
        if other is None:
            return self
        latest, ended = max((self.latest, self.ended), (other.latest, other.ended))
        begun = min((one for one in (self.begun, other.begun) if one is not None), default=None)
        return Belonging(latest, ended, begun)


@dataclass(slots=True)
class Told:
    """What events said of an entity: of each trait what counts, all observations of states, and memberships by the other's id."""

    traits: dict[str, Fact] = field(default_factory=dict)
    observations: set[Observation] = field(default_factory=set)
    groups: dict[str, Belonging] = field(default_factory=dict)
    members: dict[str, Belonging] = field(default_factory=dict)


class Past:
    """Gathers what events up to a time, in epoch ms, say of the entity whose identifiers are given. Events come in any order and number."""

    def __init__(self, rules: Rules, entity_id: str, own: Collection[Identifier], at_ms: int, cutoffs: Cutoffs) -> None:
        """`own` is not empty. What erasures cover counts no more: `cutoffs` are those of all of them."""
        self._rules = rules
        self._entity_id = entity_id
        self._own = frozenset(own)
        self._values: dict[tuple[str, str], set[str]] = {}
        for one in own:
            self._values.setdefault((one.entity_type, one.type), set()).add(one.value)
        self._at_ms = at_ms
        self._cutoffs = cutoffs
        self._links: dict[Names, Link] = {}
        self._pairs: dict[tuple[Names, Names], Belonging] = {}

    def take(self, event: EventLike) -> None:
        """Take an event in. Raises Rejected for one that says nothing under the rules, too."""
        if self._names_own(event) and (evidence := evidence_of(self._rules, event)).occurred_at <= self._at_ms:
            self._join(evidence)

    @property
    def wanted(self) -> set[Identifier]:
        """Name the identifiers of which it must be known whose they are."""
        names = [*self._links, *(side for pair in self._pairs for side in pair)]
        return {one for some in names for one in some} - self._own

    def told(self, owners: Owners) -> Told:
        """Say what the events said, by whose the other identifiers are."""
        found = Told()
        for stronger, link in self._links.items():
            if any(owners.get(one) for one in stronger):
                continue
            for name, fact in link.traits.items():
                found.traits[name] = max(found.traits.get(name, fact), fact)
            found.observations |= link.states
        found.traits = within_bounds(found.traits)
        for (member, group), belonging in self._pairs.items():
            who, what = self._owner(member, owners), self._owner(group, owners)
            if who == self._entity_id and what is not None:
                found.groups[what] = belonging.joined(found.groups.get(what))
            if what == self._entity_id and who is not None:
                found.members[who] = belonging.joined(found.members.get(who))
        return found

    def _names_own(self, event: EventLike) -> bool:
        """Say whether an event names the entity: far quicker than to read what it says."""
        for participant in event.participants:
            for one in participant.identifiers:
                values = self._values.get((participant.entity, one.type))
                if values and one.value.strip():
                    rule = self._rules.entities[participant.entity].identifiers.get(one.type)
                    if rule is not None and rule.normalise(one.value) in values:
                        return True
        return False

    def _join(self, evidence: Evidence) -> None:
        event, key = event_of(evidence), self._rules.identity_key
        found = [surviving(seen, evidence.occurred_at, self._cutoffs, key) for seen in evidence.sightings]
        for seen in found:
            if seen is not None and self._is_near(names := self._names(seen)):
                link = self._links.setdefault(names[:-1], Link(seen.identifiers, event, hour_of(event.occurred_at)))
                link.join(seen, event)
        for one in evidence.memberships:
            member, group = found[one.member], found[one.group]
            if member is not None and group is not None:
                pair = self._names(member), self._names(group)
                if any(map(self._is_near, pair)):
                    role = replace(event, value=(one.role or "").encode())
                    belonging = Belonging(role, one.ended, None if one.ended else role)
                    self._pairs[pair] = belonging.joined(self._pairs.get(pair))

    def _names(self, seen: Sighting) -> Names:
        names = tuple(usable.identifier for usable in seen.identifiers)
        return next((names[: at + 1] for at, one in enumerate(names) if one in self._own), names)

    def _is_near(self, names: Names) -> bool:
        return names[-1] in self._own

    def _owner(self, names: Names, owners: Owners) -> str | None:
        return next((owner for one in names if (owner := self._entity_id if one in self._own else owners.get(one)) is not None), None)
