"""Latency: from when a source record was due to be sent to a read_committed consumer that holds its entity.

Invariant: probes are records of new people among ordinary ones, at a pace that nothing holds back: a wait begins when the record was due,
so one that was sent late, since the sender was kept from it, counts as late (no coordinated omission). Every wait is kept, so quantiles
are exact. Sender and receiver are one process, and so one clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from resolvers.errors import NexusError
from streams import kafka
from streams.bench.report import Latency
from streams.bench.stages import Shift
from streams.bench.stream import product_records
from streams.settings import Settings

EVERY = 10
"""One in so many records is a probe."""

PATIENCE_SECONDS = 120.0
_MARK = b'"probe"'


async def latency(at_work: Shift, probes: int, rate: float, share: float, first: int) -> Latency:
    """Send probes among ordinary records, from number `first` on, at a share of a rate, and wait for the entity of each."""
    settings, run = at_work.settings, f"{first}-"
    async with _clients(settings) as (producer, consumer):
        heard = asyncio.create_task(_hear(consumer, run, probes))
        sent = await _send(producer, settings, _records(run, probes, first), rate * share)
        try:
            held = await asyncio.wait_for(heard, PATIENCE_SECONDS)
        except TimeoutError as error:
            at_work.check()
            raise NexusError(f"not every probe had an entity after {PATIENCE_SECONDS:g} s") from error
    waits = sorted((held[probe] - moment) * 1e3 for probe, moment in sent.items())
    return Latency(probes, rate * share, share, *(quantile(waits, part) for part in (0.5, 0.9, 0.99, 0.999, 1.0)))


def quantile(ordered: Sequence[float], part: float) -> float:
    """Give the smallest value that at least this part of the values do not exceed."""
    return ordered[max(0, -int(-part * len(ordered) // 1) - 1)]


def _records(run: str, probes: int, first: int) -> Iterator[tuple[str | None, bytes]]:
    for number, record in enumerate(product_records(probes * EVERY, first)):
        if number % EVERY:
            yield None, record
            continue
        probe = f"{run}{number // EVERY}"
        told = orjson.loads(record)
        yield probe, orjson.dumps({**told, "user": {"id": f"probe-{probe}"}, "device": f"probe-device-{probe}", "probe": probe})


async def _send(
    producer: AIOKafkaProducer, settings: Settings, records: Iterator[tuple[str | None, bytes]], per_second: float
) -> dict[str, float]:
    """Send at a steady pace; gives when each probe was due."""
    topic, sent, begin, pending = settings.sources["product"].topic, {}, time.monotonic(), []
    for number, (probe, record) in enumerate(records):
        due = begin + number / per_second
        if (early := due - time.monotonic()) > 0:
            await asyncio.sleep(early)
        if probe is not None:
            sent[probe] = due
        pending.append(await producer.send(topic, record, partition=number % settings.partitions))
    await asyncio.gather(*pending)
    return sent


async def _hear(consumer: AIOKafkaConsumer, run: str, probes: int) -> dict[str, float]:
    """Note when the entity of each probe of this run arrived."""
    held: dict[str, float] = {}
    while len(held) < probes:
        fetched = await consumer.getmany(timeout_ms=1_000)
        now = time.monotonic()
        for record in (one for records in fetched.values() for one in records):
            if record.value is not None and _MARK in record.value:
                probe = str(orjson.loads(record.value)["traits"]["probe"])
                if probe.startswith(run):
                    held.setdefault(probe, now)
    return held


@asynccontextmanager
async def _clients(settings: Settings) -> AsyncIterator[tuple[AIOKafkaProducer, AIOKafkaConsumer]]:
    """Connect; the consumer stands at the present end of the entities."""
    producer = await kafka.started(kafka.producer(settings, what="probe"), settings.kafka, "probe")
    consumer = await kafka.started(kafka.consumer(settings, what="probe"), settings.kafka, "probe")
    try:
        places = [TopicPartition(settings.topic("entities"), partition) for partition in range(settings.partitions)]
        consumer.assign(places)
        for place, end in (await consumer.end_offsets(places)).items():
            consumer.seek(place, end)
        yield producer, consumer
    finally:
        await producer.stop()
        await consumer.stop()
