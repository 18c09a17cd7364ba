"""Plain aiokafka, copying: the same records read and written again, with the same client settings and nothing between.

It is the ceiling: what a stage that reads Kafka and writes Kafka could reach if it did no work of its own.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import ConsumerRecord, TopicPartition

from streams import kafka
from streams.bench.ground import Ground
from streams.bench.meters import Meters
from streams.bench.report import Rate
from streams.settings import Settings
from streams.topics import CreateTopic, apply, places_of


async def copy(ground: Ground, name: str) -> Rate:
    """Copy the raw topic of products to a new topic, each partition by a task of its own, each batch acknowledged."""
    settings = ground.settings
    target = f"{settings.topics.prefix}{name.replace(' ', '-')}"
    async with _clients(settings, target) as (consumer, producer, places):
        ends = await consumer.end_offsets(places)
        meters = Meters(ground.redis, [os.getpid()], ground.kafka_process)
        before, begin = await meters.read(), time.monotonic()
        await asyncio.gather(*(_partition(consumer, producer, place, ends[place], target, settings) for place in places))
        seconds = time.monotonic() - begin
        count = sum(ends.values())
        return Rate(name, "records", count, seconds, (await meters.read()).per_unit_us(before, count))


async def _partition(
    consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, place: TopicPartition, end: int, target: str, settings: Settings
) -> None:
    done = 0
    while done < end:
        records = (await consumer.getmany(place, timeout_ms=1_000, max_records=settings.worker.batch_records)).get(place, [])
        await _write(producer, target, place.partition, records)
        done += len(records)


async def _write(producer: AIOKafkaProducer, target: str, partition: int, records: list[ConsumerRecord]) -> None:
    sent, batch = [], producer.create_batch()
    for record in records:
        while batch.append(timestamp=None, key=record.key, value=record.value) is None:
            sent.append(await producer.send_batch(batch, target, partition=partition))
            batch = producer.create_batch()
    batch.close()
    sent.append(await producer.send_batch(batch, target, partition=partition))
    for acknowledged in sent:
        await acknowledged


@asynccontextmanager
async def _clients(settings: Settings, target: str) -> AsyncIterator[tuple[AIOKafkaConsumer, AIOKafkaProducer, list[TopicPartition]]]:
    """Make the target topic and clients at the beginning of the raw topic; the topic is deleted afterwards."""
    admin = await kafka.started(kafka.admin(settings), settings.kafka, "admin")
    consumer = await kafka.started(kafka.consumer(settings, what="copy"), settings.kafka, "copy")
    producer = await kafka.started(kafka.producer(settings, what="copy"), settings.kafka, "copy")
    try:
        await apply(admin, [CreateTopic(target, settings.partitions, settings.kafka.replication_factor, {})])
        places = await places_of(admin, [settings.sources["product"].topic])
        consumer.assign(places)
        for place in places:
            consumer.seek(place, 0)
        yield consumer, producer, places
        await admin.delete_topics([target])
    finally:
        await producer.stop()
        await consumer.stop()
        await admin.close()
