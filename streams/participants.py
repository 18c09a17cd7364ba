"""Participants: for each participant of an event, the entity it was when the event was resolved.

Invariant: one record per participant with a usable identifier, keyed so that resolving again overwrites it.
Neighbours: the resolve stage writes them from the resolver's answer.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from resolvers.sighting import Evidence
from streams.events import Event
from streams.sender import Outgoing
from streams.tracing.context import NO_HEADERS, Headers

_encode = msgspec.json.Encoder().encode


class ParticipantRecord(msgspec.Struct, omit_defaults=True):
    """The value of a record of the participants topic. Its entity's id resolves to today's.

    `participant_count` is of all that the event names, those without a record too; what the event does not say is left out.
    """

    source: str
    event_id: str
    index: int
    entity_id: str
    entity_type: str
    role: str
    occurred_at: str
    event_name: str
    participant_count: int
    event_type: str | None = None
    significance: int | None = None
    internal: bool | None = None


def participant_records(
    topic: str, event: Event, evidence: Evidence, entity_ids: tuple[str | None, ...], headers: Headers = NO_HEADERS
) -> Iterator[Outgoing]:
    """Write the participants of one event; `entity_ids` are those of the evidence's sightings, in their order.

    A participant whose identifiers all connect nothing is nobody, and has no record.
    """
    for seen, entity_id in zip(evidence.sightings, entity_ids, strict=True):
        if entity_id is None:
            continue
        record = ParticipantRecord(
            event.source,
            event.event_id,
            seen.index,
            entity_id,
            seen.entity_type,
            event.participants[seen.index].role,
            event.occurred_at,
            event.name,
            len(event.participants),
            event.type,
            event.significance,
            event.internal,
        )
        yield Outgoing(topic, f"{event.source}:{event.event_id}:{seen.index}".encode(), _encode(record), headers)
