"""A world: one space with topics, a stream, three workers and a Redis of its own, in which some rounds are held.

Invariant: worlds share nothing but Kafka's process, so what one round broke cannot show in another world. The workers
reach the servers through the proxies, everything else directly. Neighbours: `rounds` holds rounds in it, `faults`
breaks it.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streams.run import isolated
from streams.settings import Settings, settings_from
from streams.stack import Addresses
from streams.topics import delete_topics, ensure_topics
from tests.chaos.feed import Feed, feeding
from tests.chaos.gauge import Gauge, gauging
from tests.chaos.servers import Servers
from tests.chaos.stream import Stream
from tests.chaos.workers import Crew

WORKERS = 3
PARTITIONS = 4
READY_SECONDS = 60.0
SESSION_TIMEOUT_MS = 6_000
COPIES_KEPT = 3
CALM_SECONDS = (1.5, 3.0)

# Everything is short, so that a round is; batches and rounds are small, so that there are many to be hit.
_KAFKA = {"request_timeout_ms": 9_000, "transaction_timeout_ms": 12_000, "connect_seconds": 60}
_REDIS = {"buckets": 64, "connect_seconds": 60}
_WORKER = {"session_timeout_ms": SESSION_TIMEOUT_MS, "batch_records": 100, "round_keys": 200, "poll_ms": 100, "drain_seconds": 5}


@dataclass(slots=True)
class World:
    """Made by `world`. `lost_writes` from when its Redis may have lost any."""

    directory: Path
    settings: Settings
    servers: Servers
    crew: Crew
    feed: Feed
    gauge: Gauge
    copies: list[Path] = field(default_factory=list)
    copied: int = 0
    lost_writes: bool = False
    violated: bool = False

    async def copy_redis(self) -> Path:
        """Keep a copy of Redis's data as they are now, and of former copies only the latest."""
        self.copied += 1
        copy = await self.servers.copy_redis(self.directory / f"redis-copy-{self.copied}")
        self.copies.append(copy)
        while len(self.copies) > COPIES_KEPT:
            await asyncio.to_thread(shutil.rmtree, self.copies.pop(0))
        return copy

    def older_copies(self) -> list[Path]:
        """Give the copies of former rounds; the last copy is the present round's."""
        return self.copies[:-1]

    async def calm(self, pick: random.Random) -> None:
        """Let records flow for a while without trouble, and copy Redis in the middle of it."""
        async with self.feed.flowing(pick):
            await asyncio.sleep(pick.uniform(*CALM_SECONDS))
            await self.copy_redis()
            await asyncio.sleep(pick.uniform(*CALM_SECONDS))


@asynccontextmanager
async def world(servers: Servers, directory: Path, name: str, seed: int) -> AsyncIterator[World]:
    """Make a world and wait until its workers are ready; when it ends it is taken away, unless something in it went wrong."""
    await servers.kill(servers.redis)
    await servers.replace_redis(None)
    await servers.start_redis()
    stream = Stream(seed)
    settings = settings_for(stream.settings_parts(), name, servers.direct)
    await ensure_topics(settings)
    async with AsyncExitStack() as open_here:
        feed = await open_here.enter_async_context(feeding(settings, stream))
        gauge = await open_here.enter_async_context(gauging(settings))
        crew = Crew(settings_for(stream.settings_parts(), name, servers.proxied), directory)
        open_here.push_async_callback(crew.stop)
        for _ in range(WORKERS):
            crew.add()
        await crew.ready(READY_SECONDS)
        made = World(directory, settings, servers, crew, feed, gauge)
        yield made
    if not made.violated:
        await delete_topics(settings)
        await asyncio.to_thread(shutil.rmtree, directory)


def settings_for(parts: dict[str, Any], name: str, addresses: Addresses) -> Settings:
    """Make the settings of a world, with the servers' addresses or the proxies'."""
    where = {"kafka": {**_KAFKA, "bootstrap_servers": addresses.bootstrap_servers}, "redis": {**_REDIS, "url": addresses.redis_url}}
    return isolated(settings_from({**parts, **where, "worker": _WORKER, "partitions": PARTITIONS}), name)
