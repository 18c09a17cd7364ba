"""The stored layout: what one version wrote, the next one reads, or it has another `FORMAT` and says so.

`stored-layout.json` is a space as the version that gave the layout its present number wrote it, with what was true of it. Whoever changes
the layout raises FORMAT and writes the file anew: `NEXUS_TEST_WRITE_LAYOUT=1 pytest tests/contracts/test_stored_layout.py`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from resolvers.birth import FORMAT
from resolvers.correction import Kind
from resolvers.errors import StoreMismatch
from resolvers.instant import read_instant
from resolvers.memory import MemoryResolver
from resolvers.port import Resolver
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.scripts import Bounds
from streams.events import Membership
from streams.settings import EntitySettings, IdentifierSettings, StateSettings
from tests.contracts.test_resolver_corrections import say
from tests.histories import KEY, at, batch, documents, event, group, person, written
from tests.telling import Topics, check_told, drain

HERE = Path(__file__).parent
FILE = HERE / "stored-layout.json"
LUA = HERE.parents[1] / "resolvers" / "lua"
SHARDS = 2
NOW = read_instant(at("23:00"))
RULES = Rules.from_settings(
    {
        "person": EntitySettings(
            identifiers={"user_id": IdentifierSettings(limit=1), "email": IdentifierSettings(), "device": IdentifierSettings()}
        ),
        "group": EntitySettings(identifiers={"domain": IdentifierSettings()}),
    },
    KEY,
    [
        StateSettings(name="app_plan", entity="person", values=["free", "paid"], participant="plan"),
        StateSettings.model_validate(
            {
                "name": "app_live",
                "entity": "group",
                "derived": {"components": {"some": {"state": "app_plan", "of": "members", "any": "value == 'paid'"}}, "value": "some"},
            }
        ),
    ],
)

BEFORE = [
    event("e1", "9:00", person("user_id:ann", "email:ann@x.example", traits={"name": "Ann"}, states={"plan": "free"})),
    event("e2", "9:10", person("user_id:bob", "device:tablet", states={"plan": "paid"})),
    event("e3", "9:20", person("user_id:ann"), group("domain:x.example"), memberships=[Membership(0, 1, "owner")]),
    event("e4", "9:30", person("user_id:bob"), group("domain:x.example"), memberships=[Membership(0, 1, "member")]),
    event("e5", "9:40", person("user_id:cy", "device:tablet")),
    event("e6", "9:50", person("user_id:dee", "email:d" + "é" * 60 + "@x.example")),
]
UNTOLD = [event("e7", "10:00", person("user_id:ann", "device:phone", traits={"name": "Ann B."}, states={"plan": "paid"}))]
AFTER = [
    event("e8", "8:00", person("device:phone", states={"plan": "free"})),
    event("e9", "11:00", person("user_id:bob"), group("domain:x.example"), memberships=[Membership(0, 1, "member", ended=True)]),
    event("e10", "12:00", person("email:ann@x.example", "email:other@x.example")),
]


@pytest.fixture
async def resolver(redis_url: str) -> AsyncIterator[RedisResolver]:
    """Give a resolver of a space that is not there yet."""
    graph = RedisResolver(redis_url, RULES, f"layout-{uuid4().hex}", SHARDS, 16, Bounds(patience=0), lambda: NOW)
    yield graph
    await graph.drop()
    await graph.close()


async def begin(graph: Resolver, topics: Topics) -> None:
    """Let a part happen and be told, and something more that is not told yet."""
    await graph.apply(batch(BEFORE, rules=RULES))
    await say(graph, Kind.BLOCK, "user_id:dee", at=1)
    await say(graph, Kind.FORBID, "user_id:ann", "user_id:bob", at=2)
    await drain(graph, topics, SHARDS)
    await graph.apply(batch(UNTOLD, len(BEFORE), rules=RULES))


async def go_on(graph: Resolver, topics: Topics) -> bytes:
    """Let the rest happen; gives all documents."""
    await graph.apply(batch(AFTER, len(BEFORE) + len(UNTOLD), rules=RULES))
    await say(graph, Kind.BLOCK, "user_id:dee", at=3, holds=False)
    await drain(graph, topics, SHARDS)
    found = await documents(graph)
    check_told(found, topics, 1_000)
    return written(found)


def layout() -> list[str]:
    """Give what the scripts say of records: their formats, flags and the numbers in them."""
    said = re.compile(r"^\s*local ([A-Z_]+(?:, [A-Z_]+)*) = ((?:'>[^']+'|\d+)(?:, \d+)*)\b", re.MULTILINE)
    found = (one for path in sorted(LUA.glob("*.lua")) for one in said.findall(path.read_text(encoding="utf-8")))
    return [f"{names} = {values}" for names, values in found]


async def stored(redis: Any, base: str) -> dict[str, list[Any]]:
    """Read all keys of a space, by what follows the space in their names; bytes as Latin-1."""
    found: dict[str, list[Any]] = {}
    async for key in redis.scan_iter(match=f"{base}:*"):
        kind = (await redis.type(key)).decode()
        match kind:
            case "hash":
                content: list[Any] = sorted([_text(name), _text(value)] for name, value in (await redis.hgetall(key)).items())
            case "set":
                content = sorted(map(_text, await redis.smembers(key)))
            case "zset":
                content = sorted([_text(name), score] for name, score in await redis.zrange(key, 0, -1, withscores=True))
            case _:
                content = list(map(_text, await redis.lrange(key, 0, -1)))
        found[_text(key)[len(base) :]] = [kind, content]
    return dict(sorted(found.items()))


async def restore(redis: Any, base: str, keys: dict[str, list[Any]]) -> None:
    """Write all keys of a space."""
    for name, (kind, content) in keys.items():
        key = base.encode() + _bytes(name)
        match kind:
            case "hash":
                await redis.hset(key, mapping={_bytes(one): _bytes(value) for one, value in content})
            case "set":
                await redis.sadd(key, *map(_bytes, content))
            case "zset":
                await redis.zadd(key, {_bytes(one): score for one, score in content})
            case _:
                await redis.rpush(key, *map(_bytes, content))


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def _bytes(value: str) -> bytes:
    return value.encode("latin-1")


def _kept() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


class Recorded(Topics):
    """Keeps also the bytes of rounds."""

    def __init__(self) -> None:
        super().__init__()
        self.rounds: list[list[Any]] = []

    def write(self, number: int, payload: bytes, shard: int = 0) -> None:
        """Take a round's bytes in."""
        self.rounds.append([number, payload.decode(), shard])
        super().write(number, payload, shard)


async def test_the_same_keys_are_written_today(resolver: RedisResolver, redis_url: str) -> None:
    redis: Redis = Redis.from_url(redis_url)
    await resolver.open()
    topics = Recorded()
    await begin(resolver, topics)
    keys = await stored(redis, resolver._base)
    await redis.aclose()
    if "NEXUS_TEST_WRITE_LAYOUT" in os.environ:
        told = {"format": FORMAT, "layout": layout(), "keys": keys, "rounds": topics.rounds}
        FILE.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    assert {name: kind for name, (kind, _) in keys.items()} == {name: kind for name, (kind, _) in _kept()["keys"].items()}


async def test_what_was_stored_goes_on(resolver: RedisResolver, redis_url: str) -> None:
    kept = _kept()
    redis: Redis = Redis.from_url(redis_url)
    await restore(redis, resolver._base, kept["keys"])
    await redis.aclose()
    await resolver.open()
    topics, plain, memory = Topics(), Topics(), MemoryResolver(RULES, SHARDS, clock=lambda: NOW)
    for number, payload, shard in kept["rounds"]:
        topics.write(number, payload.encode(), shard)
    await begin(memory, plain)
    assert await go_on(resolver, topics) == await go_on(memory, plain)


def test_whoever_changes_the_layout_gives_it_a_number() -> None:
    kept = _kept()
    assert kept["format"] == FORMAT, "the layout has a new number: write the file anew"
    assert kept["layout"] == layout(), "the layout has changed: raise FORMAT, also in streams/verify, and write the file anew"


async def test_a_newer_layout_is_refused(resolver: RedisResolver, redis_url: str) -> None:
    await resolver.open()
    redis: Any = Redis.from_url(redis_url)
    await redis.hset(f"{resolver._base}:meta", "format", FORMAT + 1)
    with pytest.raises(StoreMismatch, match=f"format {FORMAT + 1}, these settings make {FORMAT}: the space was made by another version"):
        await resolver.open()
    await redis.aclose()
