"""Links for tests: written in one line, and given page by page in any order."""

from __future__ import annotations

from collections.abc import Sequence

from resolvers.entity import Fact
from resolvers.identifier import Identifier
from resolvers.instant import hour_of, read_instant
from resolvers.link import MOST_LINKS, LinkPage, SeenLink
from resolvers.sighting import Usable
from tests.histories import RULES, at


def usable(text: str, entity_type: str = "person") -> Usable:
    """Make an identifier of `type:value`."""
    kind, value = text.split(":", 1)
    found = RULES.usable(entity_type, kind, value)
    assert found is not None
    return found


def named(text: str, entity_type: str = "person") -> Identifier:
    """Make an identifier of `type:value`, without its digest."""
    return usable(text, entity_type).identifier


def seen(event_id: str, first: str, *identifiers: str, last: str = "", entity_type: str = "person") -> SeenLink:
    """Make a link first seen in an event at a time that `at` reads, and last at another."""
    fact = Fact(read_instant(at(first)), "test", event_id)
    hour = hour_of(read_instant(at(last or first)))
    return SeenLink(tuple(usable(one, entity_type) for one in identifiers), fact, hour)


class Shelf:
    """A reader of links that lie in a list, in its order, so many to a page."""

    def __init__(self, links: Sequence[SeenLink], page: int = 2) -> None:
        self._links = links
        self._page = page
        self.calls = 0

    async def links(self, identifier: Identifier, after: int = 0, limit: int = MOST_LINKS) -> LinkPage:
        """Give a page."""
        self.calls += 1
        on = [link for link in self._links if identifier in link.linked]
        end = after + min(limit, self._page)
        return LinkPage(tuple(on[after:end]), end if end < len(on) else 0)
