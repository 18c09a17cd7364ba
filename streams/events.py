"""The event: one thing that happened, in the canonical form that every adapter writes and every stage reads.

Invariant: `origin` and `recorded_at` never influence who is who. Neighbours: adapters write events, the
resolve stage reads them.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Identifier(msgspec.Struct, omit_defaults=True):
    """An identifier as the source wrote it, only trimmed; normalising happens when it is resolved."""

    type: str
    value: str


class Participant(msgspec.Struct, omit_defaults=True):
    """One entity's part in an event. `states` maps a state's name to its value as of the event."""

    entity: str
    role: str = ""
    identifiers: list[Identifier] = []
    traits: dict[str, Any] = {}
    states: dict[str, str] = {}


class Membership(msgspec.Struct, omit_defaults=True):
    """Participant number `member` belongs to participant number `group`; both index `Event.participants`."""

    member: int
    group: int
    role: str | None = None
    ended: bool = False


class Origin(msgspec.Struct):
    """Where the source record lay; for people who look for it, never for the resolver."""

    topic: str
    partition: int
    offset: int


class Event(msgspec.Struct, omit_defaults=True):
    """One thing that happened. `event_id` is unique per source; times are RFC 3339 UTC with milliseconds.

    `internal` says that all whose domain is known are ours; None where nobody's is, or no domain is ours.
    """

    event_id: str
    source: str
    name: str
    occurred_at: str
    type: str | None = None
    description: str | None = None
    value: float | None = None
    value_unit: str | None = None
    significance: int | None = None
    internal: bool | None = None
    recorded_at: str | None = None
    origin: Origin | None = None
    participants: list[Participant] = []
    memberships: list[Membership] = []


encode_event = msgspec.json.Encoder().encode
"""Event -> UTF-8 JSON, fields at their default left out."""

decode_event = msgspec.json.Decoder(Event).decode
"""UTF-8 JSON -> Event. Raises msgspec.ValidationError or msgspec.DecodeError."""
