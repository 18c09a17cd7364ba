"""The event: one thing that happened, in the canonical form that every adapter writes and every stage reads.

Invariant: `origin` and `recorded_at` never influence who is who. What an event is made of is always written, also when it is
empty, so that a reader need not ask; of an optional field that the source does not have nothing is written. Reading asks for
less than writing gives. Neighbours: adapters write events, the resolve stage reads them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec


class Identifier(msgspec.Struct):
    """An identifier as the source wrote it, only trimmed; normalising happens when it is resolved."""

    type: str
    value: str


class Participant(msgspec.Struct):
    """One entity's part in an event. `states` maps a state's name to its value as of the event."""

    entity: str
    role: str = ""
    identifiers: list[Identifier] = []
    traits: dict[str, Any] = {}
    states: dict[str, str] = {}


class Membership(msgspec.Struct):
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
    # msgspec leaves out an empty list that `list` itself makes by default, so another factory makes it.
    participants: list[Participant] = msgspec.field(default_factory=partial(list))
    memberships: list[Membership] = msgspec.field(default_factory=partial(list))


encode_event = msgspec.json.Encoder().encode
"""Event -> UTF-8 JSON. Optional fields of the event that are None are left out; lists and objects are written also when empty."""

decode_event = msgspec.json.Decoder(Event).decode
"""UTF-8 JSON -> Event. Raises msgspec.ValidationError or msgspec.DecodeError."""
