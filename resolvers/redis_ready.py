"""A glance at what there is to do in a space of Redis: a few lengths in one answer, since workers look many times a second.

Neighbours: `lua/records.lua` names the keys; the publish stage asks.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from redis.asyncio import Redis

from resolvers.port import Ready

_SWEEPS = ("sweepq", "walkq", "freshq", "carryq")


async def ready(redis: Redis, base: str, shards: Collection[int]) -> Ready:
    """Ask which queues of these shards hold something. Raises what the client does."""
    async with redis.pipeline(transaction=False) as pipe:
        for shard in shards:
            pipe.llen(f"{base}:queue:{shard}")
        pipe.exists(f"{base}:due")
        pipe.exists(*(f"{base}:{name}" for name in _SWEEPS))
        found: list[Any] = await pipe.execute(raise_on_error=False)
    for answer in found:
        if isinstance(answer, Exception):
            raise answer  # as it came: a pipeline's own would bury the word by which it is known, as BUSY
    *queued, cases, sweeps = found
    return Ready(frozenset(shard for shard, length in zip(shards, queued, strict=True) if length), bool(cases), bool(sweeps))
