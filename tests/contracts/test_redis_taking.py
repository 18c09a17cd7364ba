"""A round that is taken in several calls: whatever comes in between, every change is told once, and no key twice in a round."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from resolvers import redis_taking
from resolvers.correction import Kind
from resolvers.errors import Fenced
from resolvers.memory import MemoryResolver
from resolvers.port import Waiting
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.scripts import Bounds, Reply
from streams.events import Event, Membership
from tests.contracts.test_redis_ready import RULES
from tests.contracts.test_resolver_corrections import say
from tests.histories import batch, documents, event, group, person, written
from tests.telling import Topics, check_told, drain, payload_of, take_round

SHARDS = 2


class Interrupted(RedisResolver):
    """A resolver to which something happens after each call that takes keys."""

    def __init__(self, url: str, rules: Rules = RULES) -> None:
        super().__init__(url, rules, f"taking-{uuid4().hex}", SHARDS, 16, Bounds(inline=2, moved=2, portion=2, patience=0))
        self.calls: Counter[str] = Counter()
        self.between: Callable[[], Awaitable[None]] | None = None

    async def _call(self, command: str, *arguments: bytes | str | int) -> tuple[Reply, list[Any]]:
        answer = await super()._call(command, *arguments)
        self.calls[command] += 1
        if command == "take" and self.between:
            await self.between()
        return answer


@pytest.fixture
async def graph(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Interrupted]:
    monkeypatch.setattr(redis_taking, "KEYS_AT_ONCE", 2)
    resolver = Interrupted(redis_url)
    await resolver.open()
    yield resolver
    await resolver.drop()
    await resolver.close()


async def some(graph: Interrupted) -> None:
    """Make some entities dirty, in both shards."""
    await graph.apply(batch([event(f"e{n}", "9:00", person(f"device:d{n}", traits={"n": n})) for n in range(8)], rules=RULES))


async def test_a_large_round_is_taken_in_short_calls(graph: Interrupted) -> None:
    await some(graph)
    round_ = await take_round(graph, 0, 5)
    assert round_ is not None
    assert len({(one.topic, one.key) for one in round_.records if one.topic != "timeline"}) == 5
    assert graph.calls["take"] == 3


async def test_what_becomes_dirty_once_more_in_between_is_told_in_the_next_round(graph: Interrupted) -> None:
    await some(graph)

    async def again() -> None:
        graph.between = None
        position = await graph.position("events", 0)
        later = [event(f"f{n}", "10:00", person(f"device:d{n}", traits={"n": n + 100})) for n in range(8)]
        await graph.apply(batch(later, position.offset, rules=RULES))

    graph.between = again
    topics = Topics()
    first = await take_round(graph, 0, 100)
    assert first is not None
    topics.write(first.number, payload_of(first), 0)
    keys = [(one.topic, one.key) for one in first.records if one.topic != "timeline"]
    assert len(keys) == len(set(keys))
    await graph.keep(first, b"kept")
    await graph.finish(first)
    await drain(graph, topics, SHARDS)
    check_told(await documents(graph), topics, 1_000)


async def test_a_round_that_another_publisher_undid_in_between_is_given_up(graph: Interrupted) -> None:
    await some(graph)
    before = (await graph.backlog()).dirty

    async def undo() -> None:
        graph.between = None
        assert await graph.pending(0, 0) is None

    graph.between = undo
    with pytest.raises(Fenced):
        await take_round(graph, 0, 100)
    assert (await graph.backlog()).dirty == before


async def test_a_round_that_another_publisher_took_in_between_is_left_alone(graph: Interrupted) -> None:
    await some(graph)
    other = None

    async def take_over() -> None:
        nonlocal other
        graph.between = None
        assert await graph.pending(0, 0) is None
        other = await take_round(graph, 0, 3)

    graph.between = take_over
    with pytest.raises(Fenced):
        await take_round(graph, 0, 100)
    assert other is not None
    await graph.keep(other, b"kept")  # it is still that taker's


async def test_a_recovery_ends_though_keys_become_dirty_once_more_while_they_are_in_flight(graph: Interrupted) -> None:
    number = 0

    async def seen(*names: str) -> None:
        nonlocal number
        number += 1
        position = await graph.position("events", 0)
        events = [
            event(f"{name}-{number}", f"{9 + number // 60}:{number % 60:02}", person(f"device:{name}", traits={"n": number}))
            for name in names
        ]
        await graph.apply(batch(events, position.offset, rules=RULES))

    names = [f"d{one}" for one in range(20)]
    await seen(*names)
    await graph.recover({})
    for shard in range(SHARDS):
        assert await graph.take(shard, 100, 0) in {Waiting.CATCHING_UP, Waiting.UNREAD}
        assert await graph.take(shard, 100, 0) is Waiting.UNREAD
        await graph.begin_reading(shard, "reader")
        await graph.end_reading(shard, "reader", 0)
    marked: list[bool] = []
    for _ in range(6):
        await seen(*names)
        graph.between = lambda: seen("d0", "d1", "d2", "d3")
        for shard in range(SHARDS):
            round_ = await take_round(graph, shard, 1_000)
            assert round_ is not None
            marked += [round_.recovery] if shard == 0 else []
            graph.between = None
            await graph.keep(round_, b"kept")
            await graph.finish(round_)
            graph.between = lambda: seen("d0", "d1", "d2", "d3")
        graph.between = None
    assert marked == [True] + [False] * 5


async def test_what_was_taken_when_a_recovery_begins_is_told_before_it(graph: Interrupted) -> None:
    await some(graph)

    async def begin() -> None:
        graph.between = None
        await graph.recover({("events", 0): 1_000})

    graph.between = begin
    round_ = await take_round(graph, 0, 100)
    assert round_ is not None
    await graph.keep(round_, b"kept")
    await graph.finish(round_)
    assert await graph.take(0, 100, round_.number) is Waiting.CATCHING_UP
    assert (await graph.backlog()).in_flight == 0


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_comes_in_between_all_is_told(graph: Interrupted, seed: int) -> None:
    drawn, topics, number = Random(seed), Topics(), 0
    memory = MemoryResolver(RULES, SHARDS)

    def seen() -> Event:
        nonlocal number
        number += 1
        traits = {"n": drawn.randrange(3)}
        named = person(f"user_id:u{drawn.randrange(5)}", f"email:e{drawn.randrange(6)}", f"device:d{drawn.randrange(4)}", traits=traits)
        company = group(f"domain:d{drawn.randrange(2)}", traits=traits)
        when = f"{drawn.randrange(24)}:{drawn.randrange(60):02}"
        return event(f"e{number}", when, named, company, memberships=[Membership(0, 1, "x", ended=drawn.random() < 0.2)])

    async def come() -> None:
        events = [seen() for _ in range(drawn.randrange(4))]
        for one in (graph, memory):
            position = await one.position("events", 0)
            await one.apply(batch(events, position.offset, rules=RULES))
        if drawn.random() < 0.2:
            email, holds, moment = f"email:e{drawn.randrange(3)}", drawn.random() < 0.6, number + 1
            for one in (graph, memory):
                await say(one, Kind.BLOCK, email, holds=holds, at=moment, command_id=f"c{moment}")

    graph.between = come
    for _ in range(6):
        await come()
        for shard in range(SHARDS):
            round_ = await take_round(graph, shard, 100)
            if round_ is not None:
                topics.write(round_.number, payload_of(round_), shard)
                await graph.keep(round_, b"kept")
                await graph.finish(round_)
        await graph.sweep(5)
        await graph.settle()
    graph.between = None
    await drain(graph, topics, SHARDS)
    check_told(await documents(graph), topics, 1_000)
    assert written(await documents(graph)) == written(await documents(memory))
