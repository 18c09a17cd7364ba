"""A Redis that was emptied, with guards and corrections: whatever the replay issued on its way, every id leads on in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from random import Random
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvers.correction import CorrectionBatch
from resolvers.memory import MemoryResolver
from resolvers.port import Resolver, ToldRecord, Waiting
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.scripts import Bounds
from resolvers.sighting import Position
from streams.events import Event
from tests.histories import Documents, batch, documents, read_again, written
from tests.properties.depth import depth
from tests.properties.strategies import events
from tests.properties.test_guards_in_order import Erased, Item, Said, corrections, erasures, guards, rules_of
from tests.telling import Topics, drain, publish

SHARDS = 2
BOUNDS = Bounds(inline=2, patience=0, observed=1)


class Compacted(Topics):
    """Compacted topics alone: after a loss the timeline may tell things again."""

    def write(self, number: int, payload: bytes, shard: int = 0) -> None:
        """Take a round's bytes in, all but the timeline."""
        rows = [row for row in msgspec.json.decode(payload) if row[0] != "timeline"]
        super().write(number, msgspec.json.encode(rows), shard)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


async def feed(resolver: Resolver, rules: Rules, items: Sequence[Item], log: list[Event], chance: Random) -> None:
    """Let events and commands come one by one, in any order, with some settling, sweeping and reading again in between."""
    for one in chance.sample(items, len(items)):
        at = (await resolver.position("events" if isinstance(one, Event) else "commands", 0)).offset
        if isinstance(one, Event):
            await resolver.apply(batch([one], at, rules=rules))
            log.append(one)
        else:
            await resolver.correct(CorrectionBatch("commands", 0, at, Position(at + 1, 1), (one.under(rules),)))
        if chance.random() < 0.3:
            await resolver.settle()
            await resolver.sweep(5)
            await read_again(resolver, {0: log}, rules, 2, 1)


async def publish_some(resolver: Resolver, topics: Topics, chance: Random, told: int = 0) -> None:
    """Tell a round of some of the shards."""
    for shard in range(SHARDS):
        if chance.random() < 0.6:
            await publish(resolver, topics, shard, 20, told)


async def recover(resolver: Resolver, topics: Topics, last: dict[int, int]) -> None:
    """Have every shard's topics read."""
    await documents(resolver)  # settled and swept, which a publisher waits for
    for shard in range(SHARDS):
        assert await resolver.take(shard, 10, last[shard]) is Waiting.UNREAD
        await resolver.begin_reading(shard, "reader")
        mine = [ToldRecord(*key, document) for key, document in topics.documents.items() if topics.shards[key] == shard]
        await resolver.retell(shard, "reader", 0, mine)
        await resolver.end_reading(shard, "reader", 1)


def last_rounds(topics: Topics) -> dict[int, int]:
    """Give the highest version that each shard has told."""
    found = dict.fromkeys(range(SHARDS), 0)
    for key, version in topics.versions.items():
        found[topics.shards[key]] = max(found[topics.shards[key]], version)
    return found


async def lose_and_go_on(url: str, rules: Rules, before: Sequence[Item], after: Sequence[Item], chance: Random) -> None:
    """Publish some of what came before, lose it all, replay it in another order, go on, and compare the topics with the graph."""
    topics, space = Compacted(), f"loss-{uuid4().hex}"
    resolver = RedisResolver(url, rules, space, SHARDS, 16, BOUNDS)
    try:
        await resolver.open()
        log: list[Event] = []
        for one in before:
            await feed(resolver, rules, [one], log, chance)
            await publish_some(resolver, topics, chance)
        await resolver.drop()
        await resolver.open()
        last = last_rounds(topics)
        for shard, number in last.items():
            await resolver.recover({}, shard, number)
        await resolver.recover({})
        log.clear()
        await feed(resolver, rules, before, log, chance)
        await read_again(resolver, {0: log}, rules)
        await recover(resolver, topics, last)
        await publish_some(resolver, topics, chance)
        await feed(resolver, rules, after, log, chance)
        await read_again(resolver, {0: log}, rules)
        await documents(resolver)  # settled and swept
        await drain(resolver, topics, SHARDS, 50)
        found = await documents(resolver)
        assert written(found) == written(await plainly(rules, [*before, *after]))
        await check_topics(resolver, topics, found)
    finally:
        await resolver.drop()
        await resolver.close()


async def check_topics(resolver: Resolver, topics: Topics, found: Documents) -> None:
    """Check that the topics say what the graph does, and that ids that ended lead on."""
    assert written(topics.living()) == written(found)
    for (topic, key), document in topics.documents.items():
        if topic == "entities" and document["status"] != "active":
            now = await resolver.entity(key)
            if now is None:
                assert document["status"] == "erased"
                continue
            assert document["status"] == now["status"]
            assert document["status"] in {"split", "erased"} or topics.survivor(key) == now["merged_into"]


async def plainly(rules: Rules, items: Sequence[Item]) -> Documents:
    """Give what the specification says of it all."""
    memory, log = MemoryResolver(rules, SHARDS), list[Event]()
    await feed(memory, rules, items, log, Random(0))
    await read_again(memory, {0: log}, rules)
    return await documents(memory)


histories = st.lists(events, min_size=1, max_size=9)
said = st.lists(corrections | erasures, max_size=4, unique_by=lambda one: one.number)


@depth(150)
@given(histories, histories, said, said, guards, st.integers(0, 2**32))
def test_the_topics_lead_on_after_a_loss(
    redis_url: str,
    runner: asyncio.Runner,
    before: list[Event],
    after: list[Event],
    earlier: list[Said | Erased],
    later: list[Said | Erased],
    guards: tuple[int | None, int, int],
    seed: int,
) -> None:
    rules = rules_of(guards)
    runner.run(lose_and_go_on(redis_url, rules, [*before, *earlier], [*after, *later], Random(seed)))
