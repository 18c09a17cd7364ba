from __future__ import annotations

import pytest
from redis.asyncio import Redis

from streams.bench.machine import _allocator, this_machine

SERVER = "7f00 r-xp 00000000 fd:00 1 /usr/bin/valkey-server\n"
LOADED = "7f01 r-xp 00000000 fd:00 2 /usr/lib/x86_64-linux-gnu/libjemalloc.so.2\n"


@pytest.mark.parametrize(
    ("maps", "named"),
    [
        ("", "libc"),
        (SERVER, "libc"),
        (SERVER + LOADED, "libjemalloc.so.2 in place of libc"),
        (LOADED + "7f02 r-xp 00000000 fd:00 3 /usr/bin/nginx\n", "libc"),
    ],
)
def test_what_memory_is_taken_from(maps: str, named: str) -> None:
    assert _allocator("libc", maps) == named


async def test_a_machine_names_its_servers(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        machine = await this_machine("Apache Kafka", redis)
        built = (await redis.info("memory"))["mem_allocator"]
    assert machine.kafka == "Apache Kafka"
    assert built in machine.redis
