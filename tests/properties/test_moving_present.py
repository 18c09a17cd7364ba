"""The present moves on between rounds: what was told to have lapsed may be corrected, and all ends as the set says at the last present."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from resolvers.instant import read_instant
from resolvers.memory import MemoryResolver
from resolvers.port import Resolver
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.scripts import Bounds
from resolvers.sighting import Batch, Position
from streams.events import Event
from tests.batch_states import check_histories
from tests.histories import Documents, batch, documents, written
from tests.properties.depth import depth
from tests.properties.strategies import START_MS, STEP_MS, events
from tests.properties.test_guards_in_order import (
    SHARDS,
    Arrival,
    Guards,
    Item,
    arrivals,
    arrive,
    bounds,
    corrections,
    erasures,
    guards,
    rules_of,
)
from tests.telling import Topics, check_told, drain, publish


@dataclass(slots=True)
class Clock:
    """A present that moves on through those that were drawn, and stays at the last."""

    presents: list[int]
    at: int = 0

    def __call__(self) -> int:
        return self.presents[self.at]

    def move(self) -> None:
        self.at = min(self.at + 1, len(self.presents) - 1)

    def end(self) -> None:
        self.at = len(self.presents) - 1


presents = st.lists(st.integers(0, 30), min_size=1, max_size=8).map(lambda found: [START_MS + n * STEP_MS // 2 for n in sorted(found)])


@st.composite
def stories(draw: st.DrawFn) -> tuple[Guards, Arrival, Arrival, list[int], list[int]]:
    """Draw one history, two ways for it to arrive, and of each the presents of its rounds; the last one is that of both."""
    history: list[Item] = [
        *draw(st.lists(events, min_size=1, max_size=12)),
        *draw(st.lists(corrections, max_size=3, unique_by=lambda one: one.number)),
        *draw(st.lists(erasures, max_size=2, unique_by=lambda one: one.number)),
    ]
    one, other = draw(presents), draw(presents)
    last = max(one[-1], other[-1])
    return draw(guards), draw(arrivals(history)), draw(arrivals(history)), [*one, last], [*other, last]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


async def told(resolver: Resolver, rules: Rules, arrival: Arrival, clock: Clock) -> tuple[Documents, Topics]:
    """Tell an arrival while time moves on, and at the last present what comes of that alone."""
    _, topics, _ = await arrive(resolver, rules, arrival, clock.move)
    clock.end()
    await drain(resolver, topics, SHARDS)
    return await documents(resolver), topics


async def in_redis(url: str, rules: Rules, arrival: Arrival, bound: Bounds, clock: Clock) -> tuple[Documents, Topics]:
    """Let an arrival come to a space of its own."""
    resolver = RedisResolver(url, rules, f"moving-{uuid4().hex}", SHARDS, 16, bound, clock)
    await resolver.open()
    try:
        return await told(resolver, rules, arrival, clock)
    finally:
        await resolver.drop()
        await resolver.close()


@depth(40)
@given(stories(), bounds)
def test_whatever_lapsed_meanwhile_both_end_as_the_set_says_at_the_last_present(
    redis_url: str, runner: asyncio.Runner, story: tuple[Guards, Arrival, Arrival, list[int], list[int]], bound: Bounds
) -> None:
    drawn, first, second, one, other = story
    rules, clock = rules_of(drawn), Clock(one)
    resolver = MemoryResolver(rules, SHARDS, bound.listed, clock)
    memory, told_memory = runner.run(told(resolver, rules, first, clock))
    redis, told_redis = runner.run(in_redis(redis_url, rules, second, bound, Clock(other)))
    assert written(memory) == written(redis)
    check_told(memory, told_memory, bound.listed)
    check_told(redis, told_redis, bound.listed)
    check_histories(resolver, rules, clock(), told_memory, told_redis)


Backlog = list[tuple[Event, int, int]]
"""Events, each with its partition, and of how many shards a round is told after it."""


async def told_by_events(url: str, rules: Rules, backlog: Backlog) -> tuple[int, Documents, Topics]:
    """Tell a backlog to a space that has no other clock than the events; gives its present at the end, in ms."""
    space, topics, latest, present = f"moving-{uuid4().hex}", Topics(), dict[int, int](), 0
    offsets = [0, 0, 0]
    resolver, redis = RedisResolver(url, rules, space, SHARDS, 16, Bounds(idle_ms=600_000), None), Redis.from_url(url)
    await resolver.open()
    try:
        for one, partition, rounds in backlog:
            at, end = offsets[partition], offsets[partition] + 1
            await resolver.apply(Batch("events", partition, at, Position(end), batch([one], rules=rules).evidence))
            offsets[partition], latest[partition] = end, max(latest.get(partition, 0), read_instant(one.occurred_at))
            for shard in range(rounds):
                if await publish(resolver, topics, shard, limit=3):
                    present = max(present, min(latest.values()))
                    assert int(await redis.hget(f"nexus:{{{space}}}:meta", "present") or 0) == present
        while (await resolver.backlog()).sweeps or any([await publish(resolver, topics, shard) for shard in range(SHARDS)]):
            await resolver.sweep(50)  # the backlog counts what has lapsed by the clock too
        present = int(await redis.hget(f"nexus:{{{space}}}:meta", "present") or 0)
        return present, await documents(resolver), topics
    finally:
        await resolver.drop()
        await resolver.close()
        await redis.aclose()


@depth(40)
@given(st.lists(st.tuples(events, st.integers(0, 2), st.integers(0, SHARDS)), min_size=1, max_size=12))
def test_time_passes_as_the_events_of_the_partition_that_is_behind_tell(redis_url: str, runner: asyncio.Runner, backlog: Backlog) -> None:
    rules = rules_of((None, 1_000, 1_000))  # nothing to settle
    present, redis, told_redis = runner.run(told_by_events(redis_url, rules, backlog))
    resolver, topics = MemoryResolver(rules, SHARDS, clock=lambda: present), Topics()
    runner.run(resolver.apply(batch([one for one, *_ in backlog], rules=rules)))
    runner.run(drain(resolver, topics, SHARDS))
    assert written(runner.run(documents(resolver))) == written(redis)
    check_told(redis, told_redis, 1_000)
    check_histories(resolver, rules, present, topics, told_redis)
