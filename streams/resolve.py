"""The resolve stage: events in, evidence joined into the identity graph, participants out.

Invariant: a batch's position moves only once its participants and dead letters are acknowledged; until then the
batch may be applied again, which changes nothing. Neighbours: the event log before, the resolver's store behind,
`publish` tells what changed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import msgspec
import structlog
from aiokafka.structs import ConsumerRecord

from resolvers.errors import PositionGap, Rejected, StoreLost, Why, why
from resolvers.evidence import evidence_of
from resolvers.port import Applied, Resolver
from resolvers.rules import Rules
from resolvers.sighting import Evidence
from streams.batch import Outcome, SourceBatch
from streams.counters import Counters
from streams.dead_letters import dead_letter
from streams.events import Event, decode_event
from streams.metrics.table import OTHER
from streams.participants import participant_records
from streams.patience import Trouble, patiently
from streams.poison import Doubt, sifted
from streams.portions import portions
from streams.positions import AppliedPositions, Progress
from streams.redaction import words
from streams.sender import Outgoing, Sender, send_all
from streams.tracing.stages import ResolveBatch, ResolveTraces

log = structlog.get_logger(__name__)


Failure = tuple[ConsumerRecord, Exception]
"""A record, and what happened when it was handled alone."""


@dataclass(frozen=True, slots=True)
class Read:
    """A record that is an event, and what the event says of who is who."""

    record: ConsumerRecord
    event: Event
    evidence: Evidence


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
        sources: Collection[str] = (),
        trouble: Trouble | None = None,
        traces: ResolveTraces | None = None,
    ) -> None:
        """`clock` gives epoch milliseconds; `dirty` is set when there may be something to publish.

        Events are counted by those sources that are among `sources`: whoever writes to the event log may name any.
        """
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
        self._sources = frozenset(sources)
        self._trouble = trouble
        self._traces = traces or ResolveTraces()
        self._reading = Doubt()
        self._applying = Doubt()

    async def __call__(self, batch: SourceBatch) -> Outcome:
        """Apply a batch, and wait until all that came of it is acknowledged."""
        self._counters.add("events_read", count=len(batch.records))
        read, outgoing = self._read(batch.records)
        traces = self._traces.batch(batch.place, [one.record for one in read])
        try:
            outgoing += await self._apply(batch, read, traces)
        except PositionGap as gap:
            return await self._positions.overtaken(gap)
        except StoreLost as loss:
            log.warning("redis has lost what it knew, starting over", partition=batch.place.partition, reason=str(loss))
            return Outcome.OVERTAKEN
        self._dirty.set()
        await send_all(self._sender, outgoing)
        self._counters.add("participants_written", count=sum(one.topic == self._participants_topic for one in outgoing))
        traces.end()
        return Outcome.DONE

    def _read(self, records: Sequence[ConsumerRecord]) -> tuple[list[Read], list[Outgoing]]:
        read: list[Read] = []
        letters: list[Outgoing] = []
        failed: list[Failure] = []
        for record in records:
            try:
                event, evidence = read_event(self._rules, record.value)
            except Rejected as error:
                letters.append(self._dead_letter(record, error))
            except Exception as error:  # noqa: BLE001 - a record that nobody foresaw must not stop the others
                failed.append((record, error))
            else:
                read.append(Read(record, event, evidence))
        self._reading.weigh([error for _, error in failed], len(read))
        useful = [one for one in read if one.evidence.sightings]
        for source, count in self._by_source(one for one in read if not one.evidence.sightings):
            self._counters.add("events_without_usable_identifier", source, count=count)
        return useful, letters + self._given_up(failed)

    async def _apply(self, batch: SourceBatch, read: Sequence[Read], traces: ResolveBatch) -> list[Outgoing]:
        """Apply what was read, portion by portion; gives the participants, and dead letters of what can't be applied."""
        progress = self._positions.progress(batch.place.partition)
        written: list[tuple[int, Outgoing]] = []
        failed: dict[int, Exception] = {}

        async def work(portion: Sequence[tuple[int, Evidence]]) -> list[tuple[int, Outgoing]]:
            applied = await self._call(batch, progress, tuple(part for _, part in portion))
            await traces.applied(portion, applied.entity_ids)
            return [
                (index, one)
                for (index, part), entity_ids in zip(portion, applied.entity_ids, strict=True)
                for one in participant_records(self._participants_topic, read[index].event, part, entity_ids, traces.headers(index))
            ]

        for portion in portions([one.evidence for one in read]):
            answers, bad = await sifted(portion, work)
            written += [one for answer in answers for one in answer]
            failed |= {index: error for (index, _), error in bad}
        if failed:
            await self._call(batch, progress, ())  # a store that takes not even this is broken, whatever the record
        if read:
            self._applying.weigh(list(failed.values()), len(read) - len(failed))
        for source, count in self._by_source(one for index, one in enumerate(read) if index not in failed):
            self._counters.add("events_resolved", source, count=count)
        letters = self._given_up([(read[index].record, error) for index, error in failed.items()])
        return [one for index, one in written if index not in failed] + letters

    def _by_source(self, read: Iterable[Read]) -> Iterable[tuple[str, int]]:
        known = self._sources
        return Counter(one.event.source if one.event.source in known else OTHER for one in read).items()

    def _given_up(self, failed: Sequence[Failure]) -> list[Outgoing]:
        """Make dead letters of records that make the stage itself fail, and say so: each is a bug that someone should see."""
        said = "a record makes the stage fail, it goes to the dead letters"
        for record, error in failed:
            log.warning(said, partition=record.partition, offset=record.offset, error=words(error))
        return [self._dead_letter(record, error, with_traceback=True) for record, error in failed]

    def _dead_letter(self, record: ConsumerRecord, error: Exception, *, with_traceback: bool = False) -> Outgoing:
        self._counters.add("events_rejected")
        self._counters.add("dead_letters", "events", why(error).value)
        return dead_letter(self._dead_letters_topic, record, error, self._clock(), source="events", with_traceback=with_traceback)

    async def _call(self, batch: SourceBatch, progress: Progress, evidence: tuple[Evidence, ...]) -> Applied:
        """Join evidence; the stored position moves up to this batch's start, whose predecessors are acknowledged."""
        asked = progress.batch(self._positions.log, batch.place.partition, evidence, batch.end)
        what = f"applying events of partition {batch.place.partition}"
        applied = await patiently(lambda: self._resolver.apply(asked), what, self._patience_seconds, self._trouble)
        progress.applied(asked)
        return applied


def read_event(rules: Rules, value: bytes | None) -> tuple[Event, Evidence]:
    """Decode an event and read its evidence. Raises Rejected with the reason."""
    event = checked_event(value)
    return event, evidence_of(rules, event)


def checked_event(value: bytes | None) -> Event:
    """Decode an event whose memberships name its participants. Raises Rejected with the reason."""
    if value is None:
        raise Rejected("the record has no value; an event is a JSON object", Why.MALFORMED)
    try:
        event = decode_event(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected(f"the record is not an event: {error}", Why.MALFORMED) from error
    for one in event.memberships:
        if not (0 <= one.member < len(event.participants) and 0 <= one.group < len(event.participants)):
            raise Rejected(f"a membership names participants {one.member} and {one.group}, but the event has {len(event.participants)}")
    return event
