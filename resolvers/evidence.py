"""From an event to its evidence: who was seen together, with which traits and states, and who belongs to whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from resolvers.errors import Rejected
from resolvers.instant import EARLIEST_MS, read_instant
from resolvers.rules import Rules
from resolvers.sighting import Evidence, MembershipSighting, Sighting, Usable


class IdentifierLike(Protocol):
    """An identifier as the source wrote it."""

    type: str
    value: str


class ParticipantLike(Protocol):
    """One entity's part in an event."""

    entity: str

    @property
    def identifiers(self) -> Sequence[IdentifierLike]: ...
    @property
    def traits(self) -> Mapping[str, Any]: ...
    @property
    def states(self) -> Mapping[str, str]: ...


class MembershipLike(Protocol):
    """Participant `member` belongs to participant `group`."""

    member: int
    group: int
    role: str | None
    ended: bool


class EventLike(Protocol):
    """An event in the canonical form."""

    event_id: str
    source: str
    occurred_at: str

    @property
    def participants(self) -> Sequence[ParticipantLike]: ...
    @property
    def memberships(self) -> Sequence[MembershipLike]: ...


_canonical = msgspec.json.Encoder(order="deterministic").encode  # unlike orjson, keeps all digits of long integers

MOST_IDENTIFIERS = 1_000
"""A participant with more identifiers than this is a mistake of its source, and would stall the stream."""


def evidence_of(rules: Rules, event: EventLike) -> Evidence:
    """Read an event under the rules. A participant without a usable identifier says nothing and is left out.

    Raises Rejected for a time or a trait that can't be read, and for a participant with too many identifiers.
    """
    try:
        occurred_at = read_instant(event.occurred_at)
    except ValueError as error:
        raise Rejected(f"occurred_at {event.occurred_at!r} is not an RFC 3339 time: {error}") from error
    if occurred_at < EARLIEST_MS:
        raise Rejected(f"occurred_at {event.occurred_at!r} lies before the year 1")
    sightings: list[Sighting] = []
    places: dict[int, int] = {}
    for index, participant in enumerate(event.participants):
        if len(participant.identifiers) > MOST_IDENTIFIERS:
            raise Rejected(f"participant {index} has {len(participant.identifiers)} identifiers, at most {MOST_IDENTIFIERS} are allowed")
        if usable := _usable(rules, participant):
            places[index] = len(sightings)
            sightings.append(Sighting(index, participant.entity, usable, _traits(participant), tuple(sorted(participant.states.items()))))
    memberships = tuple(
        MembershipSighting(places[one.member], places[one.group], one.role or None, one.ended)
        for one in event.memberships
        if one.member in places and one.group in places
    )
    return Evidence(event.source, event.event_id, occurred_at, tuple(sightings), memberships)


def canonical_json(value: object) -> bytes:
    """Write a trait's value so that equal values are equal bytes: keys sorted, no spaces. Raises Rejected."""
    try:
        return _canonical(value)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise Rejected(f"a trait's value can't be written as JSON: {error}") from error


def _usable(rules: Rules, participant: ParticipantLike) -> tuple[Usable, ...]:
    found = {usable.digest: usable for one in participant.identifiers if (usable := rules.usable(participant.entity, one.type, one.value))}
    if len(found) < 2:
        return tuple(found.values())
    return tuple(sorted(found.values(), key=lambda usable: (usable.priority, usable.digest)))


def _traits(participant: ParticipantLike) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, canonical_json(value)) for name, value in participant.traits.items() if value is not None)
