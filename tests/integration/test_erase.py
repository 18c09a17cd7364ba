"""Erasures from the command line to the topics: what is left nowhere, what comes back, and what does not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from resolvers.errors import NexusError
from streams.cli.rebuild_live import Lines
from streams.rebuild import Plan, rebuild
from streams.stack import Addresses
from streams.topics import delete_topics
from streams.verify import verify
from tests.integration.desk import ALL, desk, nexus, people
from tests.integration.test_stages import Pipeline


@pytest.fixture
async def pipeline(stack: Addresses, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with desk(stack, tmp_path) as made:
        yield made


async def last(pipeline: Pipeline, topic: str) -> dict[str, Any]:
    """Give the last document of each key, None for a tombstone."""
    found = {(record.key or b"").decode(): record.value for record in await pipeline.read(topic)}
    return {key: None if value is None else json.loads(value) for key, value in found.items()}


async def everything_in_redis(pipeline: Pipeline) -> bytes:
    """Read every key of the space, with what lies there, as it is stored."""
    redis: Redis = Redis.from_url(pipeline.settings.redis.url)
    try:
        found = []
        async for key in redis.scan_iter(match=f"nexus:{{{pipeline.settings.space}}}:*"):
            kind = await redis.type(key)
            read = {b"hash": redis.hgetall, b"set": redis.smembers, b"string": redis.get}
            value: Any = (
                await read[kind](key)
                if kind in read
                else (await redis.lrange(key, 0, -1) if kind == b"list" else await redis.zrange(key, 0, -1, withscores=True))
            )
            found.append(key + repr(value).encode())
        return b"\n".join(found)
    finally:
        await redis.aclose()


async def test_an_entity_is_erased_and_what_is_seen_later_is_another(pipeline: Pipeline) -> None:
    (one,) = await people(pipeline)
    looked = await nexus(pipeline, "erase", one, "--dry-run")
    assert (looked["sent"], looked["changes"]["ended_ids"], looked["spanning_links"]) == (False, [one], 0)
    assert (await people(pipeline))[one] == ALL

    await nexus(pipeline, "erase", one, "--reason", "asked for it")
    await pipeline.drained()
    assert await people(pipeline) == {}
    assert (await last(pipeline, "entities"))[one]["status"] == "erased"
    assert set((await last(pipeline, "identifiers")).values()) == {None}
    receipts = [record for record in await timeline(pipeline) if record["kind"] == "entity.erased"]
    ids = [record["entity_id"] for record in receipts]
    assert one in ids
    assert len(set(ids)) == len(ids), "each id that was issued on the way has one"
    assert [(record["data"], record["event_id"], record["source"]) for record in receipts] == [({"lives_on": False}, None, None)] * len(ids)
    said = b"".join(record.value or b"" for record in await pipeline.read("commands"))
    for value in (*ALL, "Ann", "Bob"):
        assert value.encode() not in await everything_in_redis(pipeline), value
        assert value.encode() not in said.replace(b'"user_id"', b""), value
    assert await nexus(pipeline, "entity", one) == {"entity_id": one, "entity_type": "person", "status": "erased"}
    with pytest.raises(NexusError, match="is erased"):
        await nexus(pipeline, "erase", one)

    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    records = [
        {"id": "5", "at": "2024-05-01T09:20:00Z", "user": "u1", "email": "front@desk.example", "name": "Ann, late"},
        {"id": "6", "at": later, "user": "u1", "device": "tablet", "name": "Ann, again"},
    ]
    await pipeline.write([json.dumps(each).encode() for each in records])
    await pipeline.drained()
    (again,) = (found := await people(pipeline))
    assert again != one
    assert found[again] == {"u1", "tablet"}
    assert (await nexus(pipeline, "resolve", "user_id", "u1"))["entity_id"] == again
    assert b"late" not in await everything_in_redis(pipeline)
    report = await verify(pipeline.settings, wait_seconds=10)
    assert (report.differences, report.waiting, report.checked["commands"]) == ([], [], 1)
    assert await pipeline.read("dead-letters") == []


async def test_what_was_seen_after_the_cutoff_is_read_from_the_log(pipeline: Pipeline) -> None:
    (one,) = await people(pipeline)
    sent = await nexus(pipeline, "erase", "device:tablet", "--cutoff", "2024-05-01T09:12:00Z")
    assert sent["spanning_links"] == 1
    await pipeline.drained()
    found = await people(pipeline)
    assert found.pop(one) == {"u1", "u2", "front@desk.example"}
    ((other, theirs),) = found.items()
    assert theirs == {"u3", "tablet"}
    told = {record["entity_id"] for record in await timeline(pipeline) if record["kind"] == "entity.erased"}
    assert one in told
    assert (await nexus(pipeline, "resolve", "device", "tablet"))["entity_id"] == other
    report = await verify(pipeline.settings, wait_seconds=10)
    assert (report.differences, report.waiting) == ([], [])

    with Lines() as watching:
        await rebuild(pipeline.settings, Plan(f"{pipeline.settings.space}-again", 1, None), pipeline.directory / "again", watching)
    again = pipeline.settings.model_copy(update={"space": f"{pipeline.settings.space}-again"})
    report = await verify(again, wait_seconds=10)
    assert (report.differences, report.waiting) == ([], [])
    await delete_topics(again.model_copy(update={"sources": {}}))


async def timeline(pipeline: Pipeline) -> list[dict[str, Any]]:
    """Give the records of the timeline."""
    return [json.loads(record.value or b"{}") for record in await pipeline.read("timeline")]


async def test_the_logs_are_copied_without_what_was_erased(pipeline: Pipeline, tmp_path: Path) -> None:
    await nexus(pipeline, "forbid", "user_id:u1", "user_id:u3")
    await nexus(pipeline, "erase", "user_id:u1", "--cutoff", "2024-05-01T12:00:00Z")
    await pipeline.drained()
    prefix = f"{pipeline.settings.topics.prefix}clean."
    done = await nexus(pipeline, "scrub", "--to", prefix)
    assert done == {"events": 4, "participants_left_out": 1, "unreadable": 0, "commands": 2, "values_left_out": 1}
    with pytest.raises(NexusError, match="is not empty"):
        await nexus(pipeline, "scrub", "--to", prefix)
    settings = pipeline.settings
    topics = settings.topics.model_copy(update={"prefix": prefix})
    clean = settings.model_copy(update={"space": f"{settings.space}-clean", "topics": topics})
    (tmp_path / "clean").mkdir()
    other = Pipeline(clean, tmp_path / "clean")
    try:
        await other.worker()
        await other.drained()
        assert {key: one["identifiers"] for key, one in (await living(other)).items()} == {
            key: one["identifiers"] for key, one in (await living(pipeline)).items()
        }
        records = [record for word in ("events", "commands") for record in await other.read(word)]
        copied = b"".join((record.key or b"") + (record.value or b"") for record in records)
        assert b"u1" not in copied
        assert b"Ann" not in copied
        report = await verify(clean, wait_seconds=10)
        assert (report.differences, report.waiting) == ([], [])
    finally:
        for worker in other.workers:
            await worker.kill()
        await delete_topics(clean.model_copy(update={"sources": {}}))


async def living(pipeline: Pipeline) -> dict[str, Any]:
    """Give the documents of living entities."""
    return {key: one for key, one in (await last(pipeline, "entities")).items() if one and one["status"] == "active"}
