"""The batch: consecutive records of one partition on their way from a source to its agent, and the channel between.

Invariant: a batch that was put on a channel reaches the agent exactly once, whatever Faust's own consumer goes
through. Neighbours: `source` makes batches, the agents of `adapt`, `resolve` and `commands` handle them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

import faust
from aiokafka.structs import ConsumerRecord, TopicPartition
from faust.types import AppT
from mode.utils.queues import FlowControlEvent, ThrowableQueue

Result = TypeVar("Result")


class Outcome(Enum):
    """What became of a batch."""

    DONE = "done"
    OVERTAKEN = "overtaken"
    """Someone else went ahead with this partition: nothing is wrong, but the position must be read again."""


class Job(Generic[Result]):
    """Something that is handed to an agent and waited for. Made within a running event loop."""

    subject = ""
    """What it is about, for people."""

    def __init__(self) -> None:
        self._result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

    def finish(self, result: Result) -> None:
        """Tell the waiting source what became of it."""
        if not self._result.done():
            self._result.set_result(result)

    def fail(self, error: BaseException) -> None:
        """Hand an unexpected error to the waiting source, which ends the worker."""
        if not self._result.done():
            self._result.set_exception(error)

    async def result(self) -> Result:
        """Wait until the agent has finished. Cancelling the wait does not stop the agent."""
        return await asyncio.shield(self._result)


class SourceBatch(Job[Outcome]):
    """Consecutive records of one partition. `start` is where the batch before it ended, or the position sought.

    Offsets may have holes: transaction markers and what compaction removed.
    """

    def __init__(self, place: TopicPartition, start: int, records: Sequence[ConsumerRecord]) -> None:
        super().__init__()
        self.subject = f"{place.topic}, partition {place.partition}"
        self.place = place
        self.start = start
        self.records = records

    @property
    def end(self) -> int:
        """Give the offset after the last record."""
        return int(self.records[-1].offset) + 1


class Watch(Protocol):
    """Whoever is told how the jobs of one stage come and go."""

    def queued(self, job: Job[Any]) -> None:
        """Note that a job waits for an agent."""

    def begun(self, job: Job[Any]) -> None:
        """Note that an agent has taken a job."""

    def ended(self, job: Job[Any]) -> None:
        """Note that a job is over, well or badly."""


class JobChannel(faust.Channel[Any]):
    """A Faust channel whose values neither wait for nor get lost in a rebalance of Faust's own consumer.

    Faust drops what it finds in an ordinary channel when its consumer group rebalances (flow control, and the
    generation of each message). Jobs go through one queue of their own and are no Faust events, so neither applies.
    """

    def __init__(self, app: AppT, *, queue: Any = None, watch: Watch | None = None, **kwargs: Any) -> None:  # noqa: ANN401 - as in Faust
        self._watch = watch
        if queue is None:
            queue = ThrowableQueue(maxsize=0, flow_control=FlowControlEvent(initially_suspended=False))
        super().__init__(app, queue=queue, **kwargs)

    def clone(self, *, is_iterator: bool | None = None, **kwargs: Any) -> faust.Channel[Any]:  # noqa: ANN401 - as in Faust
        """Share the one queue with every clone."""
        return super().clone(is_iterator=is_iterator, **{"queue": self.queue, "watch": self._watch, **kwargs})  # type: ignore[return-value]

    async def put(self, value: Any) -> None:  # noqa: ANN401 - as in Faust
        """Queue a job. Sources have at most one job per partition, which bounds the queue."""
        if self._watch is not None:
            self._watch.queued(value)
        await self.queue.put(value)


class Channel(Protocol):
    """Where a source puts its jobs."""

    async def put(self, value: Any) -> None:  # noqa: ANN401 - as in Faust
        """Queue a job."""


async def handle(handler: Callable[[Any], Awaitable[Any]], stream: AsyncIterator[Any], watch: Watch | None = None) -> None:
    """Be an agent: handle job by job. An unexpected error goes to the source of the job, which ends the worker."""
    async for job in stream:
        if watch is not None:
            watch.begun(job)
        try:
            job.finish(await handler(job))
        except Exception as error:  # noqa: BLE001 - the waiting source raises it
            job.fail(error)
        finally:
            if watch is not None:
                watch.ended(job)
