"""The clients of the Kafka in memory: what one process has of it, with the calls that the stages make."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition

from tests.faults.kafka_model import Broker, Writer
from tests.kafka_fakes import FakeBatch

MOST_IN_A_BATCH = 100


class Consumer:
    """A read_committed consumer that holds every partition it asks for, from its start on."""

    def __init__(self, broker: Broker, group: str) -> None:
        self._broker = broker
        self._group = group
        self._generation = 0
        self._positions: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        """Join the group."""
        self._generation = await self._broker.join(self._group)

    async def stop(self) -> None:
        """Nothing to give back: whoever comes next joins."""

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Read on from an offset."""
        self._positions[place] = offset

    def pause(self, *places: TopicPartition) -> None:
        """Nothing is fetched that was not asked for."""

    def resume(self, *places: TopicPartition) -> None:
        """See `pause`."""

    async def position(self, place: TopicPartition) -> int:
        """Give the offset that is read next."""
        return self._positions[place]

    async def committed(self, place: TopicPartition) -> int | None:
        """Give the group's offset."""
        return await self._broker.committed(self._group, place)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Set the group's offsets."""
        await self._broker.commit(self._group, self._generation, offsets)

    async def beginning_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Give the first offsets."""
        return {place: (await self._broker.bounds(place))[0] for place in places}

    async def end_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Give the offsets after the last."""
        return {place: (await self._broker.bounds(place))[1] for place in places}

    async def getmany(
        self, place: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Read what is there; never waits for more."""
        records, self._positions[place] = await self._broker.fetch(place, self._positions[place], max_records)
        return {place: records} if records else {}


class Producer:
    """A producer, transactional if it has a name. Sending does its work at once, and the future tells how it went."""

    def __init__(self, broker: Broker, name: str | None = None) -> None:
        self._broker = broker
        self._name = name
        self._writer: Writer | None = None

    async def start(self) -> None:
        """Fence every former producer of this name."""
        if self._name is not None:
            self._writer = await self._broker.init_transactions(self._name)

    async def stop(self) -> None:
        """Nothing is aborted: whoever comes next does that."""

    async def partitions_for(self, topic: str) -> set[int]:
        """Give the numbers of a topic's partitions."""
        return await self._broker.metadata(topic)

    def create_batch(self) -> FakeBatch:
        """Make an empty batch."""
        return FakeBatch(MOST_IN_A_BATCH)

    async def send_batch(self, batch: FakeBatch, topic: str, *, partition: int) -> asyncio.Future[None]:
        """Write a batch; an error is the future's."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            await self._broker.send(TopicPartition(topic, partition), batch.records, self._writer)
            future.set_result(None)
        except KafkaError as error:
            future.set_exception(error)
        return future

    async def begin_transaction(self) -> None:
        """Nothing is asked of Kafka before the first record."""

    async def send_offsets_to_transaction(self, offsets: Mapping[TopicPartition, int], group: str) -> None:
        """Commit offsets with the transaction."""
        await self._broker.send_offsets(self._named(), group, offsets)

    async def commit_transaction(self) -> None:
        """Commit."""
        await self._broker.commit_transaction(self._named())
        await self._broker.write_markers(self._named())

    def _named(self) -> Writer:
        assert self._writer is not None, "a producer without a name has no transactions"
        return self._writer
