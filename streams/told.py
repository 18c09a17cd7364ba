"""What the topics say: the last records of a shard's partitions, read when Redis can't be trusted to know.

Invariant: nothing is written to Kafka, and what is read is committed. A shard's publisher reads, after fencing, so
nothing is added meanwhile. Memory is bounded: about a hundred bytes for each key of one topic's partition.
Neighbours: `publish` asks for it in a recovery; the resolver takes what is read as what was told last.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from uuid import uuid4

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord, TopicPartition

from resolvers.errors import KafkaUnavailable
from resolvers.port import Resolver, ToldRecord
from resolvers.told import is_ours
from streams import kafka
from streams.patience import patiently
from streams.settings import Settings

log = structlog.get_logger(__name__)

COMPACTED = ("entities", "identifiers", "memberships")
WRITTEN = (*COMPACTED, "timeline")

CHUNK_RECORDS = 500
CHUNK_BYTES = 1024 * 1024
TAIL_RECORDS = 100
POLL_MS = 1_000
STALLED_POLLS = 30


@dataclass(slots=True)
class Reading:
    """One reading of a shard: who reads, and how far it came."""

    shard: int
    reader: str
    calls: int = 0
    keys: int = 0


class ToldTopics:
    """The output topics of one space, by shard."""

    def __init__(
        self, settings: Settings, resolver: Resolver, patience_seconds: float, progressed: Callable[[], None] = lambda: None
    ) -> None:
        """`progressed` is called now and then while a long reading gets on."""
        self._settings = settings
        self._progressed = progressed
        self._resolver = resolver
        self._patience_seconds = patience_seconds
        self._one_at_a_time = asyncio.Lock()

    async def last_version(self, shard: int) -> int:
        """Give the highest version on a shard's partitions, 0 where they are empty."""
        places = [TopicPartition(self._settings.topic(word), shard) for word in WRITTEN]
        consumer = await self._consumer(places)
        try:
            return max([await self._last_of(consumer, place) for place in places])
        finally:
            await kafka.stop(consumer)

    async def _last_of(self, consumer: AIOKafkaConsumer, place: TopicPartition) -> int:
        """Give a partition's highest version: that of its last record, as they rise. Tombstones and markers say none."""
        first, end = await _bounds(consumer, place)
        records = TAIL_RECORDS
        while True:
            start = max(first, end - records)
            versions = [version_of(record.value) async for record in self._from(consumer, place, start, end)]
            if any(versions) or start == first:
                return max(versions, default=0)
            records *= 10

    async def read(self, shard: int) -> None:
        """Give the resolver the last record of every key of a shard. Raises Fenced when another worker reads it.

        One shard after the other: what is held in memory is one partition's keys.
        """
        async with self._one_at_a_time:
            await self._read_shard(shard)

    async def _read_shard(self, shard: int) -> None:
        reader = uuid4().hex
        await patiently(lambda: self._resolver.begin_reading(shard, reader), "beginning to read", self._patience_seconds)
        places = {word: TopicPartition(self._settings.topic(word), shard) for word in COMPACTED}
        consumer = await self._consumer(list(places.values()))
        reading = Reading(shard, reader)
        try:
            for word, place in places.items():
                await self._read_topic(consumer, word, place, reading)
        finally:
            await kafka.stop(consumer)
        await patiently(lambda: self._resolver.end_reading(shard, reader, reading.calls), "ending to read", self._patience_seconds)
        log.info("read what the topics hold; publishing goes on", shard=shard, keys=reading.keys)

    async def _read_topic(self, consumer: AIOKafkaConsumer, word: str, place: TopicPartition, reading: Reading) -> None:
        """Go over a partition twice: once for where each key was written last, once for these records."""
        first, end = await _bounds(consumer, place)
        last = {key_mark(record.key): record.offset async for record in self._from(consumer, place, first, end)}
        chunk, size = list[ToldRecord](), 0
        async for record in self._from(consumer, place, first, end):
            if last[key_mark(record.key)] != record.offset:
                continue
            told = told_record(word, record)
            if told is None:
                log.warning("a record that nexus did not write is left alone", topic=place.topic, offset=record.offset)
                continue
            chunk.append(told)
            size += len(record.value or b"")
            if len(chunk) >= CHUNK_RECORDS or size >= CHUNK_BYTES:
                await self._retell(reading, chunk)
                chunk, size = [], 0
        await self._retell(reading, chunk)

    async def _retell(self, reading: Reading, chunk: list[ToldRecord]) -> None:
        if chunk:
            call = partial(self._resolver.retell, reading.shard, reading.reader, reading.calls, chunk)
            await patiently(call, "telling what was told", self._patience_seconds)
            reading.calls += 1
            reading.keys += len(chunk)

    async def _consumer(self, places: list[TopicPartition]) -> AIOKafkaConsumer:
        consumer = await kafka.started(kafka.consumer(self._settings, what="told"), self._settings.kafka, "told")
        consumer.assign(places)
        consumer.pause(*places)
        return consumer

    async def _from(self, consumer: AIOKafkaConsumer, place: TopicPartition, start: int, end: int) -> AsyncIterator[ConsumerRecord]:
        """Give the committed records of a partition between two offsets. Raises KafkaUnavailable when Kafka stalls."""
        consumer.seek(place, start)
        consumer.resume(place)
        stalled = 0
        try:
            while (at := await consumer.position(place)) < end:
                for record in (await consumer.getmany(place, timeout_ms=POLL_MS)).get(place, []):
                    if record.offset < end:
                        yield record
                self._progressed()
                stalled = stalled + 1 if await consumer.position(place) == at else 0
                if stalled >= STALLED_POLLS:
                    raise KafkaUnavailable(f"Kafka gives nothing of {place.topic}, partition {place.partition} from offset {at} on")
        finally:
            consumer.pause(place)


def key_mark(key: bytes | None) -> int:
    """Stand for a key in sixteen bytes, so that long keys take no more memory than short ones."""
    return int.from_bytes(blake2b(key or b"", digest_size=16).digest(), "big")


def told_record(word: str, record: ConsumerRecord) -> ToldRecord | None:
    """Read a record of a compacted topic; None for one that nexus cannot have written."""
    try:
        document = None if record.value is None else msgspec.json.decode(record.value, type=dict)
        told = ToldRecord(word, (record.key or b"").decode("utf-8", "surrogatepass"), document)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return told if is_ours(told) else None


def version_of(value: bytes | None) -> int:
    """Give the version that a record says, 0 where it says none."""
    try:
        document = msgspec.json.decode(value or b"null")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0
    version = document.get("version") if isinstance(document, dict) else None
    return version if isinstance(version, int) else 0


async def _bounds(consumer: AIOKafkaConsumer, place: TopicPartition) -> tuple[int, int]:
    first, end = await consumer.beginning_offsets([place]), await consumer.end_offsets([place])
    return int(first[place]), int(end[place])
