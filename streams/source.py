"""The source of a stage: a Faust service that reads a topic with a plain consumer and hands out batches.

Invariant: one batch per partition at a time, in order, each beginning where the one before it ended; the next is
read when the agent has finished with the last. Memory is bounded by one batch and one fetch per partition.
Neighbours: `positions` knows where to go on, an agent behind the channel handles the batches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.structs import ConsumerRecord, TopicPartition
from mode import Service

from resolvers.errors import LogTruncated
from streams.assignment import NOWHERE, Assignment, Held
from streams.batch import Channel, Outcome, SourceBatch
from streams.dead_letters import now_ms
from streams.enduring import enduring
from streams.heads import Head, Heads
from streams.positions import Positions, named
from streams.sender import ended

log = structlog.get_logger(__name__)

SETTLE_MS = 100
"""After so long without records a position is made durable."""

ALIVE_SECONDS = 1.0


class Deadline:
    """One bound for everything that a stopping worker finishes, begun when it begins to stop."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end: float | None = None

    def remaining(self) -> float:
        """Give the seconds left; the first call starts the clock."""
        now = asyncio.get_running_loop().time()
        self._end = now + self._seconds if self._end is None else self._end
        return max(0.0, self._end - now)


class Source(Service):
    """Reads topics as one member of a consumer group and puts one batch per partition at a time on a channel."""

    mundane_level = "debug"

    def __init__(
        self,
        topics: Sequence[str],
        positions: Positions,
        channel: Channel,
        make_consumer: Callable[[], Awaitable[AIOKafkaConsumer]],
        drain: Deadline,
        *,
        batch_records: int,
        poll_ms: int,
        patience_seconds: float,
        rebalanced: Callable[[], None] = lambda: None,
        clock: Callable[[], int] = now_ms,
        **kwargs: Any,  # noqa: ANN401 - mode's own
    ) -> None:
        """`make_consumer` gives a started consumer with a group and without a subscription.

        `rebalanced` is told when partitions were handed out anew; `clock` gives epoch milliseconds.
        """
        super().__init__(**kwargs)
        self._topics = list(topics)
        self._positions = positions
        self._channel = channel
        self._make_consumer = make_consumer
        self._drain = drain
        self._batch_records = batch_records
        self._wait_ms = min(poll_ms, SETTLE_MS)
        self._patience_seconds = patience_seconds
        self._rebalanced = rebalanced
        self._heads = Heads(clock)
        self._consumer: AIOKafkaConsumer | None = None
        self._assignment: Assignment | None = None

    @property
    def places(self) -> list[int]:
        """Name the partitions held now."""
        return [place.partition for place in self._assignment.places] if self._assignment is not None else []

    def heads(self) -> list[Head]:
        """Tell how far each partition held now is."""
        if self._assignment is None or self._consumer is None:
            return []
        return self._heads.of(self._consumer, self._assignment.places)

    async def on_start(self) -> None:
        """Join the group; partitions arrive in the background."""
        self._consumer = await self._make_consumer()
        self._assignment = Assignment(self._consumer, self._tend, self.add_future, self._patience_seconds, self._rebalanced)
        self._consumer.subscribe(self._topics, listener=self._assignment)

    async def on_stop(self) -> None:
        """Finish what is in progress, unless the worker is crashing, and leave the group."""
        if self._assignment is not None:
            await self._assignment.close(0 if self.crashed else self._drain.remaining())
        if self._consumer is not None:
            await ended(self._consumer)

    @Service.task
    @enduring
    async def _stay_alive(self) -> None:
        """Show the group's errors and count as polling, also while no partition is held or every one is busy."""
        while not self.should_stop:
            if self._consumer is not None:
                await polled(self._consumer, NOWHERE)
            await self.sleep(ALIVE_SECONDS)

    async def _tend(self, held: Held) -> None:
        """Follow one partition until it is taken away."""
        consumer, place = cast("AIOKafkaConsumer", self._consumer), held.place
        while not held.given_up.is_set():
            start = await held.interruptible(self._positions.start(consumer, place))
            consumer.seek(place, start)
            consumer.resume(place)
            self._heads.began(place, cast("int", start))
            log.debug("reading", partition=named(place), offset=start)
            await self._follow(held, cast("int", start))

    async def _follow(self, held: Held, start: int) -> None:
        """Hand out batch after batch; returns when the partition is taken away or its position must be read again."""
        consumer, place = cast("AIOKafkaConsumer", self._consumer), held.place
        while not held.given_up.is_set():
            try:
                records = await held.interruptible(self._fetch(place))
            except asyncio.CancelledError:
                if held.given_up.is_set():
                    break
                raise
            if not records:
                start = await self._passed(place, start)
                outcome = await self._positions.settle(consumer, place)
            else:
                batch = SourceBatch(place, start, cast("list[ConsumerRecord]", records))
                await self._channel.put(batch)
                outcome = await batch.result()
                if outcome is Outcome.DONE:
                    await self._positions.advance(consumer, batch)
                    start = batch.end
                    self._heads.handled(place, start, int(batch.records[-1].timestamp))
            if outcome is Outcome.OVERTAKEN:
                return
        await self._positions.settle(consumer, place)

    async def _passed(self, place: TopicPartition, start: int) -> int:
        """Give where the next record can be: what Kafka passed over holds none."""
        consumer = cast("AIOKafkaConsumer", self._consumer)
        at = int(await consumer.position(place))
        if at > start:
            await self._positions.skip(consumer, place, at)
            self._heads.passed(place, at)
        return max(at, start)

    async def _fetch(self, place: TopicPartition) -> list[ConsumerRecord]:
        try:
            return await polled(cast("AIOKafkaConsumer", self._consumer), place, self._wait_ms, self._batch_records)
        except OffsetOutOfRangeError as error:
            raise LogTruncated(
                f"{named(place)} does not have the offset that comes next ({error}): records were removed before they were handled; "
                "give the topic a longer retention, or rebuild into a new space"
            ) from error


async def polled(consumer: AIOKafkaConsumer, place: TopicPartition, wait_ms: int = 0, most: int | None = None) -> list[ConsumerRecord]:
    """Get records of a partition, none after `wait_ms`. Errors that pass by themselves are logged."""
    try:
        fetched = await consumer.getmany(place, timeout_ms=wait_ms, max_records=most)
    except KafkaError as error:
        if not error.retriable:
            raise
        log.warning("kafka does not serve a consumer for now, trying again", error=repr(error))
        return []
    return cast("list[ConsumerRecord]", fetched.get(place, []))
