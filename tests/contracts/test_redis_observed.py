"""Reading what was observed of an entity's states: no call grows with it, and nothing is told that does not belong together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast
from uuid import uuid4

import pytest

from resolvers.entity import LISTED_IDENTIFIERS
from resolvers.memory import MemoryResolver
from resolvers.redis_graph import RedisResolver
from resolvers.redis_rows import unpack
from resolvers.rules import Rules
from resolvers.scripts import Bounds, Reply
from streams.events import Event
from streams.settings import EntitySettings, IdentifierSettings
from tests.histories import KEY, batch, documents, event, person, written
from tests.telling import Topics, check_told, drain, publish

SHARDS, OBSERVED = 2, 20
RULES = Rules.from_settings({"person": EntitySettings(identifiers={"user_id": IdentifierSettings()})}, KEY)


class Watched(RedisResolver):
    """Counts what each page gives, and has somebody else act once after the first one."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.pages: list[int] = []
        self.gone = 0

    async def _call(self, command: str, *arguments: bytes | str | int) -> tuple[Reply, list[Any]]:
        word, rest = await super()._call(command, *arguments)
        if command == "observed":
            self.gone += word is Reply.GONE
            self.pages += [len(unpack(rest[0]))] if rest else []
            if self.meanwhile is not None:
                act, self.meanwhile = self.meanwhile, None
                await act()
        return word, rest


@pytest.fixture
async def resolver(redis_url: str) -> AsyncIterator[Watched]:
    """Give a resolver that reads few observations at once."""
    graph = Watched(redis_url, RULES, f"observed-{uuid4().hex}", SHARDS, 16, Bounds(observed=OBSERVED))
    await graph.open()
    yield graph
    await graph.drop()
    await graph.close()


def seen(number: int, *named: str) -> Event:
    """Observe a state, another value than the last time."""
    when = f"{number // 60 % 24}:{number % 60:02}"
    return event(f"e{number}-{named[0]}", when, person(*(f"user_id:{one}" for one in named), states={"mood": f"m{number % 3}"}))


SHAPES = {
    "on one link": [seen(n, "a") for n in range(120)],
    "on many links of one identifier": [seen(n, "a", f"a{n}") for n in range(120)],
    "on many links of many identifiers": [seen(n, f"a{n}", f"a{n + 1}") for n in range(120)],
    "on links of both kinds": [seen(n, "a", f"a{n % 7}") for n in range(120)],
    "on as many as one call reads": [seen(n, "a") for n in range(OBSERVED)],
    "on one more": [seen(n, "a") for n in range(OBSERVED + 1)],
    "of nobody": [event("e", "9:00", person("user_id:a"))],
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_all_is_read_and_no_page_grows(resolver: Watched, shape: str) -> None:
    topics, plain = Topics(), Topics()
    memory = MemoryResolver(RULES, SHARDS)
    for graph, told in ((resolver, topics), (memory, plain)):
        for at in range(0, len(SHAPES[shape]), 50):
            await graph.apply(batch(SHAPES[shape][at : at + 50], (await graph.position("events", 0)).offset, rules=RULES))
        await drain(graph, told, SHARDS)
    assert topics.living().keys() == plain.living().keys()
    assert {key: told.states for key, told in topics.timeline.items()} == {key: told.states for key, told in plain.timeline.items()}
    assert written(await documents(resolver)) == written(await documents(memory))
    assert max(resolver.pages, default=0) <= 2 * OBSERVED
    assert bool(resolver.pages) is (len(SHAPES[shape]) > OBSERVED)
    assert not resolver.gone


async def test_what_merges_while_it_is_read_is_told_once_all_is_known(resolver: Watched) -> None:
    topics = Topics()
    some = [seen(n, "a", f"a{n}") for n in range(100)]
    others = [event(f"o{n}", f"{n // 60}:{n % 60:02}", person("user_id:b", states={"mood": "other"})) for n in range(100)]
    await resolver.apply(batch([*some, *others], 0, rules=RULES))

    async def merge() -> None:
        await resolver.apply(batch([event("joins", "9:00", person("user_id:a", "user_id:b"))], 200, rules=RULES))

    resolver.meanwhile = merge
    await drain(resolver, topics, SHARDS)
    assert resolver.gone == 1
    check_told(await documents(resolver), topics, LISTED_IDENTIFIERS)
    assert not [one for one in topics.lines if one["kind"] == "state.corrected"]  # nothing of what was read in part was told


async def test_what_nothing_changed_but_the_telling_is_told_once_more(resolver: Watched) -> None:
    """A look of the part that is different, and yet no marking of its own: the round must make one."""
    topics = Topics()
    await resolver.apply(batch([seen(n, "a", f"a{n}") for n in range(100)], 0, rules=RULES))

    async def divided() -> None:  # another generation, as settling a case gives whose outcome is the old one
        redis: Any = resolver._redis
        for key in [key async for key in redis.scan_iter(match=f"{resolver._base}:p:*")]:
            for field, raw in (await redis.hgetall(key)).items():
                await redis.hset(key, field, raw[:54] + bytes([raw[54] ^ 1]) + raw[55:])

    resolver.meanwhile = divided
    await drain(resolver, topics, SHARDS)
    assert resolver.gone == 1
    check_told(await documents(resolver), topics, LISTED_IDENTIFIERS)
    (document,) = (document for (topic, _), document in topics.living().items() if topic == "entities")
    assert document["states"]["mood"]["value"] == "m0"


async def test_what_took_long_rests_and_the_others_go_on(redis_url: str) -> None:
    resolver = Watched(redis_url, RULES, f"rests-{uuid4().hex}", 1, 16, Bounds(observed=OBSERVED, patience=10_000))
    await resolver.open()
    topics = Topics()
    await resolver.apply(batch([seen(n, "a") for n in range(100)], 0, rules=RULES))
    await publish(resolver, topics, 0, limit=100)
    assert resolver.pages
    await resolver.apply(batch([seen(100, "a"), seen(101, "b")], 100, rules=RULES))
    await publish(resolver, topics, 0, limit=100)
    told = {document["identifiers"][0]["value"]: document for (topic, _), document in topics.living().items() if topic == "entities"}
    assert told["b"]["states"]["mood"]["value"] == "m2"
    assert told["a"]["states"]["mood"]["value"] == "m0"
    assert (await resolver.backlog()).dirty == 1
    await cast("Any", resolver)._redis.delete(f"{resolver._base}:rests:0")  # as if it had rested
    await drain(resolver, topics, 1)
    check_told(await documents(resolver), topics, LISTED_IDENTIFIERS)
    await resolver.drop()
    await resolver.close()
