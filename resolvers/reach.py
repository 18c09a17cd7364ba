"""The reach of an identifier: what links lead to from it, level by level, and the drawing of what is near.

Invariant: a level is complete before the next begins, so that distances depend on the links alone, not on a store's order.
Neighbours: `explanation` lets two of these meet.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from resolvers.identifier import Identifier
from resolvers.link import MOST_LINKS, LinkPage, SeenLink

PAGE_WEIGHT = 5
"""A page costs a trip to the store, however few links it brings: about what so many links cost."""


class LinkReader(Protocol):
    """Who gives the links of an identifier; a resolver does."""

    async def links(self, identifier: Identifier, after: int = 0, limit: int = MOST_LINKS) -> LinkPage:
        """Give a page of the links that an identifier is on; `after` is what the page before gave."""


class Reach:
    """What is reached from one identifier so far. Feed it the page that it wants first."""

    def __init__(self, start: Identifier) -> None:
        """Begin with the identifier itself, no links away."""
        self.distance = {start: 0}
        self.depth = 0
        """Up to so many links away, everything is in `distance`."""
        self.edge: set[Identifier] = {start}
        """What is exactly that far away."""
        self.wanted: deque[tuple[Identifier, int]] = deque([(start, 0)])
        """Whose links to read, and after what. Empty when there is nothing more to reach."""
        self.links: dict[bytes, SeenLink] = {}
        self.read = 0
        """How much was read: a link weighs one for each identifier that it has beside the first, a page at least `PAGE_WEIGHT`."""
        self._reached: set[Identifier] = set()

    def take(self, page: LinkPage) -> bool:
        """Take the page that was wanted first; gives whether that completed a level."""
        identifier, _ = self.wanted.popleft()
        fresh = {name: link for link in page.links if (name := link.name) not in self.links}
        self.read += max(PAGE_WEIGHT, sum(max(1, len(link.identifiers) - 1) for link in fresh.values()))
        self.links |= fresh
        self._reached.update(*(link.linked for link in fresh.values()))
        if page.after:
            self.wanted.append((identifier, page.after))
        if self.wanted:
            return False
        self.depth += 1
        self.edge = self._reached - self.distance.keys()
        self.distance |= dict.fromkeys(self.edge, self.depth)
        self.wanted.extend((one, 0) for one in sorted(self.edge))
        self._reached = set()
        return True


@dataclass(frozen=True, slots=True)
class Drawing:
    """Links that lead on from an identifier, the oldest first, and all their identifiers. `cut`: there may be more."""

    identifiers: tuple[Identifier, ...]
    links: tuple[SeenLink, ...]
    cut: bool


async def draw(reader: LinkReader, start: Identifier, most: int) -> Drawing:
    """Read the links around an identifier, the nearest first, until there are no more, or more than `most` links or identifiers."""
    reach = Reach(start)
    while reach.wanted and max(len(reach.links), len(reach.distance)) <= most:
        identifier, after = reach.wanted[0]
        reach.take(await reader.links(identifier, after))
    links = tuple(sorted(reach.links.values(), key=lambda link: link.order))
    identifiers = {start}.union(*(link.linked for link in links))
    return Drawing(tuple(sorted(identifiers)), links, bool(reach.wanted))
