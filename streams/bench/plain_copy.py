"""Plain aiokafka, copying: the same records read and written again, with the same client settings and nothing between.

It is the ceiling: what a stage that reads Kafka and writes Kafka could reach if it did no work of its own. In batches
it is the fastest that aiokafka has, and what the stages do; one send after the other is how its examples look. What librdkafka
copies is there to see what another client would be worth.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import ConsumerRecord, TopicPartition

from streams import kafka
from streams.bench.ground import Ground
from streams.bench.meters import Meters
from streams.bench.report import Rate
from streams.topics import MESSAGE_BYTES, CreateTopic, apply, places_of

PASSES = 3
"""How often the raw topic is read, so that it takes long enough to be measured."""

Write = Callable[[AIOKafkaProducer, str, int, Sequence[ConsumerRecord]], Awaitable[None]]


async def in_batches(producer: AIOKafkaProducer, target: str, partition: int, records: Sequence[ConsumerRecord]) -> None:
    """Write records as batches that are put together here; all are acknowledged at the end."""
    sent, batch = [], producer.create_batch()
    for record in records:
        while batch.append(timestamp=None, key=record.key, value=record.value) is None:
            sent.append(await producer.send_batch(batch, target, partition=partition))
            batch = producer.create_batch()
    batch.close()
    sent.append(await producer.send_batch(batch, target, partition=partition))
    for acknowledged in sent:
        await acknowledged


async def send_by_send(producer: AIOKafkaProducer, target: str, partition: int, records: Sequence[ConsumerRecord]) -> None:
    """Write records one `send` after the other; all are acknowledged at the end."""
    for acknowledged in [await producer.send(target, record.value, record.key, partition=partition) for record in records]:
        await acknowledged


@dataclass(frozen=True, slots=True)
class Copying:
    """Clients and the topics that they copy between."""

    consumer: AIOKafkaConsumer
    producer: AIOKafkaProducer
    ends: dict[TopicPartition, int]
    target: str
    batch_records: int

    async def all(self, write: Write) -> None:
        """Copy every partition by a task of its own."""
        await asyncio.gather(*(self._partition(place, write) for place in self.ends))

    async def _partition(self, place: TopicPartition, write: Write) -> None:
        for _ in range(PASSES):
            self.consumer.seek(place, 0)
            done = 0
            while done < self.ends[place]:
                records = (await self.consumer.getmany(place, timeout_ms=1_000, max_records=self.batch_records)).get(place, [])
                await write(self.producer, self.target, place.partition, records)
                done += len(records)


async def copy_by_librdkafka(ground: Ground, name: str) -> Rate | None:
    """Copy by confluent-kafka in a thread, one consumer and one producer; None where it is not installed."""
    try:
        from confluent_kafka import Consumer, Producer  # noqa: PLC0415 - it is no dependency of the product
        from confluent_kafka import TopicPartition as Place  # noqa: PLC0415
    except ImportError:
        return None
    async with _copying(ground) as copying:
        server = {"bootstrap.servers": ground.settings.kafka.bootstrap_servers}
        producer = Producer({**server, "enable.idempotence": True, "linger.ms": 5, "queue.buffering.max.messages": 1_000_000})
        consumer = Consumer({**server, "group.id": copying.target, "enable.auto.commit": False, "enable.partition.eof": False})
        total = sum(copying.ends.values()) * PASSES
        meters = Meters(ground.redis, [], ground.kafka_process)

        def all_of_it() -> None:
            for _ in range(PASSES):
                consumer.assign([Place(place.topic, place.partition, 0) for place in copying.ends])
                left = sum(copying.ends.values())
                while left:
                    for record in consumer.consume(copying.batch_records, 1.0):
                        producer.produce(copying.target, record.value(), record.key(), partition=record.partition() or 0)
                        left -= 1
                    producer.poll(0)
            producer.flush()

        before, begin = await meters.read(), time.monotonic()
        await asyncio.to_thread(all_of_it)
        after, seconds = await meters.read(), time.monotonic() - begin
        await asyncio.to_thread(consumer.close)
        return Rate(name, "records", total, seconds, after.per_unit_us(before, total), after.others_cores(before, seconds))


async def copy(ground: Ground, name: str, write: Write = in_batches) -> Rate:
    """Copy the raw topic to another topic, some times over, and forget the copy."""
    async with _copying(ground) as copying:
        meters = Meters(ground.redis, [], ground.kafka_process)
        before, begin = await meters.read(), time.monotonic()
        await copying.all(write)
        after, seconds = await meters.read(), time.monotonic() - begin
        count = sum(copying.ends.values()) * PASSES
        return Rate(name, "records", count, seconds, after.per_unit_us(before, count), after.others_cores(before, seconds))


@asynccontextmanager
async def _copying(ground: Ground) -> AsyncIterator[Copying]:
    """Make clients and a target topic, which is deleted afterwards."""
    settings = ground.settings
    target, number = f"{settings.topics.prefix}copy-{time.monotonic_ns()}", settings.partitions
    connect = partial(kafka.started, kafka=settings.kafka, what="copy")
    admin = await connect(kafka.admin(settings))
    consumer = await connect(kafka.consumer(settings, what="copy"))
    producer = await connect(kafka.producer(settings, what="copy"))
    try:
        await apply(admin, [CreateTopic(target, number, settings.kafka.replication_factor, {"max.message.bytes": str(MESSAGE_BYTES)})])
        places = await places_of(admin, [settings.sources[ground.source].topic])
        consumer.assign(places)
        yield Copying(consumer, producer, await consumer.end_offsets(places), target, settings.worker.batch_records)
    finally:
        await producer.stop()
        await consumer.stop()
        await admin.delete_topics([target])
        await admin.close()
