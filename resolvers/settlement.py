"""Settlement: from the evidence of a case to the steps that make its parts what the evidence says.

A step divides a part into pieces, or unites two parts. All divisions come before any union, so that no step joins what the
evidence keeps apart. Invariant: pure; after all steps the parts are those of `parts` for the same evidence.
Neighbours: `redis_settling` reads the evidence and takes the steps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from resolvers.division import Enemies, Guard
from resolvers.edge import Edge
from resolvers.parts import components_of
from resolvers.rules import EntityRule
from resolvers.sighting import Usable


@dataclass(frozen=True, slots=True)
class Member:
    """An identifier of the case: its number in the store, and the root of the part that it is in.

    `off` says that it connects nothing, `stale` that the folds of its part must be made anew, `founds` that its part's id is made of it.
    """

    number: int
    root: int
    usable: Usable
    off: bool = False
    stale: bool = False
    founds: bool = False


@dataclass(frozen=True, slots=True)
class Joining:
    """A link of the case: its number, its first time in ms, and its members that are not off, the strongest first; two at least."""

    number: int
    first: int
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Divide:
    """The part of a root becomes several, each given by its members, the founder's the last; who is off is left without a part.

    `order` are all of them as the members were given.
    """

    root: int
    pieces: tuple[tuple[int, ...], ...]
    off: tuple[int, ...]
    order: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Unite:
    """The parts of two members become one, by a link."""

    one: int
    other: int
    link: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """An edge whose ends are kept apart, by which guard, and a link that has it; its first end is the stronger."""

    stronger: int
    weaker: int
    link: int
    guard: Guard


@dataclass(frozen=True, slots=True)
class Settlement:
    """What to do, in this order.

    Then `whole` names a member of each part that is a whole component, and so leaves the case; `apart` names one of each part, for
    each component in several parts.
    """

    divisions: tuple[Divide, ...]
    unions: tuple[Unite, ...]
    whole: tuple[int, ...]
    apart: tuple[tuple[int, ...], ...]
    refusals: tuple[Refuse, ...] = ()


def settlement_of(members: Sequence[Member], joinings: Iterable[Joining], rule: EntityRule, enemies: Enemies) -> Settlement:
    """Compute the steps. Costs O(n log n) in the members and links."""
    by_number = {one.number: one for one in members}
    on = {one.usable.digest: one for one in members if not one.off}
    edges, link_of = _edges(joinings, by_number)
    divided = components_of((one.usable for one in on.values()), edges, rule, enemies)
    target = {on[digest].number: at for at, part in enumerate(part for found in divided for part in found.parts) for digest in part}
    return Settlement(
        tuple(_divisions(members, target)),
        tuple(_unions(edges, link_of, on, target)),
        tuple(on[min(found.parts[0])].number for found in divided if len(found.parts) == 1),
        tuple(tuple(on[min(part)].number for part in found.parts) for found in divided if len(found.parts) > 1),
        tuple(
            Refuse(on[one.edge.stronger.digest].number, on[one.edge.weaker.digest].number, link_of[one.edge.ends], one.guard)
            for found in divided
            for one in found.refused
        ),
    )


def _edges(joinings: Iterable[Joining], members: dict[int, Member]) -> tuple[list[Edge], dict[tuple[bytes, bytes], int]]:
    """Make the edges, and tell of each by which link it was first. A link to what came after the members were read is of later evidence."""
    found: dict[tuple[bytes, bytes], Edge] = {}
    link_of: dict[tuple[bytes, bytes], int] = {}
    for joining in joinings:
        here = [members[number] for number in joining.members if number in members and not members[number].off]
        for other in here[1:]:
            edge = Edge(here[0].usable, other.usable, joining.first)
            known = found.get(edge.ends)
            if known is None or (edge.first, joining.number) < (known.first, link_of[edge.ends]):
                found[edge.ends], link_of[edge.ends] = edge, joining.number
    return list(found.values()), link_of


def _divisions(members: Iterable[Member], target: dict[int, int]) -> Iterator[Divide]:
    """Divide every part that is of more than one part to be, that has members who are off, or whose folds must be made anew."""
    parts: dict[int, list[Member]] = defaultdict(list)
    for one in members:
        parts[one.root].append(one)
    for root, inside in parts.items():
        off = tuple(one.number for one in inside if one.off)
        pieces: dict[int, list[int]] = defaultdict(list)
        for one in sorted(inside, key=lambda each: each.founds):
            if not one.off:
                pieces[target[one.number]].append(one.number)
        if off or len(pieces) > 1 or any(one.stale for one in inside):
            yield Divide(root, tuple(tuple(piece) for piece in pieces.values()), off, tuple(one.number for one in inside))


def _unions(
    edges: Iterable[Edge], link_of: dict[tuple[bytes, bytes], int], on: dict[bytes, Member], target: dict[int, int]
) -> Iterator[Unite]:
    """Unite the pieces of each part to be, along its edges, the oldest first."""
    piece_of: dict[tuple[int, int], tuple[int, int]] = {}

    def piece(one: Member) -> tuple[int, int]:
        at = (one.root, target[one.number])
        while (above := piece_of.setdefault(at, at)) != at:
            piece_of[at] = at = piece_of[above]
        return at

    for edge in sorted(edges, key=lambda one: (one.first, one.ends)):
        one, other = (on[end] for end in edge.ends)
        if target[one.number] == target[other.number] and (here := piece(one)) != (there := piece(other)):
            piece_of[here] = there
            yield Unite(one.number, other.number, link_of[edge.ends])
