"""Any order, same answer: a set of events has one outcome, however it arrives and whichever resolver takes it in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvers.memory import MemoryResolver
from resolvers.port import Resolver
from resolvers.redis_graph import RedisResolver
from resolvers.scripts import Bounds
from streams.events import Event
from tests.histories import RULES, Documents, batch, documents, written
from tests.properties.depth import depth
from tests.properties.strategies import events
from tests.telling import Topics, check_told, drain, publish

SHARDS = 3


@dataclass(frozen=True, slots=True)
class Arrival:
    """One way in which events arrive: their order with repeats, in batches, and what else is done between these."""

    batches: list[list[Event]]
    sweeps: list[int]
    rounds: list[int]


@st.composite
def arrivals(draw: st.DrawFn, history: list[Event]) -> Arrival:
    """Draw a way for these events to arrive."""
    repeats = draw(st.lists(st.sampled_from(history), max_size=4))
    order = draw(st.permutations([*history, *repeats]))
    cuts = sorted(draw(st.sets(st.integers(1, len(order)), max_size=6)))
    batches = [order[start:end] for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    count = len(batches)
    between = st.lists(st.integers(0, 3), min_size=count, max_size=count)
    return Arrival(batches, draw(between), draw(between))


@st.composite
def twice(draw: st.DrawFn) -> tuple[Arrival, Arrival]:
    """Draw one history and two ways for it to arrive."""
    history = draw(st.lists(events, min_size=1, max_size=14))
    return draw(arrivals(history)), draw(arrivals(history))


bounds = st.builds(Bounds, inline=st.sampled_from([1, 2, 64]), listed=st.sampled_from([1, 2, 3, 1_000]))


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


async def arrive(resolver: Resolver, arrival: Arrival) -> tuple[Documents, Topics]:
    """Apply an arrival, publishing and sweeping a little on the way, and everything at the end."""
    topics, offset = Topics(), 0
    for chunk, sweep, rounds in zip(arrival.batches, arrival.sweeps, arrival.rounds, strict=True):
        await resolver.apply(batch(chunk, offset))
        offset += len(chunk)
        if sweep:
            await resolver.sweep(sweep)
        for shard in range(rounds):
            await publish(resolver, topics, shard, limit=3)
    found = await documents(resolver)
    await drain(resolver, topics, SHARDS)
    return found, topics


async def in_redis(url: str, arrival: Arrival, bound: Bounds) -> tuple[Documents, Topics]:
    resolver = RedisResolver(url, RULES, f"order-{uuid4().hex}", SHARDS, 16, bound)
    await resolver.open()
    try:
        return await arrive(resolver, arrival)
    finally:
        await resolver.drop()
        await resolver.close()


@depth(120)
@given(twice(), bounds)
def test_redis_gives_the_same_bytes_for_any_order_repeats_and_batches(
    redis_url: str, runner: asyncio.Runner, ways: tuple[Arrival, Arrival], bound: Bounds
) -> None:
    (one, told_one), (other, told_other) = (runner.run(in_redis(redis_url, way, bound)) for way in ways)
    assert written(one) == written(other)
    check_told(one, told_one, bound.listed)
    check_told(other, told_other, bound.listed)


@depth(120)
@given(twice(), bounds)
def test_memory_and_redis_give_the_same_bytes_for_any_order_repeats_and_batches(
    redis_url: str, runner: asyncio.Runner, ways: tuple[Arrival, Arrival], bound: Bounds
) -> None:
    first, second = ways
    memory, told_memory = runner.run(arrive(MemoryResolver(RULES, SHARDS, bound.listed), first))
    redis, told_redis = runner.run(in_redis(redis_url, second, bound))
    assert written(memory) == written(redis)
    assert written(told_memory.living()) == written(redis)
    check_told(redis, told_redis, bound.listed)


@depth(120)
@given(twice())
def test_the_same_arrival_issues_the_same_ids_in_memory_and_redis(
    redis_url: str, runner: asyncio.Runner, ways: tuple[Arrival, Arrival]
) -> None:
    way = ways[0]
    _, memory = runner.run(arrive(MemoryResolver(RULES, SHARDS), way))
    _, redis = runner.run(in_redis(redis_url, way, Bounds(inline=1, observed=1)))
    assert memory.survivors() == redis.survivors()
