"""Positions: where each partition of a log was left, kept in Kafka (adapt) or with the state in Redis (resolve).

Invariant: a position moves only over records whose effects are acknowledged, and a log that does not reach back to
a position, or ends before it, is an error, never a silent skip. Neighbours: `source` asks and tells.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4
from zlib import crc32

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition

from resolvers.correction import Correction, CorrectionBatch
from resolvers.erasure import Erasure
from resolvers.errors import KafkaUnavailable, LogTruncated, PositionGap, StoreLost
from resolvers.port import Resolver
from resolvers.sighting import Batch, Evidence, Position
from streams.batch import Outcome, SourceBatch
from streams.patience import Trouble, patiently
from streams.recovery import Recovering

log = structlog.get_logger(__name__)

LOOK_SECONDS = 2.0
"""How often the position of an idle partition is compared with the resolver's."""

COMMIT_SECONDS = 5.0
"""How often Kafka is told the position of a busy partition."""

OWED_SECONDS = 0.2
"""How long a busy partition of a raw topic is worked on before its position is committed."""

CHECK_MS = 1_000
"""How long one try waits for the record before a position when a partition is taken over."""


class Positions(Protocol):
    """How a source knows where to go on. Called for one batch at a time per partition."""

    async def start(self, consumer: AIOKafkaConsumer, place: TopicPartition) -> int:
        """Give the offset to read from. Raises LogTruncated, RedisUnavailable, KafkaUnavailable."""

    async def advance(self, consumer: AIOKafkaConsumer, batch: SourceBatch) -> None:
        """Note that a batch is done."""

    async def skip(self, consumer: AIOKafkaConsumer, place: TopicPartition, offset: int) -> None:
        """Note that there are no records before an offset: transaction markers, or what compaction removed."""

    async def settle(self, consumer: AIOKafkaConsumer, place: TopicPartition) -> Outcome:
        """Make the position durable: nothing more comes for now, or the partition goes away."""


class CommittedPositions:
    """Positions that are committed offsets of the consumer's group.

    A busy partition is committed now and then and once nothing comes, since a commit costs Kafka as much as a small batch.
    So a crash repeats a moment's records: these make the same events again.
    """

    def __init__(self, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._owed: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, float] = {}

    async def start(self, consumer: AIOKafkaConsumer, place: TopicPartition) -> int:
        """Give the committed offset, or the beginning of the log where nothing was committed."""
        self._owed.pop(place, None)

        async def ask() -> tuple[int | None, int, int]:
            try:
                committed = await consumer.committed(place)
                return committed, *(await bounds(consumer, place))
            except KafkaError as error:
                raise KafkaUnavailable(f"the position of {named(place)} can't be read: {error!r}") from error

        committed, first, end = await patiently(ask, f"position of {named(place)}", self._patience_seconds)
        return first if committed is None else reachable(committed, first, end, place)

    async def advance(self, consumer: AIOKafkaConsumer, batch: SourceBatch) -> None:
        """Commit the end of the batch, or owe it. A partition that went away meanwhile is its new owner's business."""
        self._owed[batch.place] = batch.end
        if asyncio.get_running_loop().time() - self._committed.get(batch.place, 0.0) >= OWED_SECONDS:
            await self.settle(consumer, batch.place)

    async def skip(self, consumer: AIOKafkaConsumer, place: TopicPartition, offset: int) -> None:  # noqa: ARG002 - the protocol's
        """Owe the offset: nothing comes, so that it is committed next."""
        self._owed[place] = offset

    async def settle(self, consumer: AIOKafkaConsumer, place: TopicPartition) -> Outcome:
        """Commit what is owed."""
        offset = self._owed.get(place)
        if offset is not None and await commit(consumer, place, offset):
            del self._owed[place]
            self._committed[place] = asyncio.get_running_loop().time()
        return Outcome.DONE


@dataclass(slots=True)
class Progress:
    """One partition as this worker sees it: what the store has, and up to where effects are acknowledged."""

    stored: int
    acknowledged: Position
    looked: float = 0.0
    """When the store was last asked for the position, or told it, by the event loop's clock."""

    committed: float = 0.0
    """When Kafka was last told the position."""

    mark: str = ""
    """Names the last call that was applied; empty before the first."""

    def batch(self, log: str, partition: int, evidence: tuple[Evidence, ...] = (), upto: int = 0) -> Batch:
        """Make the next call: it moves the stored position to what is acknowledged, before the evidence, which ends at `upto`."""
        return Batch(log, partition, self.stored, self.acknowledged, evidence, self.mark, uuid4().hex, upto)

    def corrections(self, log: str, partition: int, corrections: tuple[Correction | Erasure, ...]) -> CorrectionBatch:
        """Make the next call of a log of commands."""
        return CorrectionBatch(log, partition, self.stored, self.acknowledged, corrections, self.mark, uuid4().hex)

    def applied(self, batch: Batch | CorrectionBatch) -> None:
        """Note that a call was applied."""
        self.stored, self.mark = batch.end.offset, batch.mark


class AppliedPositions:
    """Positions that the resolver moves in the same step in which it applies evidence.

    A batch is applied while the position moves to the batch's own start, and only the next call moves it past the
    batch: by then the participants' records are acknowledged. So a crash repeats at most one batch, and loses none.
    """

    def __init__(
        self, resolver: Resolver, log_name: str, recovery: Recovering, patience_seconds: float, trouble: Trouble | None = None
    ) -> None:
        """`recovery` is begun where the resolver turns out to have lost writes."""
        self._resolver = resolver
        self._log = log_name
        self._recovery = recovery
        self._trouble = trouble
        self._patience_seconds = patience_seconds
        self._progress: dict[int, Progress] = {}

    @property
    def log(self) -> str:
        """Name the log, as the resolver knows it."""
        return self._log

    def progress(self, partition: int) -> Progress:
        """Give how far a partition is, to be moved by whoever applies its batches."""
        return self._progress[partition]

    async def start(self, consumer: AIOKafkaConsumer, place: TopicPartition) -> int:
        """Give the resolver's position, after comparing the record before it with the checksum kept.

        A position below the one that Kafka was told means that the resolver lost writes.
        """

        async def ask() -> tuple[Position, int, int, int]:
            try:  # Kafka is told a position after Redis, so it is asked before
                committed = int(await consumer.committed(place) or 0)
                position = await self._resolver.position(self._log, place.partition)
                return position, committed, *(await bounds(consumer, place))
            except KafkaError as error:
                raise KafkaUnavailable(f"the bounds of {named(place)} can't be read: {error!r}") from error

        position, committed, first, end = await patiently(ask, f"position of {named(place)}", self._patience_seconds, self._trouble)
        reachable(position.offset, first, end, place)
        if position.offset < committed:
            await self.lost(f"{named(place)} was applied up to {committed}, Redis knows of {position.offset}")
        if position.offset > first:
            await same_log(consumer, place, position, self._patience_seconds)
        now = asyncio.get_running_loop().time()
        self._progress[place.partition] = Progress(position.offset, position, now, now)
        return position.offset

    async def lost(self, reason: str) -> None:
        """Begin a recovery: the resolver knows less than it did."""
        await self._recovery.begin(reason)

    async def advance(self, consumer: AIOKafkaConsumer, batch: SourceBatch) -> None:
        """Note that everything of a batch is acknowledged; the next call to the resolver makes it durable."""
        progress = self._progress[batch.place.partition]
        progress.acknowledged = Position(batch.end, checksum(batch.records[-1].value))
        now = progress.looked = asyncio.get_running_loop().time()
        if now - progress.committed >= COMMIT_SECONDS:
            progress.committed = now
            await commit(consumer, batch.place, progress.stored)

    async def skip(self, consumer: AIOKafkaConsumer, place: TopicPartition, offset: int) -> None:  # noqa: ARG002 - the protocol's
        """Note where the next record can be; the checksum stays that of the last one there was."""
        progress = self._progress[place.partition]
        progress.acknowledged = Position(offset, progress.acknowledged.checksum)

    async def settle(self, consumer: AIOKafkaConsumer, place: TopicPartition) -> Outcome:
        """Move the stored position to what is acknowledged, and Kafka's, by which a loss is noticed after a restart.

        While nothing comes the position is looked at now and then: Redis may have gone back under an idle worker.
        """
        progress = self._progress.get(place.partition)
        if progress is None:
            return Outcome.DONE
        try:
            if progress.stored == progress.acknowledged.offset:
                return await self._look(place, progress)
            batch = progress.batch(self._log, place.partition)
            await patiently(lambda: self._resolver.apply(batch), f"confirming {named(place)}", self._patience_seconds, self._trouble)
        except PositionGap as gap:
            return await self.overtaken(gap)
        except StoreLost as loss:
            log.warning("redis has lost what it knew, starting over", partition=named(place), reason=str(loss))
            return Outcome.OVERTAKEN
        progress.applied(batch)
        await commit(consumer, place, progress.stored)
        return Outcome.DONE

    async def overtaken(self, gap: PositionGap) -> Outcome:
        """Say why a batch did not continue: another worker went ahead, or the resolver went back, and so lost writes."""
        if gap.expected < gap.got:
            await self.lost(str(gap))
        else:
            log.info("someone else went ahead, or the last batch was lost; reading the position again", log=self._log, reason=str(gap))
        return Outcome.OVERTAKEN

    async def _look(self, place: TopicPartition, progress: Progress) -> Outcome:
        now = asyncio.get_running_loop().time()
        if now - progress.looked < LOOK_SECONDS:
            return Outcome.DONE
        progress.looked = now
        what = f"position of {named(place)}"
        position = await patiently(lambda: self._resolver.position(self._log, place.partition), what, self._patience_seconds, self._trouble)
        if position.offset < progress.stored:
            return await self.overtaken(PositionGap(place.partition, position.offset, progress.stored))
        return Outcome.DONE if position.offset == progress.stored else Outcome.OVERTAKEN


def named(place: TopicPartition) -> str:
    """Write a partition for people."""
    return f"{place.topic}, partition {place.partition}"


def checksum(value: bytes | None) -> int:
    """Digest a record's value for a position."""
    return crc32(value or b"")


async def bounds(consumer: AIOKafkaConsumer, place: TopicPartition) -> tuple[int, int]:
    """Give the first offset that a partition still has, and the one after its last."""
    first = await consumer.beginning_offsets([place])
    end = await consumer.end_offsets([place])
    return int(first[place]), int(end[place])


def reachable(position: int, first: int, end: int, place: TopicPartition) -> int:
    """Give the position back if the log has it. Raises LogTruncated."""
    if position < first:
        raise LogTruncated(
            f"{named(place)} begins at offset {first}, but records from {position} on were never handled: they are gone; "
            "restore the topic, or rebuild into a new space"
        )
    if position > end:
        raise LogTruncated(
            f"{named(place)} ends at offset {end}, but records up to {position} were handled already: the topic was made anew; "
            "use another space, or another topics.prefix"
        )
    return position


async def same_log(consumer: AIOKafkaConsumer, place: TopicPartition, position: Position, patience_seconds: float) -> None:
    """Raise LogTruncated if the record before a position is not the one that was applied.

    Says nothing where that offset is a hole: Kafka gave what comes after it. Raises KafkaUnavailable where it gives nothing.
    """
    last = position.offset - 1
    record = await patiently(lambda: _first_from(consumer, place, last), f"the last record of {named(place)}", patience_seconds)
    if record is not None and record.offset == last and checksum(record.value) != position.checksum:
        raise LogTruncated(
            f"{named(place)} holds another record at offset {last} than the one that was applied: the topic was made anew; "
            "use another space, or another topics.prefix"
        )


async def _first_from(consumer: AIOKafkaConsumer, place: TopicPartition, offset: int) -> ConsumerRecord | None:
    """Give the first record from an offset on, None where Kafka passed over it without a record. Raises KafkaUnavailable."""
    consumer.seek(place, offset)
    consumer.resume(place)
    try:
        records = (await consumer.getmany(place, timeout_ms=CHECK_MS, max_records=1)).get(place, [])
        passed = bool(records) or await consumer.position(place) > offset
    except IllegalStateError:
        raise
    except KafkaError as error:
        raise KafkaUnavailable(f"the record at offset {offset} of {named(place)} can't be read: {error!r}") from error
    finally:
        consumer.pause(place)
    if not passed:
        raise KafkaUnavailable(f"Kafka does not give the record at offset {offset} of {named(place)}")
    return records[0] if records else None


async def commit(consumer: AIOKafkaConsumer, place: TopicPartition, offset: int) -> bool:
    """Commit an offset, and say whether that went well; what can't be committed is done again by whoever holds the partition next."""
    try:
        await consumer.commit({place: offset})
    except (KafkaError, IllegalStateError) as error:
        said = "an offset was not committed; its records may be handled again"
        log.warning(said, partition=named(place), offset=offset, error=repr(error))
        return False
    return True
