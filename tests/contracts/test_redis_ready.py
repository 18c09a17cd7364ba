"""A glance at the outbox: who follows glances alone tells everything, and nothing is named once all is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from resolvers.correction import Kind
from resolvers.errors import RedisRefuses
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.scripts import Bounds
from streams.events import Event, Membership
from streams.settings import EntitySettings, IdentifierSettings
from tests.contracts.test_resolver_corrections import say
from tests.histories import KEY, batch, documents, event, group, person
from tests.telling import Topics, check_told, drain, publish

SHARDS = 3
RULES = Rules.from_settings(
    {
        "person": EntitySettings(
            identifiers={"user_id": IdentifierSettings(limit=1), "email": IdentifierSettings(), "device": IdentifierSettings()}
        ),
        "group": EntitySettings(identifiers={"domain": IdentifierSettings()}),
    },
    KEY,
)


@pytest.fixture
async def graph(redis_url: str) -> AsyncIterator[RedisResolver]:
    """Give a graph that leaves nearly everything to sweeps."""
    resolver = RedisResolver(redis_url, RULES, f"ready-{uuid4().hex}", SHARDS, 16, Bounds(inline=1, moved=2, portion=2, patience=0))
    await resolver.open()
    yield resolver
    await resolver.drop()
    await resolver.close()


async def follow(graph: RedisResolver, topics: Topics) -> set[str]:
    """Do what glances name, and nothing else, until they name nothing; says what of it there was."""
    seen: set[str] = set()
    while (ready := await graph.ready(range(SHARDS))).shards or ready.cases or ready.sweeps:
        if ready.sweeps:
            seen.add("sweeps")
            await graph.sweep(20)
        if ready.cases:
            seen.add("cases")
            await graph.settle()
        for shard in ready.shards:
            seen.add("shards")
            await publish(graph, topics, shard)
    return seen


async def test_who_follows_glances_tells_everything(graph: RedisResolver) -> None:
    drawn, topics, done = Random(7), Topics(), set[str]()

    def seen(number: int) -> Event:
        named = person(f"user_id:u{drawn.randrange(6)}", f"email:e{drawn.randrange(6)}", traits={"n": drawn.randrange(3)})
        company = group(f"domain:d{drawn.randrange(2)}")
        return event(f"e{number}", f"{drawn.randrange(24)}:{drawn.randrange(60):02}", named, company, memberships=[Membership(0, 1, "x")])

    for number in range(12):
        position = await graph.position("events", 0)
        await graph.apply(batch([seen(number * 4 + one) for one in range(4)], position.offset, rules=RULES))
        if number == 8:
            await say(graph, Kind.BLOCK, "email:e1")
        done |= await follow(graph, topics)
        assert (await graph.backlog()).empty
        check_told(await documents(graph), topics, 1_000)
    assert done == {"shards", "cases", "sweeps"}


async def test_nothing_is_named_of_an_empty_space(graph: RedisResolver) -> None:
    ready = await graph.ready(range(SHARDS))
    assert (ready.shards, ready.cases, ready.sweeps) == (frozenset(), False, False)


async def test_a_redis_that_is_busy_with_a_script_is_one_to_wait_for(graph: RedisResolver, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as other:
        before = (await other.config_get("busy-reply-threshold"))["busy-reply-threshold"] or "5000"
        await other.config_set("busy-reply-threshold", 20)
        try:
            slow = "local t = redis.call('TIME')[1] + 2; while tonumber(redis.call('TIME')[1]) < t do end"
            working = asyncio.ensure_future(other.eval(slow, 0))
            await asyncio.sleep(0.2)
            with pytest.raises(RedisRefuses):
                await graph.ready(range(SHARDS))
            await working
        finally:
            await other.config_set("busy-reply-threshold", before)


async def test_who_has_nothing_of_what_was_read_for_it_stops_no_round(redis_url: str) -> None:
    for email in ("a@x.example", "b@x.example", "c@x.example", "d@x.example", "e@x.example"):  # of founders on either shard
        resolver = RedisResolver(redis_url, RULES, f"ready-{uuid4().hex}", 2, 16, Bounds(observed=1, patience=0))
        await resolver.open()
        try:
            states = ({"plan": "on"}, {"plan": "off"})
            seen = [
                event(f"e{one}", f"10:0{one}", person("user_id:u1", f"email:{email}", f"device:d{one}", states=states[one % 2]))
                for one in range(8)
            ]
            topics = Topics()
            await resolver.apply(batch(seen, rules=RULES))
            await drain(resolver, topics, 2)
            await resolver.apply(batch([event("late", "9:00", person("user_id:u2", f"email:{email}"))], 8, rules=RULES))
            await drain(resolver, topics, 2)
            check_told(await documents(resolver), topics, 1_000)
        finally:
            await resolver.drop()
            await resolver.close()


async def test_only_the_shards_that_are_asked_for_are_named(graph: RedisResolver) -> None:
    await graph.apply(batch([event(f"e{one}", "10:00", person(f"user_id:u{one}")) for one in range(20)], rules=RULES))
    assert [(await graph.ready(asked)).shards for asked in ((), (2,), (2, 0))] == [frozenset(), {2}, {0, 2}]
