"""Parts: which identifiers are one entity, under the guards, as a pure function of the evidence.

Identifiers that edges connect are a component. One that breaks no guard is one part, an entity; else the size guard leaves
out its weakest types, and within each piece that still breaks a limit or a forbidden pair the edges are
taken one by one, strong and old first, and those that would break it are refused.

Invariant: the outcome depends on the set of links, the rules and the corrections alone, never on an order of arrival.
Neighbours: `hub` and `edge` make the edges; `division` takes a component apart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from resolvers.division import Division, Enemies, Refused, breaks, divide
from resolvers.edge import Edge, Together, connected, edges_of
from resolvers.hub import hubs
from resolvers.rules import EntityRule
from resolvers.sighting import Usable


@dataclass(frozen=True, slots=True)
class Corrections:
    """What operators have said: identifiers that connect nothing, and pairs that are never one entity, by digest.

    `linked` are pairs that are joined as by a link; they connect only what was seen, and count for no hub.
    """

    blocked: frozenset[bytes] = frozenset()
    forbidden: frozenset[tuple[bytes, bytes]] = frozenset()
    linked: tuple[Together, ...] = ()

    def enemies(self) -> dict[bytes, set[bytes]]:
        """Tell for each identifier with which others it may not be."""
        found: dict[bytes, set[bytes]] = {}
        for one, other in self.forbidden:
            found.setdefault(one, set()).add(other)
            found.setdefault(other, set()).add(one)
        return found


NO_CORRECTIONS = Corrections()


@dataclass(frozen=True, slots=True)
class Parts:
    """Who is who. `off` are the identifiers that connect and found nothing: hubs, and what is blocked by command."""

    parts: tuple[frozenset[bytes], ...]
    refused: tuple[Refused, ...]
    off: frozenset[bytes]


def parts_of(links: Sequence[Together], rule: EntityRule, corrections: Corrections = NO_CORRECTIONS) -> Parts:
    """Say which identifiers of one entity type are one entity. `links` are all the links that these are on.

    Costs O(n log n) in the identifiers and edges.
    """
    off = hubs(links, rule, corrections.blocked) | corrections.blocked
    usable = {one.digest: one for link in links for one in link.identifiers if one.digest not in off}
    linked = [pair for pair in corrections.linked if all(one.digest in usable for one in pair.identifiers)]
    found = components_of(usable.values(), edges_of([*links, *linked], off), rule, corrections.enemies())
    return Parts(
        tuple(sorted((part for one in found for part in one.parts), key=min)),
        tuple(sorted((edge for one in found for edge in one.refused), key=lambda one: one.edge.order)),
        frozenset(off & {one.digest for link in links for one in link.identifiers}),
    )


def components_of(usable: Iterable[Usable], edges: Sequence[Edge], rule: EntityRule, enemies: Enemies) -> list[Division]:
    """Divide each component of identifiers that are not off, in no order. Every edge's ends are among `usable`."""
    known = {one.digest: one for one in usable}
    return [_divided(members, inner, rule, enemies) for members, inner in _components(known, edges)]


def _divided(members: Sequence[Usable], edges: Sequence[Edge], rule: EntityRule, enemies: Enemies) -> Division:
    if len(members) <= rule.size and not breaks(members, rule, enemies):
        return Division([frozenset(one.digest for one in members)], [])
    return divide(members, edges, rule, enemies)


def _components(usable: Mapping[bytes, Usable], edges: Sequence[Edge]) -> Iterator[tuple[list[Usable], list[Edge]]]:
    """Gather the identifiers that edges connect, directly or through others, with these edges."""
    groups = connected(usable, edges)
    component_of = {digest: at for at, group in enumerate(groups) for digest in group}
    within: list[list[Edge]] = [[] for _ in groups]
    for edge in edges:
        within[component_of[edge.stronger.digest]].append(edge)
    for group, inner in zip(groups, within, strict=True):
        yield [usable[digest] for digest in group], inner


def founder_of_part(part: Collection[bytes], first_seen: Mapping[bytes, int]) -> bytes:
    """Name the identifier that a part's entity id is made of: the smallest by (first seen, digest)."""
    return min(part, key=lambda digest: (first_seen[digest], digest))
