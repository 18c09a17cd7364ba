"""Dividing a large part in Redis: every call is bounded, and nothing is told that is half divided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import combinations
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from resolvers.correction import Kind
from resolvers.memory import MemoryResolver
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.scripts import Bounds, Reply
from streams.events import Event
from streams.settings import EntitySettings, IdentifierSettings
from tests.contracts.test_resolver_corrections import say
from tests.histories import KEY, batch, documents, event, person, written
from tests.telling import Topics, check_told, drain, publish

SHARDS, PORTION, LISTED = 2, 20, 10
RULES = Rules.from_settings({"person": EntitySettings(identifiers={"user_id": IdentifierSettings()})}, KEY)


class Watched(RedisResolver):
    """Has somebody look before and after each call that settles."""

    look: Callable[[str], Awaitable[None]] | None = None

    async def _call(self, command: str, *arguments: bytes | str | int) -> tuple[Reply, list[Any]]:
        if command not in {"settle", "evidence"} or self.look is None:
            return await super()._call(command, *arguments)
        await self.look("")
        found = await super()._call(command, *arguments)
        await self.look(f"{command} {arguments[0]!s}")
        return found


@pytest.fixture
async def resolver(redis_url: str) -> AsyncIterator[Watched]:
    """Give a resolver that divides in small portions."""
    bounds = Bounds(inline=4, listed=LISTED, steps=5, portion=PORTION, patience=0)
    graph = Watched(redis_url, RULES, f"dividing-{uuid4().hex}", SHARDS, 16, bounds)
    await graph.open()
    yield graph
    await graph.drop()
    await graph.close()


def at(number: int) -> str:
    """Write the time of an event."""
    return f"{number // 60 % 24}:{number % 60:02}"


def chain(count: int) -> list[Event]:
    """Link identifiers, each with the next."""
    return [event(f"e{n}", at(n), person(f"user_id:u{n}", f"user_id:u{n + 1}", traits={"seen": n})) for n in range(count - 1)]


def mesh(count: int) -> list[Event]:
    """See identifiers together, each with each."""
    return [event(f"e{n}", at(n), person(*(f"user_id:u{one}" for one in pair))) for n, pair in enumerate(combinations(range(count), 2))]


async def commands(redis: Redis) -> int:
    """Count the commands that Redis ran, those of scripts among them."""
    stats = await redis.info("commandstats")
    return sum(one["calls"] for name, one in stats.items() if name not in {"cmdstat_info", "cmdstat_evalsha"})


@pytest.mark.parametrize(
    ("seen", "kind", "named"),
    [
        (chain(200), Kind.BLOCK, ["user_id:u100"]),
        (chain(500), Kind.BLOCK, ["user_id:u0"]),
        (chain(500), Kind.FORBID, ["user_id:u0", "user_id:u499"]),
        (mesh(25), Kind.BLOCK, ["user_id:u1"]),
        ([event(f"e{n}", at(n), person("user_id:hub", f"user_id:u{n}")) for n in range(300)], Kind.BLOCK, ["user_id:hub"]),
    ],
    ids=["a chain", "a long chain without its founder", "a long chain", "many links", "many pieces"],
)
async def test_every_call_of_a_division_is_bounded(
    resolver: Watched, redis_url: str, seen: list[Event], kind: Kind, named: list[str]
) -> None:
    for start in range(0, len(seen), 50):
        await resolver.apply(batch(seen[start : start + 50], start, rules=RULES))
    await drain(resolver, Topics(), SHARDS, 100)
    redis: Redis = Redis.from_url(redis_url)
    most: dict[str, int] = defaultdict(int)
    before = 0

    async def count(what: str) -> None:
        nonlocal before
        now = await commands(redis)
        if what:
            most[what] = max(most[what], now - before)
        before = now

    await say(resolver, kind, *named)
    resolver.look = count
    found = await documents(resolver)
    await redis.aclose()
    memory = MemoryResolver(RULES, SHARDS, LISTED)
    await memory.apply(batch(seen, rules=RULES))
    await say(memory, kind, *named)
    assert written(found) == written(await documents(memory))
    assert {"settle cut", "settle fold", "settle finish"} <= most.keys()
    assert {name: calls for name, calls in most.items() if name.startswith("settle") and calls > 12 * PORTION + 2 * LISTED} == {}


async def test_nothing_is_told_of_a_part_that_is_half_divided(resolver: Watched) -> None:
    topics, seen = Topics(whole=False), chain(100)
    for start in range(0, len(seen), 50):
        await resolver.apply(batch(seen[start : start + 50], start, rules=RULES))
    await drain(resolver, topics, SHARDS, 100)
    before = dict(topics.documents)
    told: list[dict[tuple[str, str], Any]] = []

    async def tell(_: str) -> None:
        for shard in range(SHARDS):
            while await publish(resolver, topics, shard, 100):
                pass
        told.append(dict(topics.documents))

    await say(resolver, Kind.BLOCK, "user_id:u50")
    resolver.look = tell
    found = await documents(resolver)
    resolver.look = None
    await drain(resolver, topics, SHARDS, 100)
    check_told(found, topics, LISTED)
    assert len(told) > 100 / PORTION
    for some in told:
        for key, document in some.items():
            states = [
                {name: value for name, value in one[key].items() if name != "version"} for one in (before, topics.documents) if key in one
            ]
            if key[0] == "entities":
                assert {name: value for name, value in document.items() if name != "version"} in states, key


async def test_what_comes_while_a_part_is_divided_is_of_the_piece_that_it_belongs_to(resolver: Watched) -> None:
    topics, seen = Topics(whole=False), chain(100)
    late = [event(f"l{n}", "23:59", person(f"user_id:u{n}", f"user_id:u{n + 1}", traits={"late": n})) for n in range(0, 98, 3)]
    late += [
        event(f"m{n}", "0:00:01", person(f"user_id:u{n}", f"user_id:u{n + 1}", traits={"seen": -n}), source="a") for n in range(1, 98, 3)
    ]
    late += [event(f"n{n}", "23:58", person(f"user_id:u{n}", f"user_id:new{n}", traits={"new": n})) for n in range(2, 98, 3)]
    for start in range(0, len(seen), 50):
        await resolver.apply(batch(seen[start : start + 50], start, rules=RULES))
    await drain(resolver, topics, SHARDS, 100)
    coming = iter(late)
    issued: set[str | None] = set()

    async def come(_: str) -> None:
        if (one := next(coming, None)) is not None:
            position = await resolver.position("events", 0)
            applied = await resolver.apply(batch([one], position.offset, rules=RULES))
            issued.update(applied.entity_ids[0])
        for shard in range(SHARDS):
            await publish(resolver, topics, shard, 3)

    await say(resolver, Kind.BLOCK, "user_id:u50")
    resolver.look = come
    await documents(resolver)
    resolver.look = None
    for _ in range(len(late)):
        await come("")
    found = await documents(resolver)
    await drain(resolver, topics, SHARDS, 100)
    memory = MemoryResolver(RULES, SHARDS, LISTED)
    await memory.apply(batch([*seen, *late], rules=RULES))
    await say(memory, Kind.BLOCK, "user_id:u50")
    assert written(found) == written(await documents(memory))
    check_told(found, topics, LISTED)
    assert {one for one in issued if one} <= topics.survivors().keys()
