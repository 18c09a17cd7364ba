"""Reading Redis, for checking: every key of a space, in pieces, straight from the layout.

Invariant: nothing is written, and no script of the resolver is called. Neighbours: `dump` knows what the records mean.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

from redis.asyncio import Redis

from streams.verify.dump import Dump

PIECE = 200
"""Keys that are read in one go: about 100 records each."""


async def read_dump(redis: Redis, space: str) -> Dump:
    """Read a space as it is. Consistent only while nothing is applied or published."""
    dump = Dump()
    base = f"nexus:{{{space}}}:"
    dump.read("meta", "", await redis.hgetall(base + "meta"))  # the buckets' places need it before anything else
    async for keys in _pieces(redis, base):
        for key, content in zip(keys, await _contents(redis, keys), strict=True):
            kind, _, page = key.decode("utf-8", "surrogateescape").removeprefix(base).partition(":")  # notes are named by digests
            dump.read(kind, page, content)
    return dump


async def read_positions(redis: Redis, space: str, log: str = "events") -> dict[int, int]:
    """Read up to where each partition of a log is applied."""
    found = Dump()
    found.read("pos", "", await redis.hgetall(f"nexus:{{{space}}}:pos"))
    return {int(place.rpartition("/")[2]): offset for place, offset in found.positions.items() if place.startswith(log + "/")}


async def read_backlog(redis: Redis, space: str, shards: int) -> int:
    """Count output keys that are dirty or in flight, values that have lapsed, sweeps, walks, cases, and what is to be read again."""
    base = f"nexus:{{{space}}}:"
    async with redis.pipeline(transaction=False) as asked:
        for shard in range(shards):
            asked.hlen(f"{base}dirty:{shard}")
            asked.hlen(f"{base}inflight:{shard}")
            asked.zcount(f"{base}lapses:{shard}", "-inf", time.time_ns() // 1_000_000)
        for queue in ("sweepq", "walkq", "freshq"):
            asked.llen(f"{base}{queue}")
        asked.hlen(f"{base}rereads")
        asked.zcard(f"{base}due")
        return sum(await asked.execute())


async def _pieces(redis: Redis, base: str) -> AsyncIterator[list[bytes]]:
    keys: set[bytes] = set()
    pattern = base.replace("[", "\\[").replace("*", "\\*").replace("?", "\\?") + "*"
    async for key in redis.scan_iter(match=pattern, count=1_000):
        keys.add(key)  # a scan may give a key twice
    whole = sorted(keys)
    for at in range(0, len(whole), PIECE):
        yield whole[at : at + PIECE]


async def _contents(redis: Redis, keys: list[bytes]) -> list[Any]:
    async with redis.pipeline(transaction=False) as asked:
        for key in keys:
            asked.type(key)
        types = await asked.execute()
    async with redis.pipeline(transaction=False) as asked:
        for key, kind in zip(keys, types, strict=True):
            match kind:
                case b"hash":
                    asked.hgetall(key)
                case b"set":
                    asked.smembers(key)
                case b"zset":
                    asked.zrange(key, 0, -1)
                case b"list":
                    asked.lrange(key, 0, -1)
                case _:
                    asked.type(key)
        return list(await asked.execute())
