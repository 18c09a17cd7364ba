"""Rereading: apply a stretch of the event log once more, where an erasure took away what later evidence may have shown too.

Invariant: what is applied again is joined again, so reading twice, half, or beside another worker changes nothing; how far it came lies
with the graph. It is paced: it takes at most as much of the time as it leaves. Neighbours: the resolver says which stretches; the
worker that holds a partition of the event log reads it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import uuid4

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition
from mode import Service

from resolvers.errors import KafkaUnavailable, PositionGap, Rejected, StoreLost
from resolvers.port import REREAD, Reread, Resolver
from resolvers.rules import Rules
from resolvers.sighting import Batch, Evidence, Position
from streams import kafka
from streams.counters import Counters
from streams.enduring import enduring
from streams.events import Event
from streams.participants import participant_records
from streams.patience import Trouble, patiently
from streams.portions import portions
from streams.resolve import read_event
from streams.sender import Sender, send_all
from streams.tracing.context import Headers, carried

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
RECORDS = 500
"""Records that are read before the others have their turn."""

POLL_MS = 1_000
STALLED_POLLS = 30

Made = tuple[Event, Evidence, Headers]


class Rereading(Service):
    """Looks now and then for a stretch to be read again, and reads it."""

    mundane_level = "debug"

    def __init__(
        self,
        rules: Rules,
        resolver: Resolver,
        make_consumer: Callable[[], Awaitable[AIOKafkaConsumer]],
        sender: Sender,
        counters: Counters,
        dirty: asyncio.Event,
        held: Callable[[], Sequence[int]],
        *,
        events_topic: str,
        participants_topic: str,
        patience_seconds: float,
        trouble: Trouble | None = None,
        **kwargs: Any,  # noqa: ANN401 - mode's own
    ) -> None:
        """`make_consumer` gives a started consumer without a group; `held` names the partitions that this worker resolves."""
        super().__init__(**kwargs)
        self._rules = rules
        self._resolver = resolver
        self._make_consumer = make_consumer
        self._sender = sender
        self._counters = counters
        self._dirty = dirty
        self._held = held
        self._events_topic = events_topic
        self._participants_topic = participants_topic
        self._patience_seconds = patience_seconds
        self._trouble = trouble

    @Service.task
    @enduring
    async def _look(self) -> None:
        """Read again what is to be read, partition by partition."""
        while not self.should_stop:
            with contextlib.suppress(StoreLost):  # those who apply events notice it too
                asked = await patiently(self._resolver.rereads, "asking what to read again", self._patience_seconds, self._trouble)
                for one in asked:
                    if one.partition in self._held():
                        await patiently(lambda one=one: self._read(one), "reading events again", self._patience_seconds, self._trouble)  # type: ignore[misc]
            await self.sleep(LOOK_SECONDS)

    async def _read(self, asked: Reread) -> None:
        """Read one stretch to its end, or until somebody else does. Raises KafkaUnavailable, RedisUnavailable, StoreLost."""
        log.info("reading events again for an erasure", partition=asked.partition, start=asked.start, end=asked.end)
        consumer = await self._make_consumer()
        try:
            await self._apply_all(consumer, TopicPartition(self._events_topic, asked.partition), asked)
        except PositionGap as gap:
            log.info("somebody else reads these events again", partition=asked.partition, reason=str(gap))
        except KafkaError as error:
            raise KafkaUnavailable(f"events of partition {asked.partition} can't be read again: {error!r}") from error
        finally:
            await kafka.stop(consumer)

    async def _apply_all(self, consumer: AIOKafkaConsumer, place: TopicPartition, asked: Reread) -> None:
        consumer.assign([place])
        first = (await consumer.beginning_offsets([place]))[place]
        if first > asked.start:
            said = "the event log begins later than what an erasure has to read again: what only older events showed is gone with them"
            log.error(said, partition=place.partition, begins=first, wanted=asked.start)
        consumer.seek(place, max(first, asked.start))
        at, stalled = asked.start, 0
        while at < asked.end and not self.should_stop and place.partition in self._held():
            began = self._now()
            records = (await consumer.getmany(place, timeout_ms=POLL_MS, max_records=RECORDS)).get(place, [])
            upto = max(at, min(int(await consumer.position(place)), asked.end))
            stalled = stalled + 1 if upto == at else 0
            if stalled > STALLED_POLLS:
                raise KafkaUnavailable(f"Kafka gives nothing of {place.topic}, partition {place.partition}, from offset {at} on")
            await self._apply([record for record in records if record.offset < asked.end], at, upto, asked)
            at = upto
            await self.sleep(self._now() - began)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def _apply(self, records: Sequence[ConsumerRecord], at: int, upto: int, asked: Reread) -> None:
        """Apply what these records say of erased identifiers, then write who the participants are, then move on."""
        made = [one for record in records if (one := self._concerned(record, asked)) is not None]
        mark = ""
        for portion in portions([evidence for _, evidence, _ in made]):
            parts = tuple(part for _, part in portion)
            batch = Batch(REREAD, asked.partition, at, Position(at), parts, mark, uuid4().hex)
            applied = await self._resolver.apply(batch)
            mark = batch.mark
            outgoing = [
                one
                for (index, part), entity_ids in zip(portion, applied.entity_ids, strict=True)
                for one in participant_records(self._participants_topic, made[index][0], part, entity_ids, made[index][2])
            ]
            await send_all(self._sender, outgoing)
            self._counters.add("participants_written", count=len(outgoing))
        await self._resolver.apply(Batch(REREAD, asked.partition, at, Position(upto), (), mark, uuid4().hex))
        self._counters.add("events_read_again", count=len(made))
        if made:
            self._dirty.set()

    def _concerned(self, record: ConsumerRecord, asked: Reread) -> Made | None:
        """Give an event that names an erased identifier; nothing for one that could not be read the first time either."""
        try:
            event, evidence = read_event(self._rules, record.value)
        except Rejected:
            return None
        named = {usable.digest for seen in evidence.sightings for usable in seen.identifiers}
        return (event, evidence, carried(record.headers)) if named & asked.digests else None
