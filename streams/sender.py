"""The sender: writes records to Kafka and returns when every one of them is acknowledged.

Invariant: `send` returns only after all replicas have the records; what was not acknowledged is sent again, so
records can come twice, and none is lost. Neighbours: adapt, resolve and commands write through it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from zlib import crc32

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    RecordListTooLargeError,
    UnknownProducerId,
)

from resolvers.errors import KafkaUnavailable, SettingsError
from streams.patience import Trouble

log = structlog.get_logger(__name__)

TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
WITH_A_NEW_PRODUCER = (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaTimeoutError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)
"""What a producer does not get over by itself and a new one does."""

PATIENT_SECONDS = 10.0
STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to write. Without a `partition` its key decides; without a key, its place in the call."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int | None = None


def partition_of(key: bytes, partitions: int) -> int:
    """Choose the partition of a key. Fixed for ever: a compacted topic needs a key in one place."""
    return crc32(key) % partitions


class Stoppable(Protocol):
    """What consumers and producers have in common at their end."""

    async def stop(self) -> None:
        """Disconnect."""


class Sender:
    """An idempotent producer that is replaced when it fails. Safe for concurrent use within one event loop."""

    def __init__(
        self,
        make_producer: Callable[[], Awaitable[AIOKafkaProducer]],
        address: str,
        patience_seconds: float,
        trouble: Trouble | None = None,
    ) -> None:
        """`make_producer` gives a started producer; after `patience_seconds` without an acknowledgement `send` raises."""
        self._make_producer = make_producer
        self._address = address
        self._patience_seconds = patience_seconds
        self._trouble = trouble
        self._producer: AIOKafkaProducer | None = None
        self._replacing = asyncio.Lock()

    async def start(self) -> None:
        """Connect. Raises KafkaUnavailable."""
        self._producer = await self._make_producer()

    async def stop(self) -> None:
        """Disconnect; what is being sent is given up if Kafka does not take it."""
        if self._producer is not None:
            await ended(self._producer)
            self._producer = None

    async def send(self, records: Sequence[Outgoing]) -> list[Outgoing]:
        """Write records and wait for their acknowledgement; give back those that Kafka refuses as too large.

        Records of one partition keep their order. Raises KafkaUnavailable, or what Kafka refuses for good.
        """
        if not records:
            return []
        call = object()
        try:
            return await self._send(records, call)
        finally:
            if self._trouble is not None:
                self._trouble.over(call)

    async def _send(self, records: Sequence[Outgoing], call: object) -> list[Outgoing]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience_seconds
        while True:
            producer = self._producer or await self._replace(None)
            try:
                return await self._attempt(producer, records, deadline, call)
            except (KafkaError, TimeoutError) as error:
                if not passing(error):
                    raise
                if loop.time() >= deadline:
                    asked = f"{len(records)} records within {self._patience_seconds:g} s"
                    raise KafkaUnavailable(f"Kafka at {self._address} did not acknowledge {asked}: {error!r}") from error
                log.warning("kafka does not acknowledge, sending again", address=self._address, records=len(records), error=repr(error))
                self._fails(call, error)
                await self._replace(producer)

    def _fails(self, call: object, error: Exception) -> None:
        if self._trouble is not None:
            self._trouble.fails(call, "writing records", error)

    async def _attempt(self, producer: AIOKafkaProducer, records: Sequence[Outgoing], deadline: float, call: object) -> list[Outgoing]:
        groups: dict[tuple[str, int], list[Outgoing]] = {}
        for index, record in enumerate(records):
            place = record.partition
            if place is None:
                count = len(await producer.partitions_for(record.topic))
                place = index % count if record.key is None else partition_of(record.key, count)
            groups.setdefault((record.topic, place), []).append(record)
        sends = [asyncio.ensure_future(send_to(producer, topic, place, group)) for (topic, place), group in groups.items()]
        try:
            await self._wait(sends, deadline, call)
        finally:
            for send in sends:
                send.cancel()
        return [record for send in sends for record in send.result()]

    async def _wait(self, sends: Iterable[asyncio.Future[list[Outgoing]]], deadline: float, call: object) -> None:
        """Wait for every send, saying so while Kafka does not answer. Raises the first error, or TimeoutError."""
        loop, pending = asyncio.get_running_loop(), set(sends)
        while pending:
            left = deadline - loop.time()
            if left <= 0:
                raise TimeoutError("no acknowledgement")
            done, pending = await asyncio.wait(pending, timeout=min(left, PATIENT_SECONDS), return_when=asyncio.FIRST_EXCEPTION)
            for send in done:
                send.result()
            if not done:
                log.warning("kafka does not acknowledge yet, waiting", address=self._address, giving_up_in_seconds=round(left))
                self._fails(call, TimeoutError(f"Kafka at {self._address} does not acknowledge yet"))

    async def _replace(self, failed: AIOKafkaProducer | None) -> AIOKafkaProducer:
        async with self._replacing:
            if self._producer is None or self._producer is failed:
                if failed is not None:
                    await ended(failed)
                self._producer = None
                self._producer = await self._make_producer()
            return self._producer


async def send_all(sender: Sender, records: Sequence[Outgoing]) -> None:
    """Write records none of which may be refused. Raises SettingsError when Kafka takes one as too large."""
    refused = await sender.send(records)
    if refused:
        raise SettingsError(refusal(refused))


def refusal(refused: Sequence[Outgoing]) -> str:
    """Say which record a topic does not take, and what to do."""
    largest = max(refused, key=lambda one: len(one.value or b""))
    size = len(largest.value or b"")
    return f"topic {largest.topic} refuses a record of {size} bytes: raise its max.message.bytes (see `nexus topics plan`)"


def passing(error: BaseException) -> bool:
    """Whether the same records may be taken later, or by another producer."""
    return isinstance(error, (TimeoutError, *WITH_A_NEW_PRODUCER)) or bool(getattr(error, "retriable", False))


async def send_to(producer: AIOKafkaProducer, topic: str, partition: int, records: Sequence[Outgoing]) -> list[Outgoing]:
    """Write records to one partition, batch by batch, and wait; give back those that are too large."""
    sent: list[tuple[asyncio.Future[Any], list[Outgoing]]] = []
    batch, inside = producer.create_batch(), list[Outgoing]()
    for record in records:
        while batch.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers)) is None:
            sent.append((await producer.send_batch(batch, topic, partition=partition), inside))
            batch, inside = producer.create_batch(), []
        inside.append(record)
    batch.close()
    sent.append((await producer.send_batch(batch, topic, partition=partition), inside))
    refused = []
    for future, members in sent:
        try:
            await future
        except TOO_LARGE:
            if len(members) == 1:
                refused += members
                continue
            for member in members:
                refused += await send_to(producer, topic, partition, [member])
    return refused


async def together(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    """Do some work at the same time, so that requests to the same broker become one. Raises the first error, and gives up the rest."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def ended(client: Stoppable) -> None:
    """Stop a client. One whose Kafka is gone goes on stopping in the background, so that it holds up nobody."""
    stopping = asyncio.ensure_future(client.stop())
    _, late = await asyncio.wait([stopping], timeout=STOP_SECONDS)
    if late:
        log.warning("a client of kafka does not stop, leaving it behind", client=type(client).__name__)
    elif not stopping.cancelled() and (error := stopping.exception()):
        log.warning("a client of kafka did not stop cleanly", client=type(client).__name__, error=repr(error))
