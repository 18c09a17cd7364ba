"""The edge: two identifiers that a link joins, the link's strongest usable one with each of the others.

Invariant: a pair of identifiers has one edge, whichever links give it: its stronger end is the same in all of them.
Neighbours: `hub` decides which identifiers are usable; `parts` decides which edges hold.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from resolvers.sighting import Usable


@dataclass(frozen=True, slots=True)
class Together:
    """Identifiers that were seen together on links, and when first, in epoch milliseconds. Not empty, strongest first."""

    identifiers: tuple[Usable, ...]
    first: int


@dataclass(frozen=True, slots=True)
class Edge:
    """Two identifiers, the stronger one first, and when a link first joined them, in epoch milliseconds."""

    stronger: Usable
    weaker: Usable
    first: int

    @property
    def order(self) -> tuple[int, int, bytes, bytes]:
        """Say when its turn is: strong edges before weak ones, then old before new."""
        return self.weaker.priority, self.first, self.stronger.digest, self.weaker.digest

    @property
    def ends(self) -> tuple[bytes, bytes]:
        """Name both ends by their digests, the stronger first."""
        return self.stronger.digest, self.weaker.digest


def strength(usable: Usable) -> tuple[int, bytes]:
    """Order identifiers, the strongest first."""
    return usable.priority, usable.digest


def centre_of(together: Together, off: Collection[bytes] = ()) -> Usable | None:
    """Give the strongest identifier that is not `off`: the link, with its traits and states, belongs to that one's entity."""
    return next((usable for usable in together.identifiers if usable.digest not in off), None)


def edges_of(links: Iterable[Together], off: Collection[bytes] = ()) -> list[Edge]:
    """Make every link's star of the identifiers that are not `off`; an edge's first time is the smallest of its links'."""
    found: dict[tuple[bytes, bytes], Edge] = {}
    for link in links:
        for edge in _star(link, off):
            known = found.get(edge.ends)
            if known is None or edge.first < known.first:
                found[edge.ends] = edge
    return list(found.values())


def _star(link: Together, off: Collection[bytes]) -> Iterator[Edge]:
    usable = [one for one in link.identifiers if one.digest not in off]
    for weaker in usable[1:]:
        yield Edge(usable[0], weaker, link.first)


def connected(digests: Iterable[bytes], edges: Iterable[Edge]) -> list[set[bytes]]:
    """Gather identifiers that edges connect, directly or through others. Every edge's ends are among `digests`."""
    neighbours: dict[bytes, list[bytes]] = {digest: [] for digest in digests}
    for edge in edges:
        one, other = edge.ends
        neighbours[one].append(other)
        neighbours[other].append(one)
    found, todo = [], set(neighbours)
    while todo:
        group, reached = set(), [todo.pop()]
        while reached:
            digest = reached.pop()
            group.add(digest)
            fresh = todo.intersection(neighbours[digest])
            todo -= fresh
            reached += fresh
        found.append(group)
    return found
