"""Rights in Redis: what the user of a worker must be allowed, and what is missing.

Invariant: nothing is written, and only what a worker may do anyway is done to find out. Neighbours: the how-to on locking it has the same
list, for an ACL; `nexus doctor` says what is missing; `redis_refusals` tells of a right that is missed at work.
"""

from __future__ import annotations

from redis.asyncio import Redis

from resolvers.redis_rows import pack
from resolvers.scripts import Bounds, source_of

_KEYED = """
hget f | hset f v | hmget f | hdel f | hlen | hexists f | hkeys | hvals | hgetall | hincrby f 1 | hsetnx f v
sadd m | srem m | scard | smembers | sscan 0
zadd 1 m | zrem m | zcard | zcount 0 1 | zscore m | zrange 0 1 | zrangebyscore 0 1 | zremrangebyscore 0 1
lpush v | rpush v | lpop | lrange 0 1 | lrem 0 v | ltrim 0 1 | llen | lindex 0
exists | expire 1 | del | unlink | rename KEY
"""
"""The commands that a worker runs on keys of its space, each with what follows its key."""

READING = "type"
"""What only `nexus verify` and `nexus doctor --identifiers` need besides."""


def rights(base: str) -> dict[str, list[str]]:
    """Give every right that is needed, as an ACL names it, with a call that needs it; `base` is the space's base key."""
    key = f"{base}:rights"
    keyed = [words.split() for words in _KEYED.replace("\n", "|").split("|") if words.strip()]
    found = {name: [name, key, *(key if word == "KEY" else word for word in rest)] for name, *rest in keyed}
    found |= {"ping": ["ping"], "info": ["info"], "time": ["time"], "scan": ["scan", "0"], "script|load": ["script", "load", "return 1"]}
    return found | {"evalsha": ["evalsha", "0" * 40, "1", base], READING: [READING, key]}


async def missing_rights(redis: Redis, base: str) -> list[str]:
    """Name the rights that the connection's user lacks, as an ACL names them.

    Raises RedisError; NoPermissionError where not even scripts may be loaded and run.
    """
    needed = rights(base)
    script = redis.register_script(source_of("rights", Bounds()))
    _, *refused = await script(keys=[base], args=[pack(list(needed.values()))])
    return [list(needed)[index - 1] for index in refused]
