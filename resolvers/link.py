"""The link as it is read back: identifiers that were seen together, since which event, and where to read on.

Invariant: a link is named by its set of identifiers alone, so that both stores give the same links for the same evidence.
Neighbours: the port gives pages of them; `explanation` finds the chain that connects two identifiers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from resolvers.entity import Fact, last_seen
from resolvers.identifier import Identifier, link_digest
from resolvers.instant import write_instant
from resolvers.sighting import Usable

MOST_LINKS = 100
"""A page of links has at most so many, whatever it is asked for."""

MOST_LINKED = 1_000
"""A page ends with the link that makes its identifiers so many: some milliseconds of the store's time."""


@dataclass(frozen=True, slots=True)
class SeenLink:
    """Identifiers seen together, the strongest first; `first` is the first event that showed them, by (time, source, event id)."""

    identifiers: tuple[Usable, ...]
    first: Fact
    last_hour: int

    @property
    def linked(self) -> frozenset[Identifier]:
        """Give the identifiers as a set."""
        return frozenset(usable.identifier for usable in self.identifiers)

    @property
    def name(self) -> bytes:
        """Digest the set of identifiers."""
        return link_digest(tuple(usable.digest for usable in self.identifiers))

    @property
    def order(self) -> tuple[Fact, bytes]:
        """Say which of two links comes first: the older one; of one event's links the one with the smaller name."""
        return self.first, self.name


@dataclass(frozen=True, slots=True)
class LinkPage:
    """Some of the links that an identifier is on, in the store's order. `after` is where to read on; 0 when these are the last."""

    links: tuple[SeenLink, ...] = ()
    after: int = 0


def link_document(link: SeenLink) -> dict[str, Any]:
    """Write a link: its identifiers, the first event that showed them together, and the hour in which they were last seen so."""
    first = link.first
    return {
        "identifiers": [{"type": usable.identifier.type, "value": usable.identifier.value} for usable in link.identifiers],
        "source": first.source,
        "event_id": first.event_id,
        "first_seen": write_instant(first.occurred_at),
        "last_seen": last_seen(first.occurred_at, link.last_hour),
    }
