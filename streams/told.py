"""What the topics say: the last records of a shard's partitions, read when Redis can't be trusted to know.

Invariant: nothing is written to Kafka, and what is read is committed. Reading counts only after the resolver was told
that it begins, when no publisher writes; what was read ahead is the beginning of a log that only grows, so just the rest is
read then. Memory is bounded: `held_bytes` for what is read ahead, and about a hundred bytes for each key of one
topic's partition that did not fit.
Neighbours: `publish` asks for it in a recovery; the resolver takes what is read as what was told last.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
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
PIECE_RECORDS = 2_000
"""Most records that are read without letting others have their turn: some ten milliseconds."""

HELD_BYTES = 256 * 1024 * 1024
"""Most memory that records read ahead take, about, of all shards of a worker. A topic's partition that does not fit is read twice."""

KEY_BYTES = 200
"""What a key and its value take in memory beside their own bytes, about."""

POLL_MS = 1_000
STALLED_POLLS = 30


@dataclass(slots=True)
class Reading:
    """One reading of a shard: who reads, and how far it came."""

    shard: int
    reader: str
    calls: int = 0
    keys: int = 0


@dataclass(slots=True)
class Ahead:
    """A partition as far as it was read ahead: from `first` to before `end`, with the last value of every key.

    `fits` turns False for good when it takes too much memory, and nothing of it is held then.
    """

    first: int = 0
    end: int = 0
    held_bytes: int = 0
    fits: bool = True
    last: dict[bytes, bytes | None] = field(default_factory=dict)

    def add(self, records: Iterable[ConsumerRecord]) -> None:
        """Take in the records that come next."""
        last, grown = self.last, 0
        for record in records:
            key, value = record.key or b"", record.value
            if key in last:
                grown -= len(last[key] or b"")
            else:
                grown += KEY_BYTES + len(key)
            grown += len(value or b"")
            last[key] = value
        self.held_bytes += grown

    def reset(self, first: int, *, fits: bool = True) -> None:
        """Hold nothing."""
        self.first, self.end, self.held_bytes, self.fits, self.last = first, first, 0, fits, {}


class ToldTopics:
    """The output topics of one space, by shard."""

    def __init__(
        self,
        settings: Settings,
        resolver: Resolver,
        patience_seconds: float,
        progressed: Callable[[], None] = lambda: None,
        *,
        held_bytes: int = HELD_BYTES,
    ) -> None:
        """`progressed` is called now and then while a long reading gets on."""
        self._settings = settings
        self._progressed = progressed
        self._resolver = resolver
        self._patience_seconds = patience_seconds
        self._held_bytes = held_bytes
        self._one_at_a_time = asyncio.Lock()
        self._ahead: dict[int, dict[str, Ahead]] = {}

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
            versions = [version_of(record.value) async for piece in self._from(consumer, place, start, end) for record in piece]
            if any(versions) or start == first:
                return max(versions, default=0)
            records *= 10

    async def read_ahead(self, shard: int) -> None:
        """Read a shard's compacted topics into memory, as far as they fit, for `read` to come. Does nothing the second time.

        Worth it while nothing is written to them. One shard after the other.
        """
        if shard not in self._ahead:
            ahead = self._ahead[shard] = {word: Ahead() for word in COMPACTED}
            async with self._reading(shard) as (consumer, places), self._one_at_a_time:
                for word, place in places.items():
                    await self._go_on(consumer, place, ahead[word])

    def forget(self, shard: int) -> None:
        """Give up what was read ahead of a shard."""
        self._ahead.pop(shard, None)

    async def read(self, shard: int) -> None:
        """Give the resolver the last record of every key of a shard. Raises Fenced when another worker reads it."""
        try:
            await self._read(Reading(shard, uuid4().hex), self._ahead.setdefault(shard, {word: Ahead() for word in COMPACTED}))
        finally:
            self.forget(shard)

    async def _read(self, reading: Reading, ahead: dict[str, Ahead]) -> None:
        shard, reader = reading.shard, reading.reader
        await patiently(lambda: self._resolver.begin_reading(shard, reader), "beginning to read", self._patience_seconds)
        async with self._reading(shard) as (consumer, places):
            for word, place in places.items():
                await self._read_topic(consumer, word, place, reading, ahead[word])
        await patiently(lambda: self._resolver.end_reading(shard, reader, reading.calls), "ending to read", self._patience_seconds)
        log.info("read what the topics hold; publishing goes on", shard=shard, keys=reading.keys)

    async def _read_topic(self, consumer: AIOKafkaConsumer, word: str, place: TopicPartition, reading: Reading, ahead: Ahead) -> None:
        async with self._one_at_a_time:
            await self._go_on(consumer, place, ahead)
            if not ahead.fits:
                await self._read_twice(consumer, word, place, reading)
        await self._retell(reading, word, ahead.last.items())
        ahead.reset(ahead.end)

    async def _go_on(self, consumer: AIOKafkaConsumer, place: TopicPartition, ahead: Ahead) -> None:
        """Read ahead from where that ended; from the beginning where the log is another one."""
        first, end = await _bounds(consumer, place)
        if ahead.first != first or ahead.end > end:
            ahead.reset(first)
        if not ahead.fits:
            return
        async for piece in self._from(consumer, place, ahead.end, end):
            ahead.add(piece)
            if sum(one.held_bytes for shard in self._ahead.values() for one in shard.values()) > self._held_bytes:
                ahead.reset(first, fits=False)
                return
        ahead.end = end

    async def _read_twice(self, consumer: AIOKafkaConsumer, word: str, place: TopicPartition, reading: Reading) -> None:
        """Go over a partition twice: once for where each key was written last, once for these records."""
        first, end = await _bounds(consumer, place)
        last = {key_mark(record.key): record.offset async for piece in self._from(consumer, place, first, end) for record in piece}
        async for piece in self._from(consumer, place, first, end):
            found = [(record.key or b"", record.value) for record in piece if last[key_mark(record.key)] == record.offset]
            await self._retell(reading, word, found)

    async def _retell(self, reading: Reading, word: str, last: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Tell the resolver, in calls of bounded work, what a topic says last."""
        chunk, size = list[ToldRecord](), 0
        foreign = 0
        for key, value in last:
            told = told_record(word, key, value)
            if told is None:
                foreign += 1
                continue
            chunk.append(told)
            size += len(value or b"")
            if len(chunk) >= CHUNK_RECORDS or size >= CHUNK_BYTES:
                await self._call(reading, chunk)
                chunk, size = [], 0
        if chunk:
            await self._call(reading, chunk)
        if foreign:
            log.warning("records that nexus did not write are left alone", topic=word, shard=reading.shard, count=foreign)

    async def _call(self, reading: Reading, chunk: list[ToldRecord]) -> None:
        call = partial(self._resolver.retell, reading.shard, reading.reader, reading.calls, chunk)
        await patiently(call, "telling what was told", self._patience_seconds)
        reading.calls += 1
        reading.keys += len(chunk)
        self._progressed()

    @asynccontextmanager
    async def _reading(self, shard: int) -> AsyncIterator[tuple[AIOKafkaConsumer, dict[str, TopicPartition]]]:
        """Connect to a shard's partitions of the compacted topics."""
        places = {word: TopicPartition(self._settings.topic(word), shard) for word in COMPACTED}
        consumer = await self._consumer(list(places.values()))
        try:
            yield consumer, places
        finally:
            await kafka.stop(consumer)

    async def _consumer(self, places: list[TopicPartition]) -> AIOKafkaConsumer:
        consumer = await kafka.started(kafka.consumer(self._settings, what="told"), self._settings.kafka, "told")
        consumer.assign(places)
        consumer.pause(*places)
        return consumer

    async def _from(self, consumer: AIOKafkaConsumer, place: TopicPartition, start: int, end: int) -> AsyncIterator[list[ConsumerRecord]]:
        """Give the committed records of a partition between two offsets, in pieces. Raises KafkaUnavailable when Kafka stalls."""
        consumer.seek(place, start)
        consumer.resume(place)
        stalled = 0
        try:
            while (at := await consumer.position(place)) < end:
                piece = (await consumer.getmany(place, timeout_ms=POLL_MS, max_records=PIECE_RECORDS)).get(place, [])
                if piece and piece[-1].offset >= end:
                    piece = [record for record in piece if record.offset < end]
                if piece:
                    yield piece
                self._progressed()
                stalled = stalled + 1 if await consumer.position(place) == at else 0
                if stalled >= STALLED_POLLS:
                    raise KafkaUnavailable(f"Kafka gives nothing of {place.topic}, partition {place.partition} from offset {at} on")
        finally:
            consumer.pause(place)


def key_mark(key: bytes | None) -> int:
    """Stand for a key in sixteen bytes, so that long keys take no more memory than short ones."""
    return int.from_bytes(blake2b(key or b"", digest_size=16).digest(), "big")


def told_record(word: str, key: bytes, value: bytes | None) -> ToldRecord | None:
    """Read a record of a compacted topic; None for one that nexus cannot have written."""
    try:
        document = None if value is None else msgspec.json.decode(value, type=dict)
        told = ToldRecord(word, key.decode("utf-8", "surrogatepass"), document)
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
