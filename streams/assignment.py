"""The assignment: which partitions this worker holds now, each tended by a task of its own.

Invariant: when a rebalance takes a partition away, its task has ended before another worker can get it, unless it
does not end in time; then it is cancelled. Neighbours: `source` and `shards` tend what they hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.structs import TopicPartition

log = structlog.get_logger(__name__)

NOWHERE = TopicPartition("", 0)
"""A partition that does not exist: asking for its records shows the group's errors and says that we are alive."""


class Held:
    """One partition that this worker holds. `given_up` is set when the task must come to an end."""

    def __init__(self, place: TopicPartition) -> None:
        self.place = place
        self.given_up = asyncio.Event()
        self.task: asyncio.Future[None] | None = None
        self._waiting = False

    async def interruptible(self, wait: Awaitable[object]) -> object:
        """Await something that may be cut off when the partition is taken away."""
        self._waiting = True
        try:
            return await wait
        finally:
            self._waiting = False

    def give_up(self) -> None:
        """Ask the task to end, at once if it only waits."""
        self.given_up.set()
        if self._waiting and self.task is not None:
            self.task.cancel()


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    """Follows a consumer's group: starts a task per partition that comes, ends it before the partition goes."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        tend: Callable[[Held], Awaitable[None]],
        spawn: Callable[[Awaitable[None]], asyncio.Future[None]],
        patience_seconds: float,
        rebalanced: Callable[[], None] = lambda: None,
    ) -> None:
        """`spawn` runs a task and makes its errors known; `patience_seconds` must be below the group's session timeout.

        `rebalanced` is told when partitions were handed out anew, be they the same or none.
        """
        self._consumer = consumer
        self._tend = tend
        self._spawn = spawn
        self._patience_seconds = patience_seconds
        self._rebalanced = rebalanced
        self._held: dict[TopicPartition, Held] = {}
        self._closed = False

    @property
    def places(self) -> list[TopicPartition]:
        """Name the partitions held now."""
        return sorted(self._held)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:  # noqa: ARG002 - the listener's signature
        """End every task; rebalances are eager, so everything is taken away."""
        await self.release(self._patience_seconds)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Start a task per partition. Each is paused at 0 until its task seeks: there must be no moment without a position."""
        self._rebalanced()
        for place in () if self._closed else sorted(assigned):
            self._consumer.pause(place)
            self._consumer.seek(place, 0)
            held = self._held[place] = Held(place)
            held.task = self._spawn(self._tend(held))

    async def close(self, patience_seconds: float) -> None:
        """End every task for good; what is assigned from now on is not touched."""
        self._closed = True
        await self.release(patience_seconds)

    async def release(self, patience_seconds: float) -> None:
        """End every task, waiting so long for what is in progress."""
        tasks = []
        for held in self._held.values():
            held.give_up()
            if held.task is not None:
                tasks.append(held.task)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=patience_seconds)
            if late:
                log.warning("partitions are taken away with work unfinished; it will be done again", count=len(late))
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._held.clear()
