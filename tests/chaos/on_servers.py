"""Faults of Kafka and Redis: killed and started again on the same data, on older data, on none, or full.

Neighbours: `faults` names them; `servers` kills and starts.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from redis.asyncio import Redis

from tests.chaos.scene import Scene

FULL_BYTES = 1024 * 1024
"""Below what an empty Redis takes, so that it refuses every write."""


async def kafka_killed(scene: Scene) -> None:
    """Kill Kafka, and start it again on its data."""
    servers = scene.world.servers
    await scene.hit("Kafka killed")
    await servers.kill(servers.kafka)
    await scene.moment(0, 2)
    await servers.start_kafka()


async def redis_killed(scene: Scene) -> None:
    """Kill Redis, and start it again on its append-only file."""
    servers = scene.world.servers
    await scene.hit("Redis killed")
    await servers.kill(servers.redis)
    await scene.moment(0, 2)
    await servers.start_redis()


async def redis_lost_seconds(scene: Scene) -> None:
    """Kill Redis, and start it as it was some seconds before."""
    before = await scene.world.copy_redis()
    lost = scene.pick.uniform(0.2, 4)
    await asyncio.sleep(lost)
    await _redis_restarted(scene, before, f"Redis as it was {lost:.1f} s before")


async def redis_old_snapshot(scene: Scene) -> None:
    """Kill Redis, and start it on a copy from an earlier round."""
    copy = scene.pick.choice(scene.world.older_copies())
    await _redis_restarted(scene, copy, f"Redis as of {copy.name}; the latest is {scene.world.copies[-1].name}")


async def redis_empty(scene: Scene) -> None:
    """Leave Redis with nothing: killed and started on no data, or emptied while it runs."""
    if scene.pick.choice([True, False]):
        await _redis_restarted(scene, None, "Redis killed and its data gone")
        return
    await scene.hit("Redis emptied while it runs")
    async with Redis.from_url(scene.world.servers.redis.url) as redis:
        await redis.flushall()


async def redis_full(scene: Scene) -> None:
    """Let Redis refuse writes for lack of memory for a while."""
    seconds = scene.pick.uniform(2, 6)
    await scene.hit(f"Redis full for {seconds:.1f} s")
    async with Redis.from_url(scene.world.servers.redis.url) as redis:
        await redis.config_set("maxmemory", FULL_BYTES)
        try:
            await asyncio.sleep(seconds)
        finally:
            await redis.config_set("maxmemory", 0)


async def _redis_restarted(scene: Scene, copy: Path | None, what: str) -> None:
    servers = scene.world.servers
    await scene.hit(what)
    await servers.kill(servers.redis)
    await servers.replace_redis(copy)
    await scene.moment(0, 1)
    await servers.start_redis()
