"""How soon others go on when a worker is killed, and how soon a new one is ready on a graph that exists."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from streams.crew import Worker, crew
from streams.drain import Drain, measuring
from streams.graph import open_graph
from streams.publishing import publish_files
from streams.run import isolated
from streams.settings import Settings, settings_from
from streams.stack import Addresses
from streams.topics import delete_topics, ensure_topics
from streams.verify import verify
from tests.crowd import SETTINGS, records

pytestmark = [pytest.mark.stack, pytest.mark.timeout(360)]

SESSION_SECONDS = 6.0
WORKER = {"session_timeout_ms": int(SESSION_SECONDS * 1000)}


@asynccontextmanager
async def three_workers(stack: Addresses, directory: Path) -> AsyncIterator[tuple[Settings, list[Worker], Drain]]:
    addresses = {"kafka": {"bootstrap_servers": stack.bootstrap_servers}, "redis": {"url": stack.redis_url}}
    settings = isolated(settings_from({**SETTINGS, **addresses, "partitions": 6, "worker": WORKER}), "takeover")
    await ensure_topics(settings)
    async with open_graph(settings) as resolver:
        try:
            async with measuring(settings, resolver) as drain, crew(settings, directory, 3) as workers:
                yield settings, workers, drain
        finally:
            await delete_topics(settings)
            await resolver.drop()


async def publish(settings: Settings, directory: Path, lines: list[bytes]) -> None:
    file = directory / "records.jsonl"
    file.write_bytes(b"".join(line.replace(b"\n", b" ") + b"\n" for line in lines))
    await publish_files(settings, "crowd", [file])


async def test_others_go_on_within_the_session_timeout_and_a_new_worker_is_ready_soon(stack: Addresses, tmp_path: Path) -> None:
    lines = records(1_500, seed=9)
    async with three_workers(stack, tmp_path) as (settings, workers, drain):
        await publish(settings, tmp_path, lines[:1_000])
        assert (await drain.wait(60)).nothing
        await workers[0].kill()
        killed = time.monotonic()
        await publish(settings, tmp_path, lines[1_000:])
        assert (await drain.wait(60)).nothing
        assert time.monotonic() - killed <= SESSION_SECONDS + 5.0

        begun = time.monotonic()
        another = await Worker.start(settings, tmp_path, "another")
        try:
            await another.ready()
            assert time.monotonic() - begun <= 10.0
        finally:
            await another.stop()
        assert (await verify(settings)).ok


async def test_a_stopping_worker_hands_over_within_its_drain_and_ends_well(stack: Addresses, tmp_path: Path) -> None:
    async with three_workers(stack, tmp_path) as (settings, workers, drain):
        publishing = asyncio.create_task(publish(settings, tmp_path, records(1_500, seed=10)))
        begun = time.monotonic()
        assert await workers[0].stop() == 0
        assert time.monotonic() - begun <= settings.worker.drain_seconds + 5.0
        await publishing
        assert (await drain.wait(60)).nothing
        assert (await verify(settings)).ok
