"""Writing within a transaction: records of several topics, each with its own timestamp, all acknowledged or refused.

Neighbours: `replay` opens and commits the transaction. Records without key and value are allowed, as on any topic.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiokafka.errors import IllegalOperation, InvalidTimestampError, KafkaError, PolicyViolationError, UnknownError

from resolvers.errors import NexusError
from streams.letters.letter import Headers
from streams.sender import TOO_LARGE

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

NOT_TAKEN = (*TOO_LARGE, InvalidTimestampError, PolicyViolationError, UnknownError)
"""What Kafka says of a record that it will never take; an invalid record is unknown to aiokafka."""


class NotTaken(NexusError):  # noqa: N818 - what became of the records
    """A topic refuses one of the records; the message says which topic and why. The transaction must be aborted."""


@dataclass(frozen=True, slots=True)
class Dated:
    """One record to write, with its timestamp in epoch milliseconds."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


async def write(producer: AIOKafkaProducer, records: Iterable[Dated]) -> None:
    """Write records, those of one partition in order, and wait until all are acknowledged. Raises NotTaken, KafkaError."""
    groups: dict[tuple[str, int], list[Dated]] = {}
    for record in records:
        groups.setdefault((record.topic, record.partition), []).append(record)
    sent: list[tuple[str, asyncio.Future[Any]]] = []
    stopped: IllegalOperation | None = None
    try:
        for (topic, partition), group in groups.items():
            async for future in _send(producer, topic, partition, group):
                sent.append((topic, future))  # noqa: PERF401 - what was sent is kept also where the next can't be
    except IllegalOperation as error:  # the transaction has ended under us: what was sent by then knows why
        stopped = error
    results = await asyncio.gather(*(future for _, future in sent), return_exceptions=True)
    failed = [(topic, result) for (topic, _), result in zip(sent, results, strict=True) if isinstance(result, BaseException)]
    for topic, failure in sorted(failed, key=lambda one: not isinstance(one[1], NOT_TAKEN)):  # a refusal has consequences of its own
        if isinstance(failure, NOT_TAKEN):
            raise NotTaken(_said(topic, failure)) from failure
        raise failure
    if stopped is not None:
        raise stopped


async def _send(producer: AIOKafkaProducer, topic: str, partition: int, records: Sequence[Dated]) -> AsyncIterator[asyncio.Future[Any]]:
    batch = producer.create_batch()
    for record in records:
        fields = {"timestamp": record.timestamp_ms, "key": record.key, "value": record.value, "headers": list(record.headers)}
        while batch.append(**fields) is None:
            yield await producer.send_batch(batch, topic, partition=partition)
            batch = producer.create_batch()
    batch.close()
    yield await producer.send_batch(batch, topic, partition=partition)


def told_already(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Be the exception handler of a loop that writes: leave out the errors of Kafka that nobody takes from a future.

    A producer that fails leaves such futures behind, within itself, beside the one that raises.
    """
    if not isinstance(context.get("exception"), KafkaError):
        loop.default_exception_handler(context)


def _said(topic: str, error: BaseException) -> str:
    if isinstance(error, TOO_LARGE):
        return f"{topic} does not take a record of its size: raise the topic's max.message.bytes"
    return f"{topic} does not take it: {error!r}"
