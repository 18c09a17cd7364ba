"""Division: how a component that breaks a guard falls into parts.

Invariant: no part breaks a limit or holds a forbidden pair; a part larger than the size is of the strongest type alone, or
nothing weaker was left to leave out. Neighbours: `parts` asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import Enum

from resolvers.edge import Edge, connected
from resolvers.rules import EntityRule
from resolvers.sighting import Usable

Enemies = Mapping[bytes, AbstractSet[bytes]]
"""For an identifier, those that may not be with it."""


class Guard(Enum):
    """Why an edge does not hold."""

    SIZE = "size"
    LIMIT = "limit"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class Refused:
    """An edge whose ends are kept apart, and the guard that does it. The edge is evidence still."""

    edge: Edge
    guard: Guard


@dataclass(frozen=True, slots=True)
class Division:
    """The parts of a component, in no order, and the edges refused between them."""

    parts: list[frozenset[bytes]]
    refused: list[Refused]


@dataclass(slots=True)
class Cluster:
    """Identifiers that are one so far: how many of each limited type, and who may not join them."""

    members: set[bytes]
    counts: dict[str, int] = field(default_factory=dict)
    enemies: set[bytes] = field(default_factory=set)

    def refuses(self, other: Cluster, rule: EntityRule) -> Guard | None:
        """Say which guard keeps two clusters apart, if one does."""
        smaller, larger = sorted((self, other), key=lambda one: len(one.counts))
        for kind, count in smaller.counts.items():
            limit = rule.identifiers[kind].limit
            if limit is not None and count + larger.counts.get(kind, 0) > limit:
                return Guard.LIMIT
        apart = self.enemies.isdisjoint(other.members) and other.enemies.isdisjoint(self.members)
        return None if apart else Guard.FORBIDDEN

    def join(self, other: Cluster) -> None:
        """Take another cluster in."""
        self.members |= other.members
        self.enemies |= other.enemies
        for kind, count in other.counts.items():
            self.counts[kind] = self.counts.get(kind, 0) + count


class Clusters:
    """Clusters of identifiers, each alone at first; the smaller one always joins the larger."""

    def __init__(self, members: Iterable[Usable], rule: EntityRule, enemies: Enemies) -> None:
        self._rule = rule
        self._of = {one.digest: _alone(one, rule, enemies) for one in members}

    def unite(self, edge: Edge) -> Guard | None:
        """Make both ends one cluster unless a guard keeps them apart; gives that guard."""
        one, other = (self._of[end] for end in edge.ends)
        if one is other:
            return None
        if guard := one.refuses(other, self._rule):
            return guard
        smaller, larger = sorted((one, other), key=lambda cluster: len(cluster.members))
        larger.join(smaller)
        self._of |= dict.fromkeys(smaller.members, larger)
        return None

    @property
    def found(self) -> list[Cluster]:
        """Give the clusters, in no order."""
        return list({id(cluster): cluster for cluster in self._of.values()}.values())


def _alone(one: Usable, rule: EntityRule, enemies: Enemies) -> Cluster:
    kind = one.identifier.type
    limited = rule.identifiers[kind].limit is not None
    return Cluster({one.digest}, {kind: 1} if limited else {}, set(enemies.get(one.digest, ())))


def breaks(members: Iterable[Usable], rule: EntityRule, enemies: Enemies) -> bool:
    """Say whether identifiers that were one entity would break a limit or be a forbidden pair."""
    counts: dict[str, int] = {}
    here = set()
    for one in members:
        counts[one.identifier.type] = counts.get(one.identifier.type, 0) + 1
        here.add(one.digest)
    limits = {kind: rule.identifiers[kind].limit for kind in counts}
    if any(limit is not None and counts[kind] > limit for kind, limit in limits.items()):
        return True
    return any(not here.isdisjoint(enemies[digest]) for digest in here & enemies.keys())


def divide(members: Sequence[Usable], edges: Sequence[Edge], rule: EntityRule, enemies: Enemies) -> Division:
    """Divide one component: by size first, then within each piece by limits and forbidden pairs."""
    known = {one.digest: one for one in members}
    kept, pieces = _sized(members, edges, rule.size)
    broken: set[bytes] = set()
    for piece in pieces:
        if breaks((known[digest] for digest in piece), rule, enemies):
            broken |= piece
    clusters = Clusters((known[digest] for digest in broken), rule, enemies)
    why = {edge.ends: clusters.unite(edge) for edge in sorted(kept, key=lambda one: one.order) if edge.stronger.digest in broken}
    parts = [frozenset(piece) for piece in pieces if broken.isdisjoint(piece)]
    parts += [frozenset(cluster.members) for cluster in clusters.found]
    part_of = {digest: at for at, part in enumerate(parts) for digest in part}
    apart = [edge for edge in edges if part_of[edge.stronger.digest] != part_of[edge.weaker.digest]]
    return Division(parts, [Refused(edge, why.get(edge.ends) or Guard.SIZE) for edge in apart])


def _sized(members: Sequence[Usable], edges: Sequence[Edge], size: int) -> tuple[list[Edge], list[set[bytes]]]:
    """Leave out edges, the weakest type first, until every piece fits or one type is left; gives the edges kept, and the pieces."""
    digests = [one.digest for one in members]
    kept, pieces = list(edges), [set(digests)]
    weakest_first = sorted({(one.priority, one.identifier.type) for one in members}, reverse=True)
    for left_out in weakest_first[:-1]:
        if all(len(piece) <= size for piece in pieces):
            break
        kept = [edge for edge in kept if (edge.weaker.priority, edge.weaker.identifier.type) != left_out]
        pieces = connected(digests, kept)
    return kept, pieces
