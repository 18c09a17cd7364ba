"""Kept: the evidence of a space in memory, and what operators say against it.

Invariant: links and memberships are a function of the set of evidence and erasures: what an erasure covers is left out of
them as if it had never come. Neighbours: `memory` computes from it who is who, `folds` how.
"""

from __future__ import annotations

from dataclasses import replace

from resolvers.correction import Correction, Kind, Subject, in_force, standing
from resolvers.entity import Fact
from resolvers.erasure import Erasure, cutoffs_with, reborn, surviving
from resolvers.folds import Link, identifiers_of
from resolvers.hub import hubs
from resolvers.identifier import Identifier, identifier_digest, later_digest
from resolvers.instant import hour_of
from resolvers.rules import Rules
from resolvers.sighting import Evidence, Sighting, Usable
from resolvers.standing import Standing


class Kept:
    """Everything that is remembered; the rest is computed."""

    def __init__(self, rules: Rules) -> None:
        """Start empty."""
        self.links: dict[bytes, Link] = {}
        self.memberships: dict[tuple[bytes, bytes], set[tuple[Fact, bool]]] = {}
        self.types: dict[bytes, str] = {}
        """The entity type of every digest that was ever seen or erased."""
        self._rules = rules
        self._key = rules.identity_key
        self._evidence: dict[Evidence, None] = {}
        self._corrections: dict[Subject, Correction] = {}
        self._cutoffs: dict[bytes, int] = {}

    @property
    def corrections(self) -> list[Correction]:
        """Give the corrections that stand, about identifiers as they are known now."""
        return [replace(one, identifiers=tuple(map(self._reborn, one.identifiers))) for one in self._corrections.values()]

    def digest_of(self, identifier: Identifier) -> bytes:
        """Digest an identifier as it is known now."""
        return self._reborn(Usable(identifier, identifier_digest(self._key, identifier), 0)).digest

    def surviving(self, evidence: Evidence) -> tuple[Sighting | None, ...]:
        """Give what counts of each sighting of an event, None for nothing."""
        return tuple(surviving(seen, evidence.occurred_at, self._cutoffs, self._key) for seen in evidence.sightings)

    def remember(self, evidence: Evidence) -> None:
        """Remember an event for the day on which something is erased."""
        self._evidence[evidence] = None
        self.types |= {one.digest: seen.entity_type for seen in evidence.sightings for one in seen.identifiers}

    def see(self, seen: Sighting, event: Fact) -> Link:
        """Join a sighting that counts into its link."""
        link = self.links.setdefault(seen.link, Link(seen.identifiers, event, hour_of(event.occurred_at)))
        link.join(seen, event)
        self.types |= {one.digest: seen.entity_type for one in seen.identifiers}
        return link

    def belong(self, evidence: Evidence, surviving_: tuple[Sighting | None, ...]) -> None:
        """Join the memberships of an event whose sightings count."""
        event = event_of(evidence)
        for one in evidence.memberships:
            member, group = surviving_[one.member], surviving_[one.group]
            if member is not None and group is not None:
                role = replace(event, value=(one.role or "").encode())
                self.memberships.setdefault((member.link, group.link), set()).add((role, one.ended))

    def correct(self, one: Correction) -> None:
        """Take a correction in: of each subject the latest stands."""
        self._corrections = standing([*self._corrections.values(), one])

    def erase(self, erasure: Erasure) -> None:
        """Take an erasure in, and join everything anew that counts still."""
        for one in erasure.covered:
            self.types[one.digest] = one.identifier.entity_type
            self.types[later_digest(self._key, one.digest, erasure.cutoff)] = one.identifier.entity_type
        self._cutoffs = cutoffs_with(self._cutoffs, erasure)
        self.links, self.memberships = {}, {}
        for evidence in self._evidence:
            found = self.surviving(evidence)
            for seen in found:
                if seen is not None:
                    self.see(seen, event_of(evidence))
            self.belong(evidence, found)

    def standing(self, identifier: Identifier) -> Standing:
        """Say whether an identifier connects, and what was said of it."""
        seen, digest = {one.digest: one.identifier for one in identifiers_of(self.links)}, self.digest_of(identifier)
        named = [(*one.subject, one) for one in self.corrections if one.holds]
        said = [(kind, set(digests) - {digest}, one) for kind, digests, one in named if digest in digests]
        blocked = any(kind is Kind.BLOCK for kind, _, _ in said)
        links = self.links.values()
        alike = [link.together for link in links if link.identifiers[0].identifier.entity_type == identifier.entity_type]
        hub = digest in hubs(alike, self._rules.entities[identifier.entity_type], in_force(self.corrections).blocked)
        forbidden = tuple(sorted(seen[one] for kind, others, _ in said for one in others if kind is Kind.FORBID and one in seen))
        linked = sorted((seen[one], what.issued_at) for kind, others, what in said for one in others if kind is Kind.LINK and one in seen)
        cutoff = self._cutoffs.get(identifier_digest(self._key, identifier))
        return Standing(digest in seen, blocked, hub, forbidden, tuple(linked), cutoff)

    def _reborn(self, usable: Usable) -> Usable:
        return reborn(usable, self._cutoffs, self._key)


def event_of(evidence: Evidence) -> Fact:
    """Give the event of evidence as what is ordered by it needs it."""
    return Fact(evidence.occurred_at, evidence.source, evidence.event_id)
