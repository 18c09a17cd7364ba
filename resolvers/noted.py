"""Noted: what became of entities since they were told last, for the timeline of the resolver in memory.

Invariant: it decides nothing; who is who is computed from the evidence alone. Neighbours: `memory` notes after each change and forgets
with each round; in Redis `lua/graph.lua` keeps notes beside what is dirty.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from resolvers.change import NOBODY, Change
from resolvers.entity import Fact
from resolvers.folds import Link, Owners
from resolvers.identifier import founder_of
from resolvers.timeline import Merge, refusal

Owner = Mapping[bytes, str]
"""By the digest of an identifier, the entity that it belongs to."""

Links = Mapping[bytes, Link]
"""By its name."""


class Noted:
    """What is noted by entity id: merges into it and of it, its parts, whether an erasure took of it, what guards kept out."""

    def __init__(self) -> None:
        """Start with nothing to tell."""
        self._merges: dict[str, list[tuple[str, bytes]]] = {}
        self._endings: dict[str, bytes] = {}
        self.splits: dict[str, set[str]] = {}
        self.lessened: set[str] = set()
        self.refusals: dict[str, list[Change]] = {}
        self._reported: set[tuple[bytes, bytes]] = set()

    def changed(self, before: Owner, after: Owner, link: bytes = b"") -> None:
        """Note which ids ended, by the link of this name or by a command, and which ones were taken apart."""
        for absorbed in set(before.values()) - set(after.values()):
            if survivor := after.get(founder_of(absorbed)):
                self._merges.setdefault(survivor, []).append((absorbed, link))
                self._endings[absorbed] = link
        parts: dict[str, set[str]] = {}
        for digest in before.keys() & after.keys():
            parts.setdefault(before[digest], set()).add(after[digest])
        for whole, into in parts.items():
            if len(into) > 1:
                self.splits.setdefault(whole, set()).update(into - {whole})

    def refused(self, who: Owners, links: Iterable[Link]) -> None:
        """Note what guards keep apart, each edge once."""
        for one in who.refused:
            ends = set(one.edge.ends)
            if one.edge.ends in self._reported:
                continue
            self._reported.add(one.edge.ends)
            on = [link for link in links if ends <= {usable.digest for usable in link.identifiers}]
            event = min((link.first for link in on), default=Fact(one.edge.first, "", ""))
            told = refusal(one.guard.value, event, [pair for link in on[:1] for pair in _named(link)])
            self.refusals.setdefault(who.owner[one.edge.stronger.digest], []).append(told)

    def lessen(self, entity_ids: Collection[str]) -> None:
        """Note of which entities an erasure took something; what was to be told of their past is not."""
        self.lessened.update(entity_ids)
        for entity_id in entity_ids:
            self.refusals.pop(entity_id, None)

    def merges(self, entity_id: str, links: Links) -> list[Merge]:
        """Give the merges into an entity as their links are now: one that an erasure took tells nothing."""
        return [_merge(absorbed, links.get(name)) for absorbed, name in self._merges.get(entity_id, ())]

    def ending(self, entity_id: str, links: Links) -> Fact:
        """Give the event by which an id was merged, as its link is now."""
        return _merge(entity_id, links.get(self._endings.get(entity_id, b""))).event

    def told(self, entity_id: str) -> None:
        """Forget what a round has told."""
        self.known(entity_id)
        self.refusals.pop(entity_id, None)

    def known(self, entity_id: str) -> None:
        """Forget what came to just what a topic says. What guards refused is in no document: of that nobody knows whether it was told."""
        self._merges.pop(entity_id, None)
        self._endings.pop(entity_id, None)
        self.splits.pop(entity_id, None)
        self.lessened.discard(entity_id)


def _merge(absorbed: str, link: Link | None) -> Merge:
    if link is None:
        return Merge(absorbed, NOBODY)
    return Merge(absorbed, link.first, tuple(_named(link)))


def _named(link: Link) -> list[tuple[str, str]]:
    return [(usable.identifier.type, usable.identifier.value) for usable in link.identifiers]
