from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError
from aiokafka.structs import TopicPartition

from resolvers.errors import LogTruncated
from streams.assignment import NOWHERE
from streams.batch import Outcome, SourceBatch
from streams.positions import CommittedPositions
from streams.source import Deadline, Source
from tests.kafka_fakes import FakeConsumer

A, B = TopicPartition("raw", 0), TopicPartition("raw", 1)


class Handed:
    """A channel whose batches the test handles itself."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[SourceBatch] = asyncio.Queue()

    async def put(self, value: Any) -> None:
        await self.queue.put(value)

    async def next(self) -> SourceBatch:
        async with asyncio.timeout(2):
            return await self.queue.get()


@asynccontextmanager
async def source(consumer: FakeConsumer, batch_records: int = 2, patience_seconds: float = 0.2) -> AsyncIterator[tuple[Source, Handed]]:
    async def make() -> Any:
        return consumer

    channel = Handed()
    made = Source(
        ["raw"],
        CommittedPositions(1),
        channel,
        make,
        Deadline(0.2),
        batch_records=batch_records,
        poll_ms=5,
        patience_seconds=patience_seconds,
    )
    await made.start()
    try:
        yield made, channel
    finally:
        await made.stop()


def numbers(count: int, first: int = 0) -> dict[int, bytes | None]:
    return {offset: str(offset).encode() for offset in range(first, first + count)}


def offsets(batch: SourceBatch) -> list[int]:
    return [record.offset for record in batch.records]


async def committed(consumer: FakeConsumer, place: TopicPartition, offset: int) -> None:
    async with asyncio.timeout(2):
        while consumer.commits.get(place) != offset:  # noqa: ASYNC110 - the source's task commits
            await asyncio.sleep(0)


async def test_a_partition_is_handed_out_batch_by_batch_and_committed() -> None:
    consumer = FakeConsumer({A: numbers(5)})
    async with source(consumer) as (_, channel):
        await consumer.listener.on_partitions_assigned([A])
        seen = []
        for _ in range(3):
            batch = await channel.next()
            assert channel.queue.empty()
            seen.append((batch.start, offsets(batch)))
            batch.finish(Outcome.DONE)
        await committed(consumer, A, 5)
    assert seen == [(0, [0, 1]), (2, [2, 3]), (4, [4])]


async def test_holes_in_the_log_are_no_gaps() -> None:
    consumer = FakeConsumer({A: {0: b"a", 7: b"b", 9: b"c"}})
    async with source(consumer) as (_, channel):
        await consumer.listener.on_partitions_assigned([A])
        first = await channel.next()
        first.finish(Outcome.DONE)
        second = await channel.next()
        assert [(one.start, one.end) for one in (first, second)] == [(0, 8), (8, 10)]


async def test_a_busy_partition_does_not_hold_up_another() -> None:
    consumer = FakeConsumer({A: numbers(4), B: numbers(4)})
    async with source(consumer) as (_, channel):
        await consumer.listener.on_partitions_assigned([A, B])
        busy, other = await channel.next(), await channel.next()
        other.finish(Outcome.DONE)
        assert (await channel.next()).place == other.place
        assert busy.place != other.place


async def test_a_partition_that_was_overtaken_is_read_from_its_new_position() -> None:
    consumer = FakeConsumer({A: numbers(6)})
    async with source(consumer) as (_, channel):
        await consumer.listener.on_partitions_assigned([A])
        batch = await channel.next()
        consumer.commits[A] = 4
        batch.finish(Outcome.OVERTAKEN)
        assert offsets(await channel.next()) == [4, 5]


async def test_taking_a_partition_away_waits_for_the_batch_in_progress() -> None:
    consumer = FakeConsumer({A: numbers(4)})
    async with source(consumer, patience_seconds=2) as (_, channel):
        await consumer.listener.on_partitions_assigned([A])
        batch = await channel.next()
        revoking = asyncio.ensure_future(consumer.listener.on_partitions_revoked([A]))
        await asyncio.sleep(0)
        batch.finish(Outcome.DONE)
        await revoking
        assert consumer.commits == {A: 2}
        assert channel.queue.empty()


async def test_a_batch_that_is_not_done_in_time_is_not_committed() -> None:
    consumer = FakeConsumer({A: numbers(4)})
    async with source(consumer, patience_seconds=0.01) as (_, channel):
        await consumer.listener.on_partitions_assigned([A])
        batch = await channel.next()
        await consumer.listener.on_partitions_revoked([A])
        batch.finish(Outcome.DONE)
        await consumer.listener.on_partitions_assigned([A])
        assert (await channel.next()).start == 0
        assert consumer.commits == {}


async def test_an_assigned_partition_has_a_position_before_anything_is_awaited() -> None:
    consumer = FakeConsumer({A: numbers(1)})
    async with source(consumer):
        assigned = consumer.listener.on_partitions_assigned([A])
        with pytest.raises(StopIteration):
            assigned.send(None)
        assert consumer.positions[A] == 0
        assert A in consumer.paused


async def test_an_error_of_an_agent_crashes_the_source() -> None:
    consumer = FakeConsumer({A: numbers(2)})
    async with source(consumer) as (made, channel):
        await consumer.listener.on_partitions_assigned([A])
        (await channel.next()).fail(ZeroDivisionError("a bug"))
        await made.wait_until_stopped()
        assert made.crashed
        assert isinstance(made.crash_reason, ZeroDivisionError)
        assert consumer.commits == {}


async def test_records_that_were_removed_before_they_were_handled_are_an_error() -> None:
    consumer = FakeConsumer({A: numbers(4)})
    async with source(consumer) as (made, channel):
        await consumer.listener.on_partitions_assigned([A])
        batch = await channel.next()
        consumer.first = 3
        batch.finish(Outcome.DONE)
        await made.wait_until_stopped()
        assert isinstance(made.crash_reason, LogTruncated)


async def test_errors_that_pass_are_waited_out() -> None:
    consumer = FakeConsumer({A: numbers(2)})
    async with source(consumer) as (made, channel):
        consumer.failures = [KafkaConnectionError("gone")]
        await consumer.listener.on_partitions_assigned([A])
        assert offsets(await channel.next()) == [0, 1]
        assert not made.crashed


async def test_errors_that_stay_crash_the_source() -> None:
    consumer = FakeConsumer({NOWHERE: {}})
    consumer.failures = [TopicAuthorizationFailedError("raw")]
    async with source(consumer) as (made, _):
        await made.wait_until_stopped()
        assert isinstance(made.crash_reason, TopicAuthorizationFailedError)


async def test_stopping_finishes_the_batch_in_progress_and_leaves_the_group() -> None:
    consumer = FakeConsumer({A: numbers(4)})
    async with source(consumer) as (made, channel):
        await consumer.listener.on_partitions_assigned([A])
        batch = await channel.next()
        stopping = asyncio.ensure_future(made.stop())
        await asyncio.sleep(0)
        batch.finish(Outcome.DONE)
        await stopping
    assert consumer.commits == {A: 2}
    assert consumer.stopped
