"""The verification against what the resolver really writes: Redis alone, and with the topics on Kafka."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import orjson
import pytest
import typer
from aiokafka import AIOKafkaProducer
from redis.asyncio import Redis
from typer.testing import CliRunner

from resolvers.redis_graph import RedisResolver
from resolvers.scripts import Bounds
from streams import kafka
from streams.cli.verify import register
from streams.settings import Settings
from streams.stack import Addresses
from streams.topics import delete_topics, ensure_topics
from streams.verify import verify
from streams.verify.compare_redis import compare_frame, compare_redis
from streams.verify.compare_topics import compare_topics
from streams.verify.read_redis import read_dump
from streams.verify.recompute import recompute
from streams.verify.usable import Usable
from tests.unit.verify.pipeline import Pipeline, event, group, person, rules_of

PARTITIONS = 3


GUARDED = {
    "person": {
        "identifiers": {
            "user_id": {"limit": 1},
            "email": {"normalise": "email", "hub": {"of": "user_id", "over": 2}},
            "phone": {"normalise": "phone", "region": "US"},
            "anonymous_id": {"hub": {"of": "email", "over": 1}},
        },
        "size": 6,
    },
    "group": {"identifiers": {"domain": {"normalise": "domain", "limit": 2}, "shop_id": {"hub": {"of": "domain", "over": 2}}}},
}
"""Guards that break all the time."""


STATES = [
    {"name": "crm_plan", "entity": "person", "participant": "plan"},
    {
        "name": "crm_account",
        "entity": "group",
        "derived": {
            "components": {"paid": {"state": "crm_plan", "of": "members", "any": "value == 'paid'"}},
            "value": "paid && 'paying' || null",
        },
    },
    {
        "name": "crm_seat",
        "entity": "person",
        "derived": {
            "components": {"paying": {"state": "crm_account", "of": "groups", "all": "value == 'paying'", "most": 3}},
            "value": "paying",
        },
    },
]
"""States that memberships carry."""


def settings_for(redis_url: str, kafka_servers: str = "127.0.0.1:9", entities: dict[str, Any] | None = None) -> Settings:
    space = f"verify-{uuid4().hex[:8]}"
    return Settings.model_validate(
        {
            "space": space,
            "partitions": PARTITIONS,
            "kafka": {"bootstrap_servers": kafka_servers},
            "redis": {"url": redis_url, "buckets": 16},
            "topics": {"prefix": f"{space}."},
            "states": STATES if entities is None or "group" in entities else STATES[:1],
            **({"entities": entities} if entities else {}),
        }
    )


@asynccontextmanager
async def pipeline(settings: Settings, inline: int = 64) -> AsyncIterator[Pipeline]:
    """Give a pipeline over a space of its own, gone afterwards. `inline` small leaves much to sweeps."""
    resolver = RedisResolver(
        settings.redis.url, rules_of(settings), settings.space, PARTITIONS, settings.redis.buckets, Bounds(inline=inline, patience=0)
    )
    await resolver.open()
    try:
        yield Pipeline(settings, resolver)
    finally:
        await resolver.drop()
        await resolver.close()


def random_events(chance: Random, count: int, people: int) -> list[bytes]:
    """Write events in no order, some twice, some bad, about people who share identifiers."""
    events = []
    for number in range(count):
        at = f"2024-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}T{chance.randint(0, 23):02}:30:00.{chance.randint(0, 999):03}Z"
        seen = [_someone(chance, people) for _ in range(chance.randint(1, 2))]
        seen.append(group(f"domain:www.g{chance.randrange(people) // 3}.example", f"shop_id:s{chance.randrange(people)}"))
        memberships = [
            {"member": one, "group": len(seen) - 1, "role": chance.choice([None, "user", "admin"]), "ended": chance.random() < 0.3}
            for one in range(len(seen) - 1)
        ]
        events.append(event(number, at, *seen, memberships=memberships, source=chance.choice(["crm", "web"])))
    events += [b"{", event(-1, "yesterday", person("user_id:x")), event(-2, "2024-01-01T00:00:00Z", person("shoe:9"))]
    events += chance.sample(events, count // 5)
    chance.shuffle(events)
    return events


def _someone(chance: Random, people: int) -> dict[str, object]:
    number = chance.randrange(people)
    known = [
        f"user_id:u{number}",
        f"email:P{number}@X.example",
        f"phone:+1415555{2000 + number}",
        f"anonymous_id:a{chance.randrange(people)}",
        "user_id:N/A",
    ]
    traits = {"name": f"n{chance.randrange(5)}", "score": chance.choice([1, 1.0, None])}
    seen = person(*chance.sample(known, chance.randint(1, 3)), role="actor", **traits)
    return seen | {"states": {"plan": chance.choice(["free", "paid"])}}


@pytest.mark.parametrize(("seed", "inline"), [(1, 64), (2, 2)])
async def test_what_the_resolver_writes_is_what_the_events_say(redis_url: str, seed: int, inline: int) -> None:
    chance = Random(seed)
    settings, events = settings_for(redis_url), random_events(chance, 150, 60)
    async with pipeline(settings, inline) as running, Redis.from_url(redis_url) as redis:
        logs = [events[0::2], events[1::2]]
        await running.run(logs, chance)
        expected, dump = recompute(events, settings), await read_dump(redis, settings.space)
        applied = {partition: (len(log), len(log)) for partition, log in enumerate(logs)}
        assert [*compare_frame(dump, settings, applied), *compare_redis(expected, dump)] == []
        assert compare_topics(expected, running.topics, PARTITIONS) == []
        assert len(expected.entities) < len(expected.identifiers) == len(dump.nodes)
        assert any(b'"status":"merged"' in (one.value or b"") for one in running.topics["entities"])


@pytest.mark.parametrize(("seed", "inline", "people"), [(1, 64, 60), (2, 2, 30), (3, 64, 12)])
async def test_what_guards_keep_apart_is_what_the_events_say(redis_url: str, seed: int, inline: int, people: int) -> None:
    chance = Random(seed)
    settings, events = settings_for(redis_url, entities=GUARDED), random_events(chance, 150, people)
    async with pipeline(settings, inline) as running, Redis.from_url(redis_url) as redis:
        logs = [events[0::2], events[1::2]]
        await running.run(logs, chance)
        expected, dump = recompute(events, settings), await read_dump(redis, settings.space)
        applied = {partition: (len(log), len(log)) for partition, log in enumerate(logs)}
        assert [*compare_frame(dump, settings, applied), *compare_redis(expected, dump)] == []
        assert compare_topics(expected, running.topics, PARTITIONS) == []
        assert any(b'"status":"split"' in (one.value or b"") for one in running.topics["entities"])
        assert dump.cases
        assert expected.off


def random_commands(chance: Random, count: int, people: int) -> list[tuple[bytes, int]]:
    """Write commands about some of the people, some taken back, some no commands at all."""
    written = int(datetime(2024, 6, 1, tzinfo=UTC).timestamp() * 1000)
    commands = [(b"{", written), (orjson.dumps({"command": "explode"}), written)]
    for number in range(count):
        word = chance.choice(["block", "block", "unblock", "forbid", "permit", "link", "unlink"])
        known = [
            *({"type": "user_id", "value": f"u{one}"} for one in chance.sample(range(people), 2)),
            {"entity_type": "person", "type": "email", "value": f"P{chance.randrange(people)}@x.example"},
            {"type": "anonymous_id", "value": f"a{chance.randrange(people)}"},
            {"type": "shop_id", "value": "s1"},
            {"type": "user_id", "value": "null"},
        ]
        named = chance.sample(known[: chance.choice([3, 4, 4, 4, 6])], 1 if "block" in word else 2)
        issued = f"2024-{chance.choice(['05-01', '05-01', '05-02', '07-01'])}T10:00:00.000Z"
        told = {"command_id": f"c{number}", "command": word, "identifiers": named, "issued_at": issued, "actor": "me"}
        commands.append((orjson.dumps(told), written))
    chance.shuffle(commands)
    return commands


def random_erasures(settings: Settings, chance: Random, count: int, people: int) -> list[tuple[bytes, int]]:
    """Write erasures of some of the people, with cutoffs between their events."""
    written, usable = int(datetime(2024, 6, 1, tzinfo=UTC).timestamp() * 1000), Usable(settings)
    commands = []
    for number in range(count):
        who = chance.randrange(people)
        known = [("person", "user_id", f"u{who}"), ("person", "email", f"p{who}@x.example"), ("person", "anonymous_id", f"a{who}")]
        known += [("group", "shop_id", "s1")] * (number == 0)
        covered = [usable.digest(*one).hex() for one in known]
        named = [{"entity_type": one[0], "type": one[1], "digest": digest} for one, digest in zip(known, covered, strict=True)]
        told = {"command_id": f"e{number}", "command": "erase", "identifiers": named, "issued_at": "2024-05-01T10:00:00.000Z"}
        cutoff = f"2024-{chance.randrange(1, 6):02}-{chance.randrange(1, 28):02}T00:00:00Z"
        commands.append((orjson.dumps(told | {"cutoff": cutoff}), written))
    return commands


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_erased_is_left_out_of_everything(redis_url: str, seed: int) -> None:
    chance = Random(seed)
    entities = GUARDED if seed % 2 else None
    settings, events = settings_for(redis_url, entities=entities), random_events(chance, 140, 25)
    commands = [*random_commands(chance, 10, 25), *random_erasures(settings, chance, 8, 25)]
    chance.shuffle(commands)
    async with pipeline(settings, 2) as running, Redis.from_url(redis_url) as redis:
        await running.command(0, 0, commands[:8])
        await running.run([events[:90]], chance)
        await running.command(0, 8, commands[8:])
        await running.apply(0, 90, events[90:])
        await running.drain()
        expected, dump = recompute(events, settings, commands), await read_dump(redis, settings.space)
        assert compare_redis(expected, dump) == []
        assert compare_topics(expected, running.topics, PARTITIONS) == []
        assert any(b'"status":"erased"' in (one.value or b"") for one in running.topics["entities"])
        assert expected.erased.participants
        assert expected.commanded.cutoffs.keys() & expected.erased.former.keys()


@pytest.mark.parametrize("seed", range(4))
async def test_what_operators_say_is_what_becomes_of_it(redis_url: str, seed: int) -> None:
    chance = Random(seed)
    entities = GUARDED if seed % 2 else None
    settings, events, commands = settings_for(redis_url, entities=entities), random_events(chance, 120, 25), random_commands(chance, 30, 25)
    async with pipeline(settings, 2) as running, Redis.from_url(redis_url) as redis:
        await running.command(0, 0, commands[:8])
        await running.run([events[:70]], chance)
        await running.command(0, 8, commands[8:])
        await running.apply(0, 70, events[70:])
        await running.drain()
        expected, dump = recompute(events, settings, commands), await read_dump(redis, settings.space)
        assert compare_redis(expected, dump) == []
        assert [*compare_frame(dump, settings, {0: (30, 32)}, "commands")] == []
        assert compare_topics(expected, running.topics, PARTITIONS) == []
        assert {kind for kind in "bfl" if expected.commanded.in_force(kind)} == set("bfl")
        assert 0 < expected.commanded.refused < expected.commanded.read


async def test_what_is_lost_from_redis_is_found(redis_url: str) -> None:
    settings, events = settings_for(redis_url), random_events(Random(3), 40, 30)
    async with pipeline(settings) as running, Redis.from_url(redis_url) as redis:
        await running.run([events], Random(3))
        base, expected = f"nexus:{{{settings.space}}}:", recompute(events, settings)
        pages = [key async for key in redis.scan_iter(match=f"{base}t:*")]
        await redis.delete(*pages)
        await redis.rpush(f"{base}queue:0", "e")
        kinds = {one.kind for one in compare_redis(expected, await read_dump(redis, settings.space))}
        assert kinds == {"redis.trait", "redis.outbox"}


@asynccontextmanager
async def publishing(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    producer = await kafka.started(kafka.producer(settings, what="test"), settings.kafka, "test")
    try:
        yield producer
    finally:
        await producer.stop()


async def write_topics(producer: AIOKafkaProducer, settings: Settings, told: Pipeline) -> None:
    for word, records in told.topics.items():
        sent = [await producer.send(settings.topic(word), one.value, key=one.key, partition=one.partition) for one in records]
        await asyncio.gather(*sent)


@pytest.mark.stack
async def test_a_difference_on_a_topic_ends_the_command_with_1(stack: Addresses, tmp_path: Path) -> None:
    settings, events = settings_for(stack.redis_url, stack.bootstrap_servers), random_events(Random(4), 60, 30)
    await ensure_topics(settings)
    async with pipeline(settings) as running, publishing(settings) as producer:
        for value in events:
            await producer.send_and_wait(settings.topic("events"), value, partition=0)
        behind = await verify(settings, wait_seconds=0)
        assert behind.waiting == [f"{settings.topic('events')}, partition 0: {len(events)} offsets before {len(events)} are not applied"]

        await running.run([events], Random(4))
        await write_topics(producer, settings, running)
        report = await verify(settings, wait_seconds=5)
        assert (report.differences, report.waiting) == ([], [])
        assert report.checked["events"] == len(events)

        stranger = "per_aaaaaaaaaaaaaaaaaaaaaaaaaa"
        ghost = orjson.dumps({"entity_id": stranger, "status": "active", "version": 1})
        await producer.send_and_wait(settings.topic("entities"), ghost, key=stranger.encode(), partition=0)
        config = tmp_path / "nexus.yaml"
        config.write_text(settings.to_yaml(), encoding="utf-8")
        result = await asyncio.to_thread(CliRunner().invoke, application(), ["--config", str(config), "--json"])
        assert result.exit_code == 1
        assert list(json.loads(result.stdout)["differences"]) == ["entities.ghost"]
    await delete_topics(settings)


def application() -> typer.Typer:
    app = typer.Typer()
    register(app)
    return app
