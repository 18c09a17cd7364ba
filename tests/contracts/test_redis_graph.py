"""What only Redis can show: the space's birth, its loss, and what is kept for guards and states to come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import msgpack
import pytest
from redis.asyncio import Redis

from resolvers.correction import Kind
from resolvers.errors import PositionGap, RedisUnavailable, StoreLost, StoreMismatch
from resolvers.instant import read_instant
from resolvers.port import Waiting
from resolvers.redis_graph import RedisResolver
from resolvers.redis_rows import BIAS_MS
from resolvers.rules import Rules
from resolvers.scripts import _PRELUDES, Bounds, source_of
from streams.events import Membership
from streams.settings import EntitySettings, IdentifierSettings
from tests.contracts.test_resolver_corrections import say
from tests.histories import ENTITIES, KEY, RULES, apply, at, batch, documents, event, group, person, written
from tests.telling import Topics, drain, take_round


@pytest.fixture
def space() -> str:
    return f"graph-{uuid4().hex}"


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def graph(redis_url: str, space: str) -> AsyncIterator[RedisResolver]:
    resolver = RedisResolver(redis_url, RULES, space, 2, 16)
    await resolver.open()
    yield resolver
    await resolver.drop()
    await resolver.close()


async def reopened(redis_url: str, space: str, *, rules: Rules = RULES, shards: int = 2, buckets: int = 16) -> None:
    """Open a space with other settings, and close it again."""
    other = RedisResolver(redis_url, rules, space, shards, buckets)
    try:
        await other.open()
    finally:
        await other.close()


@pytest.mark.parametrize("command", sorted(_PRELUDES))
async def test_a_script_compiles(redis: Redis, command: str) -> None:
    assert await redis.script_load(source_of(command, Bounds()))


async def test_a_space_is_found_again_by_another_worker(graph: RedisResolver, redis_url: str, space: str) -> None:
    await apply(graph, event("e1", "9:00", person("user_id:u", "device:d"), group("shop:s")))
    other = RedisResolver(redis_url, RULES, space, 2, 16)
    await other.open()
    assert written(await documents(other)) == written(await documents(graph))
    assert await other.position("events", 0) == await graph.position("events", 0)
    await other.close()


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"shards": 3}, "has shards 2, these settings make 3"),
        ({"buckets": 32}, "has buckets 16, these settings make 32"),
        ({"rules": Rules.from_settings(ENTITIES, b"another key")}, "identity_key is fixed when a space is born"),
        ({"rules": Rules.from_settings({"person": ENTITIES["person"]}, KEY)}, "the rules of who is who have changed"),
    ],
    ids=["shards", "buckets", "identity_key", "rules"],
)
async def test_a_space_made_with_other_settings_is_refused(
    graph: RedisResolver, redis_url: str, space: str, changed: dict[str, Any], named: str
) -> None:
    with pytest.raises(StoreMismatch, match=named):
        await reopened(redis_url, space, **changed)
    await reopened(redis_url, space)


async def test_a_space_that_vanished_is_noticed_and_never_filled_half_way(graph: RedisResolver, redis: Redis, space: str) -> None:
    await apply(graph, event("e1", "9:00", person("device:d")))
    await graph.drop()
    for asked in (graph.apply(batch([event("e2", "9:01", person("device:d"))])), graph.sweep(1), graph.take(0, 1, 0), graph.backlog()):
        with pytest.raises(StoreLost, match="no longer the space that was opened"):
            await asked
        await graph.drop()
    assert [key async for key in redis.scan_iter(match=f"nexus:{{{space}}}:*")] == []


async def test_dropping_a_space_leaves_the_others(graph: RedisResolver, redis_url: str, space: str) -> None:
    other = RedisResolver(redis_url, RULES, f"{space}2", 2, 16)
    await other.open()
    await apply(other, event("e1", "9:00", person("device:d")))
    await graph.drop()
    assert len(await documents(other)) == 2
    await other.drop()
    await other.close()


async def test_a_redis_that_does_not_answer_is_named_without_its_password() -> None:
    nobody = RedisResolver("redis://:secret@127.0.0.1:1/0", RULES)
    with pytest.raises(RedisUnavailable, match=r"127\.0\.0\.1:1") as failed:
        await nobody.open()
    await nobody.close()
    assert "secret" not in str(failed.value)


async def test_observed_states_are_kept_once_with_their_events(graph: RedisResolver, redis: Redis, space: str) -> None:
    seen = person("device:d", states={"life": "lead", "plan": "free"})
    story = [event("e1", "9:00", seen, source="crm"), event("e2", "8:00", person("device:d", states={"life": "guest"}), source="crm")]
    await apply(graph, *story)
    await apply(graph, *story, partition=1)
    key = await only_key(redis, space, "o")
    nine, eight = (read_instant(at(when)) + BIAS_MS for when in ("9:00", "8:00"))
    rows: list[Any] = await redis.zrange(key, 0, -1, withscores=True)
    kept = [(msgpack.unpackb(member), int(score)) for member, score in rows]
    assert sorted(kept) == [
        (["life", eight, "crm", "e2", 0, "guest"], eight),
        (["life", nine, "crm", "e1", 0, "lead"], nine),
        (["plan", nine, "crm", "e1", 0, "free"], nine),
    ]


async def only_key(redis: Redis, space: str, kind: str) -> Any:
    """Find the one key of a kind."""
    found: list[Any] = [key async for key in redis.scan_iter(match=f"nexus:{{{space}}}:{kind}:*")]
    assert len(found) == 1
    return found[0]


async def test_a_known_fact_seen_again_writes_nothing_but_the_position(graph: RedisResolver, redis: Redis, space: str) -> None:
    await apply(graph, event("e1", "9:00", person("user_id:u", "device:d", traits={"n": 1}), group("shop:s")))
    await drain(graph, Topics(), 2)
    before = await stored(redis, space)
    for n in range(5):
        await apply(graph, event(f"e{n}", f"9:1{n}", person("user_id:u", "device:d"), group("shop:s")))
    assert await stored(redis, space) == before


async def stored(redis: Redis, space: str) -> dict[bytes, bytes | None]:
    """Dump all keys of a space but the positions, and how far the events have come in time."""
    found = [key async for key in redis.scan_iter(match=f"nexus:{{{space}}}:*")]
    return {key: await redis.dump(key) for key in found if not key.endswith((b":pos", b":tide"))}


async def test_a_failing_batch_changes_nothing(graph: RedisResolver) -> None:
    await apply(graph, event("e1", "9:00", person("device:d")))
    before = written(await documents(graph))
    with pytest.raises(PositionGap):
        await graph.apply(batch([event("e2", "9:01", person("device:d", "device:e"))], start=9))
    assert written(await documents(graph)) == before


async def test_who_was_seen_with_a_shared_device_is_counted_exactly(graph: RedisResolver, redis: Redis, space: str) -> None:
    await apply(graph, *(event(f"e{n}", "9:00", person("device:kitchen", f"user_id:u{n % 30}")) for n in range(60)))
    key = await only_key(redis, space, "H")
    assert await redis.scard(key) == 30


async def test_a_large_round_stops_reading_at_its_budget(graph: RedisResolver) -> None:
    await apply(graph, *(event(f"e{n}", "9:00", person(f"user_id:u{n}", *(f"device:{n}-{m}" for m in range(120)))) for n in range(90)))
    taken = [await take_round(graph, shard, 10_000, 0) for shard in range(2)]
    told = [{one.key for one in round_.records if one.topic != "timeline"} for round_ in taken if round_]
    assert sum(len(keys) for keys in told) < (await graph.backlog()).dirty + sum(len(keys) for keys in told)


async def test_more_merges_than_one_round_tells_are_told_in_the_next(graph: RedisResolver) -> None:
    count = 450
    await apply(graph, event("old", "1:00", person("user_id:old")))
    await apply(graph, *(event(f"a{n}", "9:00", person(f"device:d{n}")) for n in range(count)))
    topics = Topics()
    await drain(graph, topics, 2)
    await apply(graph, *(event(f"j{n}", "10:00", person("user_id:old", f"device:d{n}")) for n in range(count)))
    (old,) = [one for one in (await documents(graph)).values() if one["status"] == "active" and "identifier_count" in one]

    absorbed, rounds = [], 0
    while True:
        taken = [round_ for shard in (0, 1) if (round_ := await take_round(graph, shard, 1_000, 0)) is not None]
        if not taken:
            break
        for round_ in taken:
            told = [one.value for one in round_.records if one.topic == "timeline" and one.key == old["entity_id"] and one.value]
            found = [one["data"]["absorbed_id"] for one in told if one["kind"] == "entity.merged"]
            rounds += bool(found)
            absorbed += found
            await graph.keep(round_, b"bytes")
            await graph.finish(round_)
    assert len(absorbed) == len(set(absorbed)) == count
    assert rounds > 1
    assert (await graph.backlog()).empty


async def test_a_space_born_again_takes_nothing_from_those_who_knew_the_former(graph: RedisResolver, redis_url: str, space: str) -> None:
    await apply(graph, event("e1", "9:00", person("user_id:u")))
    await graph.drop()
    other = RedisResolver(redis_url, RULES, space, 2, 16)
    await other.open()
    with pytest.raises(StoreLost, match="emptied or replaced"):
        await graph.apply(batch([event("e2", "9:00", person("user_id:v"))]))
    assert [one async for one in other.documents()] == []
    await other.close()


async def test_a_round_of_large_traits_is_cut_by_its_bytes(graph: RedisResolver) -> None:
    large = "x" * 300_000
    await apply(graph, *(event(f"e{n}", "9:00", person(f"user_id:u{n}", traits={"large": large})) for n in range(20)))
    sizes = []
    for shard in (0, 1):
        while (round_ := await take_round(graph, shard, 1_000, 0)) is not None:
            sizes.append(sum(len(str(one.value)) for one in round_.records))
            await graph.keep(round_, b"bytes")
            await graph.finish(round_)
    assert len(sizes) > 2
    assert max(sizes) < 6_000_000


async def test_a_space_that_was_deleted_in_part_is_refused(graph: RedisResolver, redis: Redis, redis_url: str, space: str) -> None:
    await apply(graph, event("e1", "9:00", person("user_id:u")))
    await redis.delete(f"nexus:{{{space}}}:meta")
    other = RedisResolver(redis_url, RULES, space, 2, 16)
    with pytest.raises(StoreMismatch, match="deleted in part"):
        await other.open()
    await other.drop()
    await other.open()
    await other.close()


@pytest.mark.parametrize(("settled_ms", "waits"), [(60_000, Waiting.CATCHING_UP), (0, Waiting.UNREAD)])
async def test_a_recovery_waits_for_open_cases_but_not_for_ever(redis_url: str, settled_ms: int, waits: Waiting) -> None:
    limited = {"person": EntitySettings(identifiers={"user_id": IdentifierSettings(limit=1), "email": IdentifierSettings()})}
    rules = Rules.from_settings(limited, KEY)
    resolver = RedisResolver(redis_url, rules, f"open-{uuid4().hex}", 2, 16, Bounds(settled_ms=settled_ms))
    await resolver.open()
    try:
        seen = [event(f"e{n}", f"9:0{n}", person(f"user_id:u{n}", "email:a@x.example")) for n in (1, 2)]
        await resolver.apply(batch(seen, rules=rules))
        await resolver.recover({("events", 0): 2})
        assert (await resolver.backlog()).cases == 1
        assert await resolver.take(0, 10, 0) is Waiting.CATCHING_UP  # it has just seen that the logs are applied
        assert await resolver.take(0, 10, 0) is waits
        await resolver.settle()
        assert (await resolver.backlog()).cases == 0
        assert await resolver.take(1, 10, 0) is Waiting.UNREAD
    finally:
        await resolver.drop()
        await resolver.close()


async def test_taking_a_large_group_away_marks_its_memberships_piece_by_piece(graph: RedisResolver) -> None:
    count, limit, topics = 600, 100, Topics()
    members = [
        event(f"e{n}", "9:00", person(f"user_id:u{n}"), group("domain:acme.example"), memberships=[Membership(0, 1)]) for n in range(count)
    ]
    await apply(graph, *members)
    await drain(graph, topics, 2, 1_000)
    for holds in (True, False):
        await say(graph, Kind.BLOCK, "domain:acme.example", entity="group", holds=holds, at=2 - holds)
        most, before = 0, (await graph.backlog()).dirty
        while (left := await graph.backlog()).sweeps or left.cases:
            await graph.settle()
            settled = (await graph.backlog()).dirty
            await graph.sweep(limit)
            after = (await graph.backlog()).dirty
            most = max(most, settled - before, after - settled)
            before = after
        assert before >= count
        assert most <= 2 * limit, "one call marked more than it may"
        assert len([key for (topic, key) in await documents(graph) if topic == "memberships"]) == (0 if holds else count)
        await drain(graph, topics, 2, 1_000)
