"""What every event gets after its adapter: source, id, time within the window, origin, and a last look at its form.

Invariant: the outcome depends on the record alone, its Kafka timestamp included, so a replay gives the same events.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import msgspec

from resolvers.errors import Rejected, SettingsError, Why
from resolvers.evidence import check_bounds
from streams.events import Event, Identifier, Membership, Origin, Participant, encode_event
from streams.record import SourceRecord
from streams.times import format_time, parse_time, record_time

_SHOWN = 40

EVENT_ID_BYTES = 16
"""The length of the digest that stands in for an id that the source does not give; written as hexadecimal."""


@dataclass(frozen=True, slots=True)
class Window:
    """The times that events may have: from `earliest_ms` on, at most `ahead_ms` after the record's Kafka timestamp."""

    earliest_ms: int
    ahead_ms: int

    @classmethod
    def of(cls, earliest: str, ahead_seconds: int) -> Window:
        """Read the window from the settings' values. Raises SettingsError."""
        try:
            return cls(parse_time(earliest), ahead_seconds * 1000)
        except ValueError as error:
            raise SettingsError(f"times.earliest: {error}") from error

    def check(self, occurred_ms: int, record_ms: int) -> None:
        """Raise Rejected for a time outside the window. A record without a timestamp (below 0) has no upper end."""
        if occurred_ms < self.earliest_ms:
            raise Rejected(
                f"occurred_at {format_time(occurred_ms)} lies before {format_time(self.earliest_ms)}: "
                "correct the time, or set times.earliest",
                Why.TIME,
            )
        if 0 <= record_ms < occurred_ms - self.ahead_ms:
            raise Rejected(
                f"occurred_at {format_time(occurred_ms)} lies more than {self.ahead_ms // 1000} seconds after the record's "
                f"own time {format_time(record_ms)}: correct the time, or set times.ahead_seconds",
                Why.TIME,
            )


def complete(events: list[Event], source: str, record: SourceRecord, window: Window) -> list[Event]:
    """Complete all events of one record in place; one that is not right rejects the record. Raises Rejected."""
    if not events:
        raise Rejected("the adapter gave no events for this record")
    recorded_at = record_time(record)
    origin = Origin(record.topic, record.partition, record.offset)
    for index, event in enumerate(events):
        event.source = source
        event.event_id = event.event_id.strip() or _digest_id(record, index, len(events))
        event.occurred_at = _occurred_at(event.occurred_at, recorded_at, record, window)
        event.recorded_at = recorded_at
        event.origin = origin
        _check_form(event)
    return events


def _digest_id(record: SourceRecord, index: int, count: int) -> str:
    digest = hashlib.blake2b(record.value or b"", digest_size=EVENT_ID_BYTES).hexdigest()
    return digest if count == 1 else f"{digest}-{index}"


def _occurred_at(given: str, recorded_at: str | None, record: SourceRecord, window: Window) -> str:
    text = given or recorded_at
    if text is None:
        raise Rejected("the event has no time, and neither has its record", Why.TIME)
    try:
        occurred_ms = parse_time(text)
    except ValueError as error:
        raise Rejected(f"occurred_at: {error}", Why.TIME) from error
    window.check(occurred_ms, record.timestamp_ms)
    return format_time(occurred_ms)


def _check_form(event: Event) -> None:
    event.name = event.name.strip()
    if not event.name:
        raise Rejected("the event has no name")
    if event.value is not None and not math.isfinite(event.value):
        raise Rejected(f"the event's value is {event.value}, which is not a number that can be written")
    for index, participant in enumerate(event.participants):
        participant.identifiers = _trimmed(participant)
        check_bounds(index, participant)  # as the resolver does, so that the dead letter holds the record as it came
    event.memberships = [membership for membership in event.memberships if _connects(membership, event.participants)]
    try:
        encode_event(event)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise Rejected(f"the event cannot be written as JSON: {error}") from error


def _trimmed(participant: Participant) -> list[Identifier]:
    if not participant.entity:
        raise Rejected("a participant has no entity type")
    kept: dict[tuple[str, str], Identifier] = {}
    for identifier in participant.identifiers:
        identifier.value = identifier.value.strip()
        if not identifier.type:
            raise Rejected("an identifier has no type")
        if identifier.value:
            kept.setdefault((identifier.type, identifier.value), identifier)
    return list(kept.values())


def _connects(membership: Membership, participants: list[Participant]) -> bool:
    """Tell whether both sides can be resolved. Raises Rejected for an index that names no participant."""
    ends = (membership.member, membership.group)
    for index in ends:
        if not 0 <= index < len(participants):
            raise Rejected(f"a membership names participant {index}, and the event has {len(participants)} (counted from 0)")
    return all(participants[index].identifiers for index in ends)
