"""The worlds of the fault cases, in memory and in Redis, and a log that keeps quiet about thousands of crashes."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from uuid import uuid4

import pytest
import structlog
from redis.asyncio import Redis

from resolvers import redis_taking, scripts
from streams import patience, positions
from tests.faults.world import MemoryStore, RedisStore, World

SOURCE_OF = cache(scripts.source_of)
"""Reads each script once, not once for each of thousands of processes."""

MakeWorld = Callable[[], AbstractAsyncContextManager[World]]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no case wait: a worker looks whenever it is idle, tries again at once, and says nothing of it. Rounds take several calls."""
    monkeypatch.setattr(positions, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(patience, "FIRST_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(scripts, "source_of", SOURCE_OF)
    monkeypatch.setattr(redis_taking, "KEYS_AT_ONCE", 2)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@pytest.fixture(params=["memory", "redis"])
async def make_world(request: pytest.FixtureRequest) -> AsyncIterator[MakeWorld]:
    """Give what makes a world of its own for a case."""
    if request.param == "memory":
        yield lambda: dropping(World(MemoryStore()))
        return
    url = request.getfixturevalue("redis_url")
    async with Redis.from_url(url) as redis:
        yield lambda: dropping(World(RedisStore(url, f"faults-{uuid4().hex}", redis)))


@pytest.fixture
def thorough(request: pytest.FixtureRequest) -> bool:
    """Say whether there is time for thousands of cases."""
    return "memory" in request.node.name


@asynccontextmanager
async def dropping(world: World) -> AsyncIterator[World]:
    """Fill a world, and delete its graph in the end."""
    await world.fill()
    try:
        yield world
    finally:
        await world.store.drop()
