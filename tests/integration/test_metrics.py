"""What a worker's Redis says of its memory, on a real Redis."""

from __future__ import annotations

import asyncio

import pytest

from streams.metrics.redis_memory import RedisMemory
from streams.stack.ports import free_ports

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]


async def test_redis_tells_its_memory_and_what_it_dropped(redis_url: str) -> None:
    memory = RedisMemory(redis_url, every_seconds=0.01)
    async with memory, asyncio.timeout(10):
        while not memory.value("evicted_keys"):  # noqa: ASYNC110 - the server answers when it does
            await asyncio.sleep(0.01)
        ((labels, used),) = memory.value("used_memory")
        assert labels == ()
        assert used > 100_000
        assert memory.value("maxmemory") == [((), 0.0)]
        assert memory.value("evicted_keys") == [((), 0.0)]


async def test_a_redis_that_does_not_answer_says_nothing() -> None:
    (port,) = free_ports(1)
    memory = RedisMemory(f"redis://127.0.0.1:{port}/0", every_seconds=0.01)
    async with memory:
        await asyncio.sleep(0.1)
        assert memory.value("used_memory") == []
