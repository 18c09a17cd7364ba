"""Within one entity: the links that hold it together, as a reader that leaves out what guards and corrections do.

A link joins its strongest identifier that connects with each of its others; so of a link whose strongest one belongs to
the entity, those of its identifiers are left that belong to it too, and other links join nothing here.
Neighbours: `explanation` looks for a chain in what this gives, which then is one that counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from resolvers.edge import strength
from resolvers.entity import Fact
from resolvers.identifier import Identifier
from resolvers.instant import hour_of
from resolvers.link import MOST_LINKS, LinkPage, SeenLink
from resolvers.sighting import Usable
from resolvers.standing import Standing


class Graph(Protocol):
    """Who gives links, owners and standings; a resolver does."""

    async def links(self, identifier: Identifier, after: int = 0, limit: int = MOST_LINKS) -> LinkPage:
        """Give a page of the links that an identifier is on."""

    async def identifier(self, identifier: Identifier) -> dict[str, Any] | None:
        """Give an identifier's document, None where it belongs to nobody."""

    async def standing(self, identifier: Identifier) -> Standing:
        """Say with which others operators have linked it."""


def commanded(identifier: Identifier, standing: Standing, priorities: Mapping[str, int]) -> Iterator[SeenLink]:
    """Give the links that commands made of an identifier: their first event has no source, and what names them is no digest."""
    for other, since in standing.linked:
        ends = (Usable(one, str(one).encode("utf-8", "surrogatepass"), priorities[one.type]) for one in (identifier, other))
        yield SeenLink(tuple(sorted(ends, key=strength)), Fact(since, "", ""), hour_of(since))


class Within:
    """Reads the links that join identifiers of one entity. A link that a command made has a first event without a source."""

    def __init__(self, graph: Graph, entity_id: str, priorities: Mapping[str, int]) -> None:
        """`priorities` are those of the entity type's identifier types."""
        self._graph = graph
        self._entity_id = entity_id
        self._priorities = priorities
        self._owners: dict[Identifier, str | None] = {}

    async def links(self, identifier: Identifier, after: int = 0, limit: int = MOST_LINKS) -> LinkPage:
        """Give a page of the links that join an identifier with others of the entity."""
        page = await self._graph.links(identifier, after, limit)
        found = [kept for link in page.links if (kept := await self._kept(link)) is not None]
        if not after:
            found += await self._commanded(identifier)
        return LinkPage(tuple(found), page.after)

    async def _kept(self, link: SeenLink) -> SeenLink | None:
        owners = [await self._owner(one.identifier) for one in link.identifiers]
        if next((owner for owner in owners if owner is not None), None) != self._entity_id:
            return None
        return replace(
            link, identifiers=tuple(one for one, owner in zip(link.identifiers, owners, strict=True) if owner == self._entity_id)
        )

    async def _commanded(self, identifier: Identifier) -> list[SeenLink]:
        made = commanded(identifier, await self._graph.standing(identifier), self._priorities)
        return [link for link in made if {await self._owner(one) for one in link.linked} == {self._entity_id}]

    async def _owner(self, identifier: Identifier) -> str | None:
        if identifier not in self._owners:
            document = await self._graph.identifier(identifier)
            self._owners[identifier] = None if document is None else str(document["entity_id"])
        return self._owners[identifier]
