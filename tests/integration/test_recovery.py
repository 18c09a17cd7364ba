"""Redis loses what it knew, under running workers; the topics and the graph come right by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka.admin import RecordsToDelete
from aiokafka.structs import TopicPartition
from redis.asyncio import Redis

from streams import kafka
from streams.crew import Worker
from streams.drain import Drain, measuring
from streams.dump import whole_topic
from streams.graph import open_graph
from streams.publishing import publish_files
from streams.run import isolated
from streams.settings import Settings, settings_from
from streams.stack import Addresses
from streams.topics import delete_topics, ensure_topics
from streams.verify import verify
from tests.crowd import SETTINGS, records

pytestmark = [pytest.mark.stack, pytest.mark.timeout(480)]

PATIENCE_SECONDS = 90.0

COPY = """
local copied = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  copied[#copied + 1] = key
  copied[#copied + 1] = redis.call('DUMP', key)
end
return copied
"""
PUT_BACK = """
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('UNLINK', key) end
for i = 2, #ARGV, 2 do redis.call('RESTORE', ARGV[i], 0, ARGV[i + 1]) end
"""


class Live:
    """A space with workers, and hands on its Redis."""

    def __init__(self, settings: Settings, directory: Path, drain: Drain, redis: Redis) -> None:
        self.settings = settings
        self.directory = directory
        self.drain = drain
        self.redis = redis
        self.workers: list[Worker] = []

    async def worker(self) -> Worker:
        started = await Worker.start(self.settings, self.directory, f"worker-{len(self.workers)}")
        self.workers.append(started)
        await started.ready()
        return started

    async def publish(self, lines: Sequence[bytes]) -> None:
        file = self.directory / "records.jsonl"
        file.write_bytes(b"".join(line.replace(b"\n", b" ") + b"\n" for line in lines))
        await publish_files(self.settings, "crowd", [file])

    def check(self) -> None:
        for worker in self.workers:
            worker.check()

    async def settled(self) -> None:
        """Wait until all is told, and let the verification compare."""
        behind = await self.drain.wait(PATIENCE_SECONDS, lambda _: self.check())
        assert behind.nothing, str(behind)
        report = await verify(self.settings)
        assert report.ok, "\n".join(report.lines(10))

    async def copy(self) -> list[bytes]:
        """Copy the space as it is at one moment: names and contents by turns."""
        copied: list[bytes] = await self.redis.eval(COPY, 0, f"nexus:{{{self.settings.space}}}:*")
        return copied

    async def put_back(self, copied: Sequence[bytes] = ()) -> None:
        """Make the space what it was, at once: an older Redis, or with nothing an empty one."""
        await self.redis.eval(PUT_BACK, 0, f"nexus:{{{self.settings.space}}}:*", *copied)

    async def timeline(self) -> list[dict[str, Any]]:
        topic = self.settings.topic("timeline")
        places = [TopicPartition(topic, partition) for partition in range(self.settings.partitions)]
        return [orjson.loads(record.value) async for record in whole_topic(self.settings, places)]


@asynccontextmanager
async def live(stack: Addresses, directory: Path, name: str) -> AsyncIterator[Live]:
    addresses = {"kafka": {"bootstrap_servers": stack.bootstrap_servers}, "redis": {"url": stack.redis_url}}
    settings = isolated(settings_from({**SETTINGS, **addresses, "partitions": 3, "worker": {"batch_records": 100}}), name)
    await ensure_topics(settings)
    redis: Redis = Redis.from_url(stack.redis_url)
    async with open_graph(settings) as resolver, measuring(settings, resolver) as drain:
        made = Live(settings, directory, drain, redis)
        try:
            yield made
        finally:
            for worker in made.workers:
                await worker.stop()
            await delete_topics(settings)
            await resolver.drop()
            await redis.aclose()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await condition():  # noqa: ASYNC110 - another process sets it
            await asyncio.sleep(0.05)


async def test_an_emptied_redis_is_filled_again_under_an_idle_worker(stack: Addresses, tmp_path: Path) -> None:
    async with live(stack, tmp_path, "recover-empty") as space:
        await space.worker()
        await space.publish(records(600))
        await space.settled()
        await space.put_back()
        await until(lambda: space.redis.exists(f"nexus:{{{space.settings.space}}}:recovery"))
        await space.settled()
        again = {line["kind"] for line in await space.timeline() if line.get("recovery")}
        assert again <= {"entity.merged"}  # what the topics hold was right; only merges are on no topic but the timeline


async def test_an_older_redis_under_two_busy_workers_comes_right(stack: Addresses, tmp_path: Path) -> None:
    lines = records(3_000, seed=5)
    async with live(stack, tmp_path, "recover-older") as space:
        for _ in range(2):
            await space.worker()
        await space.publish(lines[:800])
        copied = await space.copy()
        await space.publish(lines[800:2_000])
        await until(lambda: _told(space, 1_000))
        await space.publish(lines[2_000:])
        await space.put_back(copied)
        await space.settled()


async def _told(space: Live, count: int) -> bool:
    return len(await space.timeline()) >= count


async def test_a_ghost_on_the_topics_is_retired(stack: Addresses, tmp_path: Path) -> None:
    async with live(stack, tmp_path, "recover-ghost") as space:
        await space.worker()
        await space.publish(records(200))
        await space.settled()
        producer = await kafka.started(kafka.producer(space.settings, what="ghost"), space.settings.kafka, "ghost")
        value = (
            b'{"entity_type": "person", "type": "device", "value": "ghost", "entity_id": "per_aaaaaaaaaaaaaaaaaaaaaaaaaa", "version": 1}'
        )
        try:
            await producer.send_and_wait(space.settings.topic("identifiers"), value, key=b"person:device:ghost", partition=1)
        finally:
            await producer.stop()
        assert not (await verify(space.settings)).ok
        await space.put_back()
        await until(lambda: space.redis.exists(f"nexus:{{{space.settings.space}}}:recovery"))
        await space.settled()


async def test_a_log_that_no_longer_reaches_back_is_an_error_that_says_so(stack: Addresses, tmp_path: Path) -> None:
    async with live(stack, tmp_path, "recover-short") as space:
        worker = await space.worker()
        await space.publish(records(200))
        await space.settled()
        client = await kafka.started(kafka.admin(space.settings), space.settings.kafka, "test")
        try:
            topic = space.settings.topic("events")
            await client.delete_records({TopicPartition(topic, partition): RecordsToDelete(before_offset=5) for partition in range(3)})
        finally:
            await client.close()
        await space.put_back()
        assert await asyncio.wait_for(worker.process.wait(), PATIENCE_SECONDS) != 0
        assert "begins at offset 5, but records from 0 on were never handled" in worker.lines()[-1]


async def test_transaction_markers_on_the_event_log_hold_nothing_up(stack: Addresses, tmp_path: Path) -> None:
    async with live(stack, tmp_path, "recover-markers") as space:
        await space.worker()
        await space.publish(records(50))
        await space.settled()
        made = kafka.transactional_producer(space.settings, transactional="test-markers", what="test")
        producer = await kafka.started(made, space.settings.kafka, "test")
        try:
            for partition in range(3):
                async with producer.transaction():
                    await producer.send(space.settings.topic("events"), b"not an event", partition=partition)
        finally:
            await producer.stop()
        await space.settled()
        await space.put_back()
        await until(lambda: space.redis.exists(f"nexus:{{{space.settings.space}}}:recovery"))
        await space.settled()
