"""Guards in any order: where limits, hubs and sizes break, the graph still ends as the specification says."""

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
from resolvers.rules import Rules
from resolvers.scripts import Bounds
from streams.events import Event
from streams.settings import EntitySettings, HubSettings, IdentifierSettings
from tests.histories import KEY, Documents, batch, documents, written
from tests.properties.depth import depth
from tests.properties.strategies import events
from tests.telling import Topics, check_told, drain, publish

SHARDS = 3


Guards = tuple[int | None, int, int]
"""(limit, over, size)."""


def rules_of(guards: Guards) -> Rules:
    """Make rules that are broken all the time."""
    limit, over, size = guards
    hub = HubSettings(of="user_id", over=over)
    group_hub = HubSettings(of="domain", over=over)
    settings = {
        "person": EntitySettings(
            identifiers={
                "user_id": IdentifierSettings(limit=limit),
                "email": IdentifierSettings(normalise="email", hub=hub),
                "device": IdentifierSettings(hub=hub),
            },
            size=size,
        ),
        "group": EntitySettings(
            identifiers={"domain": IdentifierSettings(normalise="domain", limit=limit), "shop": IdentifierSettings(hub=group_hub)},
            size=size,
        ),
    }
    return Rules.from_settings(settings, KEY)


guards = st.tuples(st.sampled_from([1, 2, None]), st.integers(1, 3), st.sampled_from([2, 4, 1_000]))
bounds = st.builds(Bounds, inline=st.sampled_from([1, 2, 64]), listed=st.sampled_from([1, 3, 1_000]), patience=st.just(0))


@dataclass(frozen=True, slots=True)
class Arrival:
    """One way in which events arrive, and what is done between their batches: (sweep, settle, rounds)."""

    batches: list[list[Event]]
    between: list[tuple[int, int, int]]


@st.composite
def arrivals(draw: st.DrawFn, history: list[Event]) -> Arrival:
    """Draw a way for these events to arrive."""
    repeats = draw(st.lists(st.sampled_from(history), max_size=4))
    order = draw(st.permutations([*history, *repeats]))
    cuts = sorted(draw(st.sets(st.integers(1, len(order)), max_size=6)))
    batches = [order[start:end] for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    count = len(batches)
    between = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 3)), min_size=count, max_size=count)
    return Arrival(batches, draw(between))


@st.composite
def twice(draw: st.DrawFn) -> tuple[Guards, Arrival, Arrival]:
    """Draw one history and two ways for it to arrive."""
    history = draw(st.lists(events, min_size=1, max_size=14))
    return draw(guards), draw(arrivals(history)), draw(arrivals(history))


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


async def arrive(resolver: Resolver, rules: Rules, arrival: Arrival) -> tuple[Documents, Topics, set[str]]:
    """Apply an arrival, publishing, sweeping and settling a little on the way, and everything at the end."""
    topics, offset, issued = Topics(), 0, set()
    for chunk, (sweep, settle, rounds) in zip(arrival.batches, arrival.between, strict=True):
        applied = await resolver.apply(batch(chunk, offset, rules=rules))
        issued |= {entity_id for ids in applied.entity_ids for entity_id in ids if entity_id}
        offset += len(chunk)
        if sweep:
            await resolver.sweep(sweep)
        for _ in range(settle):
            await resolver.settle()
        for shard in range(rounds):
            await publish(resolver, topics, shard, limit=3)
    found = await documents(resolver)
    await drain(resolver, topics, SHARDS)
    return found, topics, issued


async def in_redis(url: str, rules: Rules, arrival: Arrival, bound: Bounds) -> tuple[Documents, Topics]:
    """Let an arrival come to a space of its own."""
    resolver = RedisResolver(url, rules, f"guards-{uuid4().hex}", SHARDS, 16, bound)
    await resolver.open()
    try:
        found, topics, issued = await arrive(resolver, rules, arrival)
        for entity_id in issued:
            assert topics.documents["entities", entity_id]["status"] in {"active", "merged", "split"}
            assert await resolver.entity(entity_id) is not None
        return found, topics
    finally:
        await resolver.drop()
        await resolver.close()


@depth(200)
@given(twice(), bounds)
def test_memory_and_redis_keep_the_same_apart_in_any_order(
    redis_url: str, runner: asyncio.Runner, ways: tuple[Guards, Arrival, Arrival], bound: Bounds
) -> None:
    rules, first, second = rules_of(ways[0]), ways[1], ways[2]
    memory, told_memory, _ = runner.run(arrive(MemoryResolver(rules, SHARDS, bound.listed), rules, first))
    redis, told_redis = runner.run(in_redis(redis_url, rules, second, bound))
    assert written(memory) == written(redis)
    check_told(memory, told_memory, bound.listed)
    check_told(redis, told_redis, bound.listed)
