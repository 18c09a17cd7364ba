"""Guards, for checking: which identifiers connect nothing, and which of the others are one entity.

Everything is a number, an identifier's place in the list of all. Written apart from the resolver's rules, from
docs/decisions/0011 alone; plain and over the whole set at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from streams.verify.expected import Link
from streams.verify.flood import flooded
from streams.verify.usable import Name, Usable

Links = Mapping[tuple[int, ...], Link]
_Edges = dict[tuple[int, int], int]
"""(stronger, weaker) to the first time in ms at which a link joined them."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What operators say: identifiers that connect nothing, pairs that are never one, and pairs that are joined since a time in ms."""

    blocked: frozenset[int] = frozenset()
    forbidden: frozenset[tuple[int, int]] = frozenset()
    linked: Mapping[tuple[int, int], int] = field(default_factory=dict)


def crowded(
    names: Sequence[Name], links: Iterable[tuple[int, ...]], hubs: Mapping[tuple[str, str, str], int], blocked: Collection[int]
) -> set[int]:
    """Find the hubs: identifiers seen with too many of the type that is counted, but for blocked ones. `hubs` says how many may be."""
    met: dict[tuple[int, int], set[int]] = {}
    for identifiers in links:
        for one in identifiers:
            for other in identifiers:
                most = hubs.get((names[one].entity_type, names[one].type, names[other].type))
                if one != other and most is not None and other not in blocked:
                    met.setdefault((one, most), set()).add(other)
    return {one for (one, most), others in met.items() if len(others) > most}


def strongest(names: Sequence[Name], identifiers: Iterable[int], off: Collection[int]) -> int:
    """Give the identifier to whose entity a link belongs; -1 where all of them are off."""
    usable = [number for number in identifiers if number not in off]
    return min(usable, key=lambda number: (names[number].priority, names[number].digest)) if usable else -1


def labels(names: Sequence[Name], links: Links, off: Collection[int], usable: Usable, orders: Orders) -> list[int]:
    """Label every identifier with its entity: equal labels are one entity. What is off has -1."""
    edges = _edges(names, links, off, orders)
    label = flooded(len(names), edges)
    inside: dict[int, _Edges] = {}
    for (one, other), first in edges.items():
        inside.setdefault(label[one], {})[one, other] = first
    members: dict[int, list[int]] = {}
    for number, component in enumerate(label):
        members.setdefault(component, []).append(number)
    for component, edges_inside in inside.items():
        for part in _parts(names, members[component], edges_inside, _Fit(names, usable, orders)):
            for number in part:
                label[number] = min(part)
    for number in off:
        label[number] = -1
    return label


def _edges(names: Sequence[Name], links: Links, off: Collection[int], orders: Orders) -> _Edges:
    found: _Edges = {}
    for identifiers, link in links.items():
        centre = strongest(names, identifiers, off)
        for number in identifiers:
            if number != centre and number not in off:
                found[centre, number] = min(found.get((centre, number), link.first[0]), link.first[0])
    for pair, since in orders.linked.items():
        if not set(pair) & set(off):
            centre = strongest(names, pair, ())
            edge = (centre, pair[0] if pair[1] == centre else pair[1])
            found[edge] = min(found.get(edge, since), since)
    return found


def _parts(names: Sequence[Name], members: list[int], edges: _Edges, fit: _Fit) -> Iterator[list[int]]:
    """Take a component apart, if it breaks a guard."""
    size = fit.usable.sizes[names[members[0]].entity_type]
    pieces = [members]
    types = sorted({(names[number].priority, names[number].type) for number in members})
    while len(types) > 1 and any(len(piece) > size for piece in pieces):
        weakest = types.pop()
        edges = {pair: first for pair, first in edges.items() if (names[pair[1]].priority, names[pair[1]].type) != weakest}
        pieces = list(_pieces(members, edges))
    for piece in pieces:
        if fit(piece):
            yield piece
        else:
            here = set(piece)
            yield from _filled(names, piece, {pair: first for pair, first in edges.items() if pair[0] in here}, fit)


@dataclass(frozen=True, slots=True)
class _Fit:
    """Says whether identifiers may be one entity."""

    names: Sequence[Name]
    usable: Usable
    orders: Orders

    def __call__(self, members: Collection[int]) -> bool:
        counts = Counter((self.names[number].entity_type, self.names[number].type) for number in members)
        if any(count > self.usable.limits.get(kind, count) for kind, count in counts.items()):
            return False
        here = set(members)
        return not any(one in here and other in here for one, other in self.orders.forbidden)


def _filled(names: Sequence[Name], members: list[int], edges: _Edges, fit: _Fit) -> Iterator[list[int]]:
    """Join along the edges, strong and old ones first, wherever the outcome keeps within the limits."""
    part_of = {number: [number] for number in members}

    def turn(pair: tuple[int, int]) -> tuple[int, int, bytes, bytes]:
        return names[pair[1]].priority, edges[pair], names[pair[0]].digest, names[pair[1]].digest

    for one, other in sorted(edges, key=turn):
        here, there = part_of[one], part_of[other]
        if here is not there and fit([*here, *there]):
            here += there
            part_of |= dict.fromkeys(there, here)
    yield from {id(part): part for part in part_of.values()}.values()


def _pieces(members: list[int], edges: Iterable[tuple[int, int]]) -> Iterator[list[int]]:
    place = {number: at for at, number in enumerate(members)}
    label = flooded(len(members), ((place[one], place[other]) for one, other in edges))
    found: dict[int, list[int]] = {}
    for at, number in enumerate(members):
        found.setdefault(label[at], []).append(number)
    yield from found.values()
