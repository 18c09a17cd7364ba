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


class Noted:
    """What is noted by entity id: merges into it and of it, its parts, whether an erasure took of it, what guards kept out."""

    def __init__(self) -> None:
        """Start with nothing to tell."""
        self.merges: dict[str, list[Merge]] = {}
        self.endings: dict[str, Fact] = {}
        self.splits: dict[str, set[str]] = {}
        self.lessened: set[str] = set()
        self.refusals: dict[str, list[Change]] = {}
        self._reported: set[tuple[bytes, bytes]] = set()

    def changed(self, before: Owner, after: Owner, event: Fact, named: tuple[tuple[str, str], ...] = ()) -> None:
        """Note which ids ended by an event, and the link that it showed, and which ones it took apart."""
        for absorbed in set(before.values()) - set(after.values()):
            if survivor := after.get(founder_of(absorbed)):
                self.merges.setdefault(survivor, []).append(Merge(absorbed, event, named))
                self.endings[absorbed] = event
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
            named = {(usable.identifier.type, usable.identifier.value) for link in on[:1] for usable in link.identifiers}
            told = refusal(one.guard.value, event, sorted(named))
            self.refusals.setdefault(who.owner[one.edge.stronger.digest], []).append(told)

    def lessen(self, entity_ids: Collection[str]) -> None:
        """Note of which entities an erasure took something; what was to be told of their past is not."""
        self.lessened.update(entity_ids)
        for entity_id in entity_ids:
            self.endings |= {one.absorbed_id: NOBODY for one in self.merges.get(entity_id, ())}
            self.merges[entity_id] = [Merge(one.absorbed_id, NOBODY) for one in self.merges.get(entity_id, ())]
            self.refusals.pop(entity_id, None)

    def told(self, entity_id: str) -> None:
        """Forget what a round has told."""
        self.merges.pop(entity_id, None)
        self.endings.pop(entity_id, None)
        self.splits.pop(entity_id, None)
        self.refusals.pop(entity_id, None)
        self.lessened.discard(entity_id)
