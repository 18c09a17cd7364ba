"""A Kafka in miniature: a log per partition, a consumer and a producer with the calls that the stages make."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.structs import ConsumerRecord, TopicPartition


def record(value: bytes | None, offset: int = 0, place: TopicPartition | None = None, **fields: Any) -> ConsumerRecord:
    """Make a record as a consumer gives it."""
    at = place or TopicPartition("raw", 0)
    made = {"key": None, "headers": (), "timestamp": 1_700_000_000_000, **fields}
    return ConsumerRecord(
        topic=at.topic,
        partition=at.partition,
        offset=offset,
        timestamp=made["timestamp"],
        timestamp_type=0,
        key=made["key"],
        value=value,
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        headers=made["headers"],
    )


class FakeConsumer:
    """Reads logs given as {partition: {offset: value}}; remembers what was committed and sought."""

    def __init__(self, logs: Mapping[TopicPartition, Mapping[int, bytes | None]], first: int = 0) -> None:
        self.logs = {place: dict(log) for place, log in logs.items()}
        self.first = first
        self.commits: dict[TopicPartition, int] = {}
        self.positions: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()
        self.failures: list[KafkaError] = []
        self.listener: Any = None
        self.stopped = False

    def subscribe(self, topics: Sequence[str], listener: Any) -> None:
        self.listener = listener

    def pause(self, *places: TopicPartition) -> None:
        self.paused.update(places)

    def resume(self, *places: TopicPartition) -> None:
        self.paused.difference_update(places)

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.positions[place] = offset

    async def committed(self, place: TopicPartition) -> int | None:
        if self.failures:
            raise self.failures.pop(0)
        return self.commits.get(place)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.commits.update(offsets)

    async def beginning_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, self.first)

    async def end_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: max(self.logs.get(place, {}), default=self.first - 1) + 1 for place in places}

    async def getmany(
        self, place: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        if self.failures:
            raise self.failures.pop(0)
        position = self.positions.get(place, 0)
        if place in self.logs and place not in self.paused:
            if position < self.first:
                raise OffsetOutOfRangeError({place: position})
            found = [record(value, offset, place) for offset, value in sorted(self.logs[place].items()) if offset >= position][:max_records]
            if found:
                self.positions[place] = found[-1].offset + 1
                return {place: found}
        await asyncio.sleep(timeout_ms / 1000)
        return {}

    async def position(self, place: TopicPartition) -> int:
        return self.positions[place]

    async def stop(self) -> None:
        self.stopped = True


class FakeBatch:
    """A producer's batch that holds at most so many records."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.records: list[tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]] = []

    def append(
        self, *, timestamp: int | None, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> object | None:
        if len(self.records) >= self.most:
            return None
        self.records.append((key, value, tuple(headers)))
        return self

    def close(self) -> None:
        """Nothing to close."""


class FakeProducer:
    """Writes to `written`; fails as often as `failures` says; refuses values longer than `largest`."""

    def __init__(self, partitions: int = 3, batch: int = 100, largest: int = 1_000, failures: Sequence[Exception] = ()) -> None:
        self.partitions = partitions
        self.batch = batch
        self.largest = largest
        self.failures = list(failures)
        self.written: dict[tuple[str, int], list[tuple[bytes | None, bytes | None]]] = {}
        self.headers: list[tuple[tuple[str, bytes], ...]] = []
        self.steps: list[str] = []
        self.offsets: dict[TopicPartition, int] = {}
        self.stopped = False

    async def partitions_for(self, topic: str) -> set[int]:
        return set(range(self.partitions))

    def create_batch(self) -> FakeBatch:
        return FakeBatch(self.batch)

    async def send_batch(self, batch: FakeBatch, topic: str, *, partition: int) -> asyncio.Future[None]:
        from aiokafka.errors import MessageSizeTooLargeError  # noqa: PLC0415

        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.failures:
            future.set_exception(self.failures.pop(0))
        elif any(len(value or b"") > self.largest for _, value, _ in batch.records):
            future.set_exception(MessageSizeTooLargeError())
        else:
            self.written.setdefault((topic, partition), []).extend((key, value) for key, value, _ in batch.records)
            self.headers.extend(headers for _, _, headers in batch.records)
            future.set_result(None)
        return future

    async def begin_transaction(self) -> None:
        self.steps.append("begin")

    async def send_offsets_to_transaction(self, offsets: Mapping[TopicPartition, int], group: str) -> None:
        self.steps.append(f"offsets {group}")
        self.offsets.update(offsets)

    async def commit_transaction(self) -> None:
        self.steps.append("commit")

    async def stop(self) -> None:
        self.stopped = True

    def values(self, topic: str) -> list[bytes | None]:
        """Give everything written to a topic."""
        return [value for (name, _), rows in sorted(self.written.items()) for _, value in rows if name == topic]
