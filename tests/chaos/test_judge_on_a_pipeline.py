"""The judge on a real pipeline: silent about what workers do, and not about what is done to their topics and their Redis."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from redis.asyncio import Redis

from streams import kafka
from streams.crew import crew
from streams.drain import measuring
from streams.graph import open_graph
from streams.run import isolated
from streams.settings import Settings, settings_from
from streams.stack import Addresses
from streams.topics import delete_topics, ensure_topics
from tests.chaos.judge import judge
from tests.chaos.judge_read import observe, open_ends
from tests.chaos.right_case import written
from tests.chaos.stream import Stream

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

STRANGER = "per_aaaaaaaaaaaaaaaaaaaaaaaaaa"
JUNK = (b"{", b"\xff", None, b'{"event_id": "junk", "source": "crowd", "name": "seen", "occurred_at": "noon"}')


@asynccontextmanager
async def space(stack: Addresses) -> AsyncIterator[Settings]:
    """Give settings whose topics and space are gone afterwards."""
    addresses = {"kafka": {"bootstrap_servers": stack.bootstrap_servers}, "redis": {"url": stack.redis_url, "buckets": 16}}
    settings = isolated(settings_from({**Stream(1).settings_parts(), **addresses, "partitions": 2}), "judged")
    await ensure_topics(settings)
    async with open_graph(settings) as resolver:
        try:
            yield settings
        finally:
            await delete_topics(settings)
            await resolver.drop()


@asynccontextmanager
async def writing(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    producer = await kafka.started(kafka.producer(settings, what="test"), settings.kafka, "test")
    try:
        yield producer
    finally:
        await producer.stop()


async def run(settings: Settings, producer: AIOKafkaProducer, directory: Path) -> list[bytes]:
    """Have a worker do what comes of a few hundred records, and give these."""
    stream = Stream(1)
    sent = [*stream.next(300), *stream.poison(80)]
    for value in sent:
        await producer.send(settings.sources["crowd"].topic, value)
    for junk in JUNK:
        for word in ("events", "commands"):
            await producer.send(settings.topic(word), junk, key=b"junk")
    await producer.flush()
    async with open_graph(settings) as resolver, measuring(settings, resolver) as drain, crew(settings, directory, 1):
        behind = await drain.wait(30)
        assert behind.nothing, str(behind)
        assert await judge(settings, sent, redis_lost_writes=False) == []
    return sent


async def damage(settings: Settings, producer: AIOKafkaProducer) -> None:
    """Write what no worker would."""
    seen = await observe(settings)
    told = [line for line in seen.topics["timeline"] if b"identifier.added" in (line.value or b"")]
    entity = max(seen.topics["entities"], key=lambda line: json.loads(line.value or b"")["version"])
    ghost = {"entity_id": STRANGER, "entity_type": "person", "status": "active", "version": 1}
    nobody = {"event_id": "nobody's", "source": "crowd", "name": "seen", "occurred_at": "2024-01-01T00:00:00.000Z"}
    writes: list[tuple[str, int, bytes | None, bytes | None]] = [
        ("entities", 0, STRANGER.encode(), written(ghost)),
        ("entities", entity.partition, entity.key, written(json.loads(entity.value or b"") | {"version": 1})),
        ("identifiers", 0, b"person:user_id:ghost", written(ghost)),
        ("memberships", 0, f"{STRANGER}:{STRANGER}".encode(), written(ghost)),
        ("timeline", told[0].partition, told[0].key, told[0].value),
        ("timeline", told[0].partition, told[0].key, written(json.loads(told[0].value or b"") | {"recovery": True})),
        ("events", 0, None, written(nobody)),
    ]
    for word, partition, key, value in writes:
        await producer.send_and_wait(settings.topic(word), value, key=key, partition=partition)
    async with Redis.from_url(settings.redis.url) as redis:
        base = f"nexus:{{{settings.space}}}"
        end = max(line.offset for line in seen.topics["events"] if line.partition == 0) + 2
        await redis.hset(f"{base}:pos", "events/0", f"{end + 10}:1")
        await redis.hset(f"{base}:round:1", "number", "0")


async def test_the_judge_is_silent_until_something_is_damaged(stack: Addresses, tmp_path: Path) -> None:
    async with space(stack) as settings, writing(settings) as producer:
        sent = await run(settings, producer, tmp_path)
        await damage(settings, producer)
        changed = [value for value in sent if value != sent[0]] + [b"lost"]
        found = await judge(settings, changed, redis_lost_writes=False)
        assert {line.partition(": ")[0] for line in found} >= {
            "records.lost",
            "records.nowhere",
            "events.nowhere",
            "entities.ghost",
            "entities.version",
            "identifiers.ghost",
            "memberships.ghost",
            "timeline.told_twice",
            "timeline.added_again",
            "timeline.recovery",
            "position.beyond",
            "position.checksum",
            "redis.position",
            "rounds.redis",
            "redis.round",
        }


async def test_a_transaction_left_open_is_found(stack: Addresses) -> None:
    async with space(stack) as settings:
        name = kafka.transactional_id(settings, "test", 0)
        producer = await kafka.started(kafka.transactional_producer(settings, transactional=name, what="test"), settings.kafka, "test")
        try:
            await producer.begin_transaction()
            await producer.send_and_wait(settings.topic("entities"), b"{}", key=b"k", partition=0)
            assert await open_ends(settings, wait_seconds=0) == {(settings.topic("entities"), 0): (0, 1)}
            await producer.abort_transaction()
            assert await open_ends(settings) == {}
        finally:
            await producer.stop()
