from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any, cast

from aiokafka.structs import TopicPartition

from resolvers.errors import RedisUnavailable
from resolvers.memory import MemoryResolver
from resolvers.port import Backlog, Ready
from resolvers.rules import Rules
from streams.publish import ShardPublisher, ShardTurn, Turn
from streams.shards import CommittedRounds, ShardSource, take_turn
from streams.source import Deadline
from tests.kafka_fakes import FakeConsumer

ONE, TWO = TopicPartition("entities", 1), TopicPartition("entities", 2)


class Publisher:
    """Says what its next turns come to, then that there is nothing."""

    def __init__(self, shard: int, turns: list[Turn | Exception]) -> None:
        self.shard = shard
        self.turns = turns
        self.count = 0
        self.closed = False

    async def turn(self) -> Turn:
        self.count += 1
        said = self.turns.pop(0) if self.turns else Turn.NOTHING
        if isinstance(said, Exception):
            raise said
        return said

    async def close(self) -> None:
        self.closed = True


class Agent:
    """A channel with its agent: every turn is taken at once."""

    async def put(self, value: ShardTurn) -> None:
        try:
            value.finish(await take_turn(value))
        except Exception as error:  # noqa: BLE001 - as the agent does
            value.fail(error)


class Sweeping(MemoryResolver):
    def __init__(self, sweeps: int = 0) -> None:
        super().__init__(Rules.from_settings({}, b"key"), 1)
        self.sweeps = sweeps
        self.dirty = 0

    async def sweep(self, limit: int) -> int:
        self.sweeps = max(0, self.sweeps - 1)
        return self.sweeps

    async def backlog(self) -> Backlog:
        return Backlog(self.dirty, 0, self.sweeps)

    async def ready(self, shards: Collection[int]) -> Ready:
        return Ready(frozenset({1, 2} & set(shards)), sweeps=bool(self.sweeps))


class Running:
    def __init__(self, source: ShardSource, consumer: FakeConsumer, made: dict[int, Publisher], dirty: asyncio.Event) -> None:
        self.source = source
        self.consumer = consumer
        self.made = made
        self.dirty = dirty


@asynccontextmanager
async def running(turns: dict[int, list[Turn | Exception]], sweeps: int = 0, patience_seconds: float = 5) -> AsyncIterator[Running]:
    consumer, dirty = FakeConsumer({}), asyncio.Event()
    made = {shard: Publisher(shard, turns.get(shard, [])) for shard in (1, 2)}

    async def make() -> Any:
        return consumer

    def publisher(shard: int) -> ShardPublisher:
        return cast("ShardPublisher", made[shard])

    rounds = CommittedRounds(make, "entities", "rounds", last_version, 1)
    source = ShardSource(
        "entities",
        Sweeping(sweeps),
        Agent(),
        make,
        publisher,
        rounds,
        Deadline(1),
        dirty,
        revoke_seconds=1,
        patience_seconds=patience_seconds,
    )
    await source.start()
    try:
        yield Running(source, consumer, made, dirty)
    finally:
        await source.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(3):
        while not condition():  # noqa: ASYNC110 - the service's tasks change it
            await asyncio.sleep(0.001)


async def test_each_shard_that_is_held_gets_turn_after_turn() -> None:
    async with running({1: [Turn.TOLD, Turn.TOLD], 2: [Turn.TOLD]}) as now:
        await now.consumer.listener.on_partitions_assigned([ONE, TWO])
        await until(lambda: not now.made[1].turns and not now.made[2].turns)
        assert now.consumer.paused == {ONE, TWO}


async def test_a_shard_that_goes_away_is_let_go() -> None:
    async with running({}) as now:
        await now.consumer.listener.on_partitions_assigned([ONE])
        await until(lambda: now.made[1].count > 0)
        await now.consumer.listener.on_partitions_revoked([ONE])
        assert now.made[1].closed


async def test_news_wake_a_shard() -> None:
    async with running({}) as now:
        await now.consumer.listener.on_partitions_assigned([ONE])
        await until(lambda: now.made[1].count > 0)
        now.made[1].turns.append(Turn.TOLD)
        now.dirty.set()
        await until(lambda: not now.made[1].turns)


async def test_a_redis_that_does_not_answer_is_waited_for() -> None:
    async with running({1: [RedisUnavailable("loading"), Turn.TOLD]}) as now:
        await now.consumer.listener.on_partitions_assigned([ONE])
        await until(lambda: not now.made[1].turns)
        assert not now.source.crashed


async def test_a_redis_that_does_not_come_back_ends_the_worker() -> None:
    async with running({1: [RedisUnavailable("Redis at here:1 does not answer")]}, patience_seconds=0) as now:
        await now.consumer.listener.on_partitions_assigned([ONE])
        await now.source.wait_until_stopped()
        assert isinstance(now.source.crash_reason, RedisUnavailable)


async def test_a_fenced_shard_is_tried_again_as_long_as_it_is_held() -> None:
    async with running({1: [Turn.FENCED, Turn.TOLD]}) as now:
        await now.consumer.listener.on_partitions_assigned([ONE])
        await until(lambda: not now.made[1].turns)


async def test_sweeps_are_finished_piece_by_piece() -> None:
    async with running({}, sweeps=4) as now:
        resolver = cast("Sweeping", now.source._resolver)
        await until(lambda: resolver.sweeps == 0)


async def test_sweeps_wait_while_the_shards_are_behind() -> None:
    async with running({}, sweeps=4) as now:
        resolver = cast("Sweeping", now.source._resolver)
        resolver.dirty = 10**6
        left = resolver.sweeps
        for _ in range(20):
            await asyncio.sleep(0)
        assert resolver.sweeps >= left - 1
        resolver.dirty = 0
        await until(lambda: resolver.sweeps == 0)


async def last_version(shard: int) -> int:
    return 7


async def test_the_number_of_the_last_round_is_a_committed_offset_else_what_the_topics_say() -> None:
    consumer = FakeConsumer({})
    consumer.commits[ONE] = 41

    async def make() -> Any:
        return consumer

    rounds = CommittedRounds(make, "entities", "rounds", last_version, 1)
    await rounds.start()
    assert [await rounds.told(shard) for shard in (1, 2)] == [41, 7]
