"""The shards: which worker publishes which, by a consumer group on the entities topic, and whose turn it is.

Invariant: a shard is the partition of the entities topic of the same number; nothing of the topic is read here.
Neighbours: `publish` tells the rounds; the resolve stage wakes shards through an event.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from mode import Service

from resolvers.errors import KafkaUnavailable, Retryable, StoreLost
from resolvers.port import Backlog, Resolver
from streams.assignment import NOWHERE, Assignment, Held
from streams.batch import Channel
from streams.enduring import enduring
from streams.patience import Patience, Trouble, patiently
from streams.publish import ShardPublisher, ShardTurn, Turn
from streams.sender import ended
from streams.source import ALIVE_SECONDS, Deadline, polled

log = structlog.get_logger(__name__)

FIRST_IDLE_SECONDS = 0.005
ROUND_SECONDS = 0.05
"""From the beginning of one round of a shard to that of the next: a transaction costs Kafka as much with one key as with fifty."""

GLANCE_SECONDS = 0.05
"""How often a worker asks Redis whether others have left it something to do; what it did itself it looks after at once."""

LONGEST_IDLE_SECONDS = 1.0
"""After so long everything is looked after, named by a glance or not: what comes with time alone, and a Redis that lost what it knew."""

FENCED_SECONDS = 1.0
LOST_SECONDS = 0.2
WAITING_SECONDS = 0.2
SWEEP_KEYS = 1_000
SWEEP_BELOW = 2_000
"""Output keys that may wait to be told while a sweep adds to them."""

SWEEP_AT_LEAST_SECONDS = 2.0
"""However busy the shards are, a sweep goes on by a piece after this long."""


class CommittedRounds:
    """Numbers of committed rounds: offsets of the entities topic in a group that nobody is a member of."""

    def __init__(
        self,
        make_consumer: Callable[[], Awaitable[AIOKafkaConsumer]],
        topic: str,
        group: str,
        last_version: Callable[[int], Awaitable[int]],
        patience_seconds: float,
    ) -> None:
        """`make_consumer` gives a started consumer with the group and without a subscription; `last_version` asks a shard's topics."""
        self._make_consumer = make_consumer
        self._last_version = last_version
        self._topic = topic
        self._group = group
        self._patience_seconds = patience_seconds
        self._consumer: AIOKafkaConsumer | None = None

    @property
    def group(self) -> str:
        """Name the group."""
        return self._group

    async def start(self) -> None:
        """Connect."""
        self._consumer = await self._make_consumer()

    async def stop(self) -> None:
        """Disconnect."""
        if self._consumer is not None:
            await ended(self._consumer)

    async def told(self, shard: int) -> int:
        """Read the number of a shard's last round; call it after fencing, when no transaction is open.

        Kafka forgets the offset of a group that committed nothing for long; then the topics themselves are asked.
        """
        consumer = cast("AIOKafkaConsumer", self._consumer)

        async def ask() -> int:
            try:
                committed = await consumer.committed(TopicPartition(self._topic, shard))
                return int(committed or await self._last_version(shard))
            except KafkaError as error:
                raise KafkaUnavailable(f"the last round of shard {shard} can't be read: {error!r}") from error

        return await patiently(ask, f"last round of shard {shard}", self._patience_seconds)

    async def highest(self, shard: int) -> int:
        """Read the highest version on a shard's partitions."""

        async def ask() -> int:
            try:
                return await self._last_version(shard)
            except KafkaError as error:
                raise KafkaUnavailable(f"the last version of shard {shard} can't be read: {error!r}") from error

        return await patiently(ask, f"last version of shard {shard}", self._patience_seconds)


class ShardSource(Service):
    """Holds shards as a member of a group and hands out their turns, one at a time per shard."""

    mundane_level = "debug"

    def __init__(
        self,
        topic: str,
        resolver: Resolver,
        channel: Channel,
        make_consumer: Callable[[], Awaitable[AIOKafkaConsumer]],
        make_publisher: Callable[[int], ShardPublisher],
        rounds: CommittedRounds,
        drain: Deadline,
        dirty: asyncio.Event,
        *,
        revoke_seconds: float,
        patience_seconds: float,
        trouble: Trouble | None = None,
        recovering: Callable[[str], None] = lambda _: None,
        waiting: Callable[[Backlog], None] = lambda _: None,
        rebalanced: Callable[[], None] = lambda: None,
        **kwargs: Any,  # noqa: ANN401 - mode's own
    ) -> None:
        """`make_consumer` gives a started consumer with a group; `dirty` is set when this worker may have made something to tell.

        `recovering` is told what a recovery waits for, and with an empty text that there is none; `waiting` of
        what is to be told, now and then; `rebalanced` when shards were handed out anew.
        """
        super().__init__(**kwargs)
        self._topic = topic
        self._resolver = resolver
        self._channel = channel
        self._make_consumer = make_consumer
        self._make_publisher = make_publisher
        self._rounds = rounds
        self._drain = drain
        self._dirty = dirty
        self._revoke_seconds = revoke_seconds
        self._patience_seconds = patience_seconds
        self._trouble = trouble
        self._recovering = recovering
        self._waiting = waiting
        self._rebalanced = rebalanced
        self._consumer: AIOKafkaConsumer | None = None
        self._assignment: Assignment | None = None
        self._wakes: dict[int, asyncio.Event] = {}
        self._cases = asyncio.Event()
        self._sweeps = asyncio.Event()

    @property
    def places(self) -> list[int]:
        """Name the shards held now."""
        return [place.partition for place in self._assignment.places] if self._assignment is not None else []

    async def on_start(self) -> None:
        """Join the group; shards arrive in the background."""
        await self._rounds.start()
        self._consumer = await self._make_consumer()
        self._assignment = Assignment(self._consumer, self._tend, self.add_future, self._revoke_seconds, self._rebalanced)
        self._consumer.subscribe([self._topic], listener=self._assignment)

    async def on_stop(self) -> None:
        """Finish the rounds in progress, unless the worker is crashing, and leave the group."""
        if self._assignment is not None:
            await self._assignment.close(0 if self.crashed else self._drain.remaining())
        if self._consumer is not None:
            await ended(self._consumer)
        await self._rounds.stop()

    @Service.task
    @enduring
    async def _stay_alive(self) -> None:
        """Count as polling, though nothing is ever read."""
        while not self.should_stop:
            if self._consumer is not None:
                await polled(self._consumer, NOWHERE)
            await self.sleep(ALIVE_SECONDS)

    @Service.task
    @enduring
    async def _glance(self) -> None:
        """Wake who has something to do."""
        while not self.should_stop:
            await woken(self._dirty, GLANCE_SECONDS)
            self._dirty.clear()
            glance = partial(self._resolver.ready, tuple(self._wakes))
            ready = await patiently(glance, "a glance at the outbox", self._patience_seconds, self._trouble)
            for shard in ready.shards & self._wakes.keys():
                self._wakes[shard].set()
            if ready.cases:
                self._cases.set()
            if ready.sweeps:
                self._sweeps.set()

    @Service.task
    @enduring
    async def _sweep(self) -> None:
        """Mark what wide effects made dirty, piece by piece, as fast as the shards tell it.

        While they are behind, sweeps wait: what changes again meanwhile is then told once instead of every time.
        """
        held_back = 0.0
        while not self.should_stop:
            pause = LONGEST_IDLE_SECONDS
            self._sweeps.clear()
            with contextlib.suppress(StoreLost):  # the shards notice it too, and begin the recovery
                backlog = await patiently(self._resolver.backlog, "counting the outbox", self._patience_seconds, self._trouble)
                self._waiting(backlog)
                self._recovering(f"{backlog.recovering} shards wait for the logs, or read their topics" if backlog.recovering else "")
                pause = FIRST_IDLE_SECONDS if backlog.sweeps else LONGEST_IDLE_SECONDS
                if backlog.sweeps and (backlog.recovering or backlog.dirty < SWEEP_BELOW or held_back >= SWEEP_AT_LEAST_SECONDS):
                    await patiently(lambda: self._resolver.sweep(SWEEP_KEYS), "sweeping", self._patience_seconds, self._trouble)
                    self._dirty.set()
                    held_back = 0.0
            if pause == FIRST_IDLE_SECONDS:
                held_back += pause
                await self.sleep(pause)
            else:
                await woken(self._sweeps, pause)

    @Service.task
    @enduring
    async def _settle(self) -> None:
        """Settle cases: what evidence joins against a guard. Every worker does; one case is in one worker's hands at a time."""
        while not self.should_stop:
            waiting = 0
            self._cases.clear()
            with contextlib.suppress(StoreLost):
                waiting = await patiently(self._resolver.settle, "settling cases", self._patience_seconds, self._trouble)
            if waiting:
                self._dirty.set()
                await self.sleep(FIRST_IDLE_SECONDS)
            else:
                await woken(self._cases, LONGEST_IDLE_SECONDS)

    async def _tend(self, held: Held) -> None:
        """Give one shard turn after turn until it is taken away."""
        publisher, wake = self._make_publisher(held.place.partition), asyncio.Event()
        self._wakes[held.place.partition] = wake
        try:
            await self._take_turns(held, publisher, wake)
        except asyncio.CancelledError:
            if not held.given_up.is_set():
                raise
        finally:
            if self._wakes.get(publisher.shard) is wake:
                del self._wakes[publisher.shard]
            await publisher.close()

    async def _take_turns(self, held: Held, publisher: ShardPublisher, wake: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        while not held.given_up.is_set():
            wake.clear()
            begun = loop.time()
            turn = await self._turn(held, publisher)
            if turn is Turn.FENCED:
                await held.interruptible(asyncio.sleep(FENCED_SECONDS))
            elif turn is Turn.LOST:
                await held.interruptible(asyncio.sleep(LOST_SECONDS))
            elif turn is Turn.WAITING:
                await held.interruptible(asyncio.sleep(WAITING_SECONDS))
            elif turn is not None:
                if turn is Turn.TOLD:
                    await held.interruptible(asyncio.sleep(begun + ROUND_SECONDS - loop.time()))
                await held.interruptible(woken(wake, LONGEST_IDLE_SECONDS))  # at once where a glance named it meanwhile

    async def _turn(self, held: Held, publisher: ShardPublisher) -> Turn | None:
        """Have the agent do one turn, again while Kafka or Redis does not answer. None when the shard is given up."""
        patience = Patience(f"publishing shard {publisher.shard}", self._patience_seconds, self._trouble)
        try:
            while not held.given_up.is_set():
                turn = ShardTurn(publisher)
                await self._channel.put(turn)
                try:
                    taken = await turn.result()
                except Retryable as error:
                    await held.interruptible(patience.after(error))
                else:
                    patience.answered()
                    return taken
            return None
        finally:
            patience.over()


async def woken(wake: asyncio.Event, seconds: float) -> None:
    """Wait until woken, at most so long."""
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        return


async def take_turn(turn: ShardTurn) -> Turn:
    """Be the publish agent's work: one round of one shard."""
    return await turn.publisher.turn()
