"""The explanation: the shortest chain of links between two identifiers, found from both ends.

Invariant: the outcome depends on the links alone, not on the order in which a store gives them, and the chain is the same from
either end. A search only ever asks for a page of links; `explain` is what brings a store's pages to it.
Cost: pages are read from both ends in turn, so it is about twice what the quieter end needs, and never more than the bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from resolvers.identifier import Identifier
from resolvers.link import LinkPage, SeenLink
from resolvers.reach import LinkReader, Reach

MOST_READ = 100_000
"""A search gives up when it has read what weighs as much as so many links of two identifiers, in at most a fifth as many pages."""

Linked = Mapping[Identifier, Sequence[SeenLink]]
"""The links that an identifier is on."""


@dataclass(frozen=True, slots=True)
class Step:
    """One link of a chain, and the identifiers by which it connects the link before with the one behind."""

    start: Identifier
    link: SeenLink
    end: Identifier


@dataclass(frozen=True, slots=True)
class Connected:
    """The shortest chain; of several the one whose links, in turn, are the oldest. Empty for one identifier twice."""

    chain: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class NotConnected:
    """No links lead from one to the other."""


@dataclass(frozen=True, slots=True)
class TooWide:
    """Nothing was found among so many links, and there may be more."""

    links: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """An identifier that no event has shown."""

    identifier: Identifier


Outcome = Connected | NotConnected | TooWide | Unknown


async def explain(reader: LinkReader, one: Identifier, other: Identifier, most: int = MOST_READ) -> Outcome:
    """Find what connects two identifiers. Gives up after about `most` links of two identifiers."""
    for identifier in (one, other):
        page = await reader.links(identifier, limit=1)
        if not page.links and not page.after:  # a reader may leave links out, and more follow
            return Unknown(identifier)
    search = Search(one, other, most)
    while search.outcome is None:
        identifier, after = search.wanted
        search.take(await reader.links(identifier, after))
    return search.outcome


class Search:
    """A search under way. Feed it the page that it wants until there is an outcome."""

    def __init__(self, one: Identifier, other: Identifier, most: int = MOST_READ) -> None:
        """Begin between two identifiers that are known. The smaller one comes first, so that both ways give one chain."""
        self._turned = other < one
        self._ends = (other, one) if self._turned else (one, other)
        self._sides = [Reach(end) for end in self._ends]
        self._turn = 0
        self._most = most
        self.outcome: Outcome | None = None
        if one == other:
            self.outcome = Connected(())
        elif one.entity_type != other.entity_type:  # a link is of one participant, and so of one entity type
            self.outcome = NotConnected()

    @property
    def wanted(self) -> tuple[Identifier, int]:
        """Say whose links to read, and after what."""
        return self._sides[self._turn].wanted[0]

    def take(self, page: LinkPage) -> None:
        """Take the page of links that was wanted."""
        side, other = self._sides[self._turn], self._sides[1 - self._turn]
        if side.take(page):
            if not other.distance.keys().isdisjoint(side.edge):  # this way round it walks over the edge alone
                self.outcome = self._connected()
            elif not side.wanted:
                self.outcome = NotConnected()
        if self.outcome is None and side.read + other.read >= self._most:
            self.outcome = TooWide(len(side.links.keys() | other.links.keys()))
        self._turn = 1 - self._turn

    def _connected(self) -> Connected:
        near, far = self._sides
        on = _by_identifier((near.links | far.links).values())
        links = _oldest(_layers(near, far, on), on)
        joints = [min(before.linked & behind.linked) for before, behind in pairwise(links)]
        stops = [self._ends[0], *joints, self._ends[1]]
        chain = [Step(start, link, end) for (start, end), link in zip(pairwise(stops), links, strict=True)]
        if self._turned:
            chain = [Step(step.end, step.link, step.start) for step in reversed(chain)]
        return Connected(tuple(chain))


def _by_identifier(links: Iterable[SeenLink]) -> Linked:
    found: dict[Identifier, list[SeenLink]] = {}
    for link in links:
        for identifier in link.linked:
            found.setdefault(identifier, []).append(link)
    return found


def _layers(near: Reach, far: Reach, on: Linked) -> list[set[Identifier]]:
    """Sort what lies on a shortest chain by how far it is from the first end.

    From where the two met, one goes back to the first end; beyond, the distance to the other end says enough.
    """
    middle, length = near.depth, near.depth + far.depth
    layers: list[set[Identifier]] = [set() for _ in range(length + 1)]
    for identifier, distance in far.distance.items():
        if length - distance > middle or identifier in near.distance:
            layers[length - distance].add(identifier)
    for at in range(middle, 0, -1):
        reached = {one for identifier in layers[at] for link in on[identifier] for one in link.linked}
        layers[at - 1] = {one for one in reached if near.distance.get(one) == at - 1}
    return layers


def _oldest(layers: list[set[Identifier]], on: Linked) -> list[SeenLink]:
    """Choose link by link the oldest that leads one layer on, keeping every identifier at which the chain so far may end."""
    here, chain = layers[0], []
    for there in layers[1:]:
        leading = [link for identifier in here for link in on[identifier] if not there.isdisjoint(link.linked)]
        best = min(leading, key=lambda link: link.order)
        chain.append(best)
        here = there & best.linked
    return chain
