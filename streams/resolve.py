"""The resolve stage: events in, evidence joined into the identity graph, participants out.

Invariant: a batch's position moves only once its participants and dead letters are acknowledged; until then the
batch may be applied again, which changes nothing. Neighbours: the event log before, the resolver's store behind,
`publish` tells what changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec
import structlog
from aiokafka.structs import ConsumerRecord

from resolvers.errors import PositionGap, Rejected
from resolvers.evidence import evidence_of
from resolvers.port import Applied, Resolver
from resolvers.rules import Rules
from resolvers.sighting import Batch, Evidence
from streams.batch import Outcome, SourceBatch
from streams.counters import Counters
from streams.dead_letters import dead_letter
from streams.events import Event, decode_event
from streams.participants import participant_records
from streams.patience import patiently
from streams.portions import portions
from streams.positions import AppliedPositions, Progress
from streams.sender import Outgoing, Sender, send_all

log = structlog.get_logger(__name__)


class ResolveStage:
    """Handles batches of events. One instance serves every partition of a worker."""

    def __init__(
        self,
        rules: Rules,
        resolver: Resolver,
        positions: AppliedPositions,
        sender: Sender,
        counters: Counters,
        clock: Callable[[], int],
        dirty: asyncio.Event,
        *,
        participants_topic: str,
        dead_letters_topic: str,
        patience_seconds: float,
    ) -> None:
        """`clock` gives epoch milliseconds; `dirty` is set when there may be something to publish."""
        self._rules = rules
        self._resolver = resolver
        self._positions = positions
        self._sender = sender
        self._counters = counters
        self._clock = clock
        self._dirty = dirty
        self._participants_topic = participants_topic
        self._dead_letters_topic = dead_letters_topic
        self._patience_seconds = patience_seconds

    async def __call__(self, batch: SourceBatch) -> Outcome:
        """Apply a batch, and wait until all that came of it is acknowledged."""
        self._counters.add("events_read", count=len(batch.records))
        events, outgoing = self._read(batch.records)
        try:
            outgoing += await self._apply(batch, events)
        except PositionGap as gap:
            log.info("someone else went ahead", partition=batch.place.partition, reason=str(gap))
            return Outcome.OVERTAKEN
        self._dirty.set()
        await send_all(self._sender, outgoing)
        return Outcome.DONE

    def _read(self, records: Sequence[ConsumerRecord]) -> tuple[list[tuple[Event, Evidence]], list[Outgoing]]:
        events: list[tuple[Event, Evidence]] = []
        letters: list[Outgoing] = []
        for record in records:
            try:
                event, evidence = read_event(self._rules, record.value)
            except Rejected as error:
                self._counters.add("events_rejected")
                letters.append(dead_letter(self._dead_letters_topic, record, error, self._clock(), source="events"))
                continue
            if evidence.sightings:
                events.append((event, evidence))
            else:
                self._counters.add("events_without_usable_identifier", event.source)
        return events, letters

    async def _apply(self, batch: SourceBatch, events: Sequence[tuple[Event, Evidence]]) -> list[Outgoing]:
        progress = self._positions.progress(batch.place.partition)
        written: list[Outgoing] = []
        for portion in portions([evidence for _, evidence in events]):
            applied = await self._call(batch, progress, tuple(part for _, part in portion))
            for (index, part), entity_ids in zip(portion, applied.entity_ids, strict=True):
                written += participant_records(self._participants_topic, events[index][0], part, entity_ids)
        self._counters.add("events_resolved", count=len(events))
        return written

    async def _call(self, batch: SourceBatch, progress: Progress, evidence: tuple[Evidence, ...]) -> Applied:
        """Join evidence; the stored position moves up to this batch's start, whose predecessors are acknowledged."""
        asked = Batch(self._positions.log, batch.place.partition, progress.stored, progress.acknowledged, evidence)
        applied = await patiently(
            lambda: self._resolver.apply(asked), f"applying events of partition {batch.place.partition}", self._patience_seconds
        )
        progress.stored = progress.acknowledged.offset
        return applied


def read_event(rules: Rules, value: bytes | None) -> tuple[Event, Evidence]:
    """Decode an event and read its evidence. Raises Rejected with the reason."""
    if value is None:
        raise Rejected("the record has no value; an event is a JSON object")
    try:
        event = decode_event(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected(f"the record is not an event: {error}") from error
    for one in event.memberships:
        if not (0 <= one.member < len(event.participants) and 0 <= one.group < len(event.participants)):
            raise Rejected(f"a membership names participants {one.member} and {one.group}, but the event has {len(event.participants)}")
    return event, evidence_of(rules, event)
