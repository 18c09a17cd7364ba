"""Every implementation of the resolver's port, and Redis once more where nothing is retold inline and documents list little."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from resolvers.memory import MemoryResolver
from resolvers.port import Resolver
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.scripts import Bounds
from tests.histories import RULES

SHARDS = 2


@asynccontextmanager
async def opened(request: pytest.FixtureRequest, rules: Rules, shards: int = SHARDS, **chosen: Any) -> AsyncIterator[Resolver]:
    """Give the resolver that a fixture's parameter names, `memory` or `redis`, under some rules; gone afterwards. `chosen` is for Redis."""
    if request.param == "memory":
        yield MemoryResolver(rules, shards, **{name: value for name, value in chosen.items() if name == "clock"})
        return
    graph = RedisResolver(request.getfixturevalue("redis_url"), rules, f"contract-{uuid4().hex}", shards, 16, **chosen)
    await graph.open()
    yield graph
    await graph.drop()
    await graph.close()


@pytest.fixture(params=["memory", "redis", "redis, one at a time"])
async def resolver(request: pytest.FixtureRequest) -> AsyncIterator[Resolver]:
    """Give an open resolver of an empty space with two shards."""
    if request.param == "memory":
        yield MemoryResolver(RULES, SHARDS)
        return
    bounds = Bounds(inline=1, observed=1) if "," in request.param else Bounds()
    graph = RedisResolver(request.getfixturevalue("redis_url"), RULES, f"contract-{uuid4().hex}", SHARDS, 16, bounds)
    await graph.open()
    yield graph
    await graph.drop()
    await graph.close()


@pytest.fixture(params=["memory", "redis"])
async def short(request: pytest.FixtureRequest) -> AsyncIterator[Resolver]:
    """Give a resolver whose documents list three identifiers."""
    if request.param == "memory":
        yield MemoryResolver(RULES, SHARDS, listed=3)
        return
    graph = RedisResolver(request.getfixturevalue("redis_url"), RULES, f"contract-{uuid4().hex}", SHARDS, 16, Bounds(listed=3))
    await graph.open()
    yield graph
    await graph.drop()
    await graph.close()
