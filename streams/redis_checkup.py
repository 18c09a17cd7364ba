"""What Redis says of itself, and what its user may do: for workers, and for whoever checks.

Invariant: nothing is changed, and one thing that fails hides no other. Neighbours: `checkup` and `diagnosis` ask here; `preflight`
is what a worker itself refuses.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from resolvers.birth import differences, fixed_at_birth
from resolvers.redis_rights import READING, missing_rights, rights
from streams.finding import Finding
from streams.graph import rules_of
from streams.redis_versions import holes_of, too_old
from streams.settings import Settings
from streams.settings.problems import without_password
from streams.settings.sections import MOST_BUCKETS

ANSWER_SECONDS = 5.0

SKEW_SECONDS = 5.0
"""So far may the clocks of a worker and of Redis be apart."""

CROWDED = 384
"""So many identifiers in a bucket are soon too many: over 512 Redis gives up its compact encoding, which takes 60 bytes more each."""

BEST = 128
"""With about so many identifiers in a bucket Redis is quick and its memory small."""

HOW_TO = "docs/how-to/secure.md has all rights that are needed"

_NO_ANSWER = (RedisError, OSError, TimeoutError)


@asynccontextmanager
async def _asking(settings: Settings) -> AsyncIterator[Redis]:
    client = Redis.from_url(settings.redis.url, socket_connect_timeout=ANSWER_SECONDS, socket_timeout=ANSWER_SECONDS)
    try:
        yield client
    finally:
        await client.aclose()


async def examine_redis(settings: Settings) -> list[Finding]:
    """Ask Redis whether it answers, what it is, how it is set, and what its user may do."""
    address = without_password(settings.redis.url)
    async with _asking(settings) as client:
        try:
            info: dict[str, Any] = await client.info()
        except NoPermissionError as error:
            found = [Finding("ok", "redis", f"{address} answers"), _unseen(error)]
        except _NO_ANSWER as error:
            return [_silent(address, error)]
        else:
            found = list(_told(address, info))
        return [*found, *await _rights(client, settings)]


def _unseen(error: Exception) -> Finding:
    text = f"INFO is not allowed ({error}): neither its version nor whether it keeps all keys can be seen; allow +info"
    return Finding("error", "redis version", text)


def _silent(address: str, error: Exception) -> Finding:
    if isinstance(error, AuthenticationError):
        return Finding("error", "redis", f"Redis at {address} does not let us in: {error}; check the user and the password")
    if isinstance(error, ResponseError):
        return Finding("error", "redis", f"Redis at {address} refuses: {error}")
    text = f"Redis at {address} does not answer: {error}; check redis.url, or start a local one with `nexus up`"
    return Finding("error", "redis", text)


def _told(address: str, info: dict[str, Any]) -> Iterator[Finding]:
    name, version = ("Valkey", info["valkey_version"]) if "valkey_version" in info else ("Redis", info.get("redis_version", "?"))
    yield Finding("ok", "redis", f"{address} answers, {name} {version}")
    yield from _version(name, str(version))
    yield from _kept(info)


def _version(name: str, version: str) -> Iterator[Finding]:
    if too_old(name, version):
        yield Finding("error", "redis version", f"{name} {version} can't run the scripts: use Redis 7.0 or newer, or Valkey")
    if holes := holes_of(name, version):
        said, wanted = holes
        yield Finding("warning", "redis security", f"{name} {version} has known holes: {said}: use {wanted} or newer")


def _kept(info: dict[str, Any]) -> Iterator[Finding]:
    policy = info.get("maxmemory_policy")
    if policy == "noeviction":
        yield Finding("ok", "redis maxmemory-policy", policy)
    else:
        yield Finding(
            "error", "redis maxmemory-policy", f"is {policy}: a full Redis would silently forget who is who; set it to noeviction"
        )
    if not info.get("aof_enabled"):
        yield Finding("warning", "redis appendonly", "is off: after a restart of Redis everything is replayed from the log; set it to yes")
    if info.get("mem_allocator") == "libc":
        text = "Redis was built with libc's: one with jemalloc, as in the images of Valkey and Redis, takes a third less time for the same"
        yield Finding("warning", "redis allocator", text)


async def _rights(client: Redis, settings: Settings) -> list[Finding]:
    base = f"nexus:{{{settings.space}}}"
    try:
        missing = await missing_rights(client, base)
    except NoPermissionError as error:
        text = f"a worker's scripts can't be run: {error}; allow +evalsha and +script|load on the keys {base} and {base}:*; {HOW_TO}"
        return [Finding("error", "redis rights", text)]
    except _NO_ANSWER as error:
        return [Finding("warning", "redis rights", f"can't be seen: {error}")]
    return _lacking(base, missing)


def _lacking(base: str, missing: list[str]) -> list[Finding]:
    needed = [name for name in missing if name != READING]
    if not missing:
        return [Finding("ok", "redis rights", f"all that are needed, on {base} and {base}:*")]
    if not needed:
        text = f"`nexus verify` and `nexus doctor --identifiers` can't read: allow +{READING}; workers do not need it"
        return [Finding("warning", "redis rights", text)]
    keyed = {name for name, words in rights(base).items() if f"{base}:rights" in words}
    what = f"its keys, {base} and {base}:*" if keyed <= set(missing) else " ".join(f"+{name}" for name in needed)
    return [Finding("error", "redis rights", f"a worker is not allowed {what}; {HOW_TO}")]


async def examine_space(settings: Settings) -> list[Finding]:
    """Look at what the space was made with, as a worker does that starts; at what it went through; and at Redis's clock."""
    base = f"nexus:{{{settings.space}}}"
    found: list[Finding] = []
    async with _asking(settings) as client:
        try:
            stored = cast("dict[bytes, bytes]", await client.hgetall(f"{base}:meta"))
            remains = not stored and await client.exists(f"{base}:codes")
        except (RedisConnectionError, RedisTimeoutError, OSError):
            return [Finding("warning", "space", "not looked at: Redis does not answer")]
        except RedisError as error:
            found.append(Finding("error", "space", f"can't be read: {error}"))
        else:
            meta = {name.decode(): value.decode() for name, value in stored.items()}
            found += _made(settings, meta, remains=bool(remains))
        found.append(await _clocks(client))
    return found


async def _clocks(client: Redis) -> Finding:
    try:
        seconds, micros = await client.time()
    except _NO_ANSWER as error:
        return Finding("warning", "clocks", f"can't be compared: {error}")
    skew = time.time() - (int(seconds) + int(micros) / 1e6)
    if abs(skew) > SKEW_SECONDS:
        ahead = "ahead of" if skew > 0 else "behind"
        text = f"this machine is {abs(skew):,.0f} s {ahead} Redis, by whose clock values of states lapse: let both follow a time server"
        return Finding("warning", "clocks", text)
    return Finding("ok", "clocks", f"this machine and Redis are {abs(skew):.1f} s apart")


def _crowded(nodes: int, buckets: int) -> Iterator[Finding]:
    if nodes > CROWDED * buckets and buckets < MOST_BUCKETS:
        wanted = min(MOST_BUCKETS, 1 << (nodes // BEST).bit_length())
        text = f"{nodes:,} identifiers lie in {buckets:,}: with over 512 in each, one takes longer to find and about 60 bytes more; "
        yield Finding("warning", "redis buckets", f"{text}rebuild the space with redis.buckets: {wanted}")


def _made(settings: Settings, meta: dict[str, str], *, remains: bool = False) -> Iterator[Finding]:
    if remains:
        text = f"{settings.space} was deleted in part: no worker starts; delete all keys that begin with nexus:{{{settings.space}}}"
        yield Finding("error", "space", text)
        return
    if not meta:
        yield Finding("warning", "space", f"{settings.space} is not in Redis yet: the first worker makes it")
        return
    wrong = differences(meta, fixed_at_birth(rules_of(settings), settings.partitions, settings.redis.buckets))
    for one in wrong:
        yield Finding("error", "space", f"no worker starts: {settings.space} was made with {one}")
    nodes = int(meta.get("nodes", 0))
    if not wrong:
        yield Finding("ok", "space", f"{settings.space} was made with these rules; it has {nodes:,} identifiers")
    yield from _crowded(nodes, int(meta.get("buckets", settings.redis.buckets)))
    if lost := int(meta.get("recoveries", 0)):
        text = f"has lost writes {lost} time{'' if lost == 1 else 's'} since the space was made, and was filled again from the log"
        yield Finding("warning", "redis writes", text)
