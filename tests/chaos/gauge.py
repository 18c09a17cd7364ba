"""The gauge: how far the pipeline is behind, asked of the servers directly, through all their failures.

Invariant: it only reads, so a Redis that was emptied stays empty until a worker finds out. Neighbours: `streams.drain`
measures; `faults` asks whether records are in flight, `rounds` waits until none is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from resolvers.errors import NexusError
from resolvers.port import Backlog, Resolver
from resolvers.sighting import Position
from streams.drain import Behind, Drain, measuring
from streams.settings import Settings

POLL_SECONDS = 0.1
MEASURE_SECONDS = 15.0
STILL = 3
"""So many measures in a row must find nothing."""


class Look:
    """Reads of a space's records in Redis what a measure asks; a resolver would make a space that is missing."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._base = f"nexus:{{{settings.space}}}"
        self._shards = range(settings.partitions)

    async def position(self, log: str, partition: int) -> Position:
        """Tell how far a log is applied."""
        stored = await self._redis.hget(f"{self._base}:pos", f"{log}/{partition}")
        return Position(int(cast("bytes", stored).split(b":")[0])) if stored else Position()

    async def backlog(self) -> Backlog:
        """Count what is not told."""
        dirty = [await self._redis.hlen(f"{self._base}:dirty:{shard}") for shard in self._shards]
        in_flight = [await self._redis.hlen(f"{self._base}:inflight:{shard}") for shard in self._shards]
        sweeps = sum([await self._redis.llen(f"{self._base}:{queue}") for queue in ("sweepq", "walkq", "freshq")])
        recovering, cases = await self._redis.hlen(f"{self._base}:recovery"), await self._redis.zcard(f"{self._base}:due")
        return Backlog(sum(dirty), sum(in_flight), sweeps, recovering, cases, await self._redis.hlen(f"{self._base}:rereads"))


class Gauge:
    """Measures one world. Made by `gauging`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open = AsyncExitStack()
        self._drain: Drain | None = None
        self.trouble = ""

    async def behind(self) -> Behind | None:
        """Measure once; None while a server does not answer, with the reason in `trouble`."""
        try:
            async with asyncio.timeout(MEASURE_SECONDS):
                self._drain = self._drain or await self._connected()
                return await self._drain.behind()
        except (NexusError, KafkaError, RedisError, OSError, TimeoutError) as error:
            self.trouble = " ".join(f"{type(error).__name__}: {error}".split())
            await self.close()
            return None

    async def in_flight(self, seconds: float) -> int | None:
        """Give how many records and output keys are under way, waiting so long for the first; None if that cannot be told."""
        loop = asyncio.get_running_loop()
        deadline, count = loop.time() + seconds, None
        while not count and loop.time() < deadline:
            behind = await self.behind()
            count = None if behind is None else _count(behind)
        return count

    async def drained(self, seconds: float) -> str | None:
        """Wait until nothing is behind; gives None then, else in words what still was after so many seconds."""
        loop = asyncio.get_running_loop()
        deadline, still = loop.time() + seconds, 0
        while still < STILL:
            behind = await self.behind()
            still = still + 1 if behind is not None and behind.nothing else 0
            if loop.time() > deadline and not still:
                return self.trouble if behind is None else str(behind)
            await asyncio.sleep(POLL_SECONDS)
        return None

    async def close(self) -> None:
        """Disconnect; the next measure connects again."""
        self._drain = None
        opened, self._open = self._open, AsyncExitStack()
        await opened.aclose()

    async def _connected(self) -> Drain:
        redis = Redis.from_url(self._settings.redis.url)
        self._open.push_async_callback(redis.aclose)
        return await self._open.enter_async_context(measuring(self._settings, cast("Resolver", Look(redis, self._settings))))


@asynccontextmanager
async def gauging(settings: Settings) -> AsyncIterator[Gauge]:
    """Connect to a world whose topics exist; `settings` are those with the servers' own addresses."""
    gauge = Gauge(settings)
    try:
        yield gauge
    finally:
        await gauge.close()


def _count(behind: Behind) -> int:
    return behind.raw + behind.events + behind.commands + behind.backlog.dirty + behind.backlog.in_flight
