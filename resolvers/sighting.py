"""What one event says about who is who: sightings of identifiers together, and of memberships between them.

This is the only input of a resolver. Everything here is a value; `resolvers.evidence` makes it from an event.
"""

from __future__ import annotations

from dataclasses import dataclass

from resolvers.identifier import Identifier, link_digest


@dataclass(frozen=True, slots=True)
class Usable:
    """An identifier that may connect: declared, normalised, not blocked. `priority` 1 is the strongest."""

    identifier: Identifier
    digest: bytes
    priority: int


@dataclass(frozen=True, slots=True)
class Sighting:
    """One participant's identifiers, seen together.

    `identifiers` are distinct, never empty, and ordered strongest first (priority, then digest): the first is the
    centre of the link's star. `traits` are names, values as canonical JSON, and orders where these are not the event's time.
    """

    index: int
    entity_type: str
    identifiers: tuple[Usable, ...]
    traits: tuple[tuple[str, bytes, int | None], ...] = ()
    states: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuse a sighting that could connect nothing."""
        if not self.identifiers:
            raise ValueError("a sighting needs at least one usable identifier")

    @property
    def link(self) -> bytes:
        """Name the link: a digest of the set of identifiers."""
        return link_digest([usable.digest for usable in self.identifiers])


@dataclass(frozen=True, slots=True)
class MembershipSighting:
    """The centre of one sighting belongs to the centre of another; both are positions in `Evidence.sightings`."""

    member: int
    group: int
    role: str | None = None
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that one event says. `occurred_at` is in epoch milliseconds; (source, event_id) names the event."""

    source: str
    event_id: str
    occurred_at: int
    sightings: tuple[Sighting, ...] = ()
    memberships: tuple[MembershipSighting, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a partition's applied evidence ends: the next offset, and a checksum of the last record applied."""

    offset: int = 0
    checksum: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive evidence of one partition of one log. `start` must be the stored offset; `end` becomes it.

    `mark` names this call, `after` the caller's call before it; without one the call is the first after the position was
    read. The position moves only when effects are acknowledged, so it alone does not show a call that was lost.
    `upto` is the offset after the last of the evidence, where that lies behind `end`.
    """

    log: str
    partition: int
    start: int
    end: Position
    evidence: tuple[Evidence, ...]
    after: str = ""
    mark: str = ""
    upto: int = 0
