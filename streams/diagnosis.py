"""Diagnosis: what is wrong with a running pipeline, beside what the settings and the servers say by themselves.

Invariant: nothing is changed, and one thing that fails hides no other. Neighbours: `checkup` looks at settings and servers, `nexus doctor`
prints the findings of both.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from resolvers.errors import NexusError
from streams.checkup import ANSWER_SECONDS, Finding, examine, examine_outside
from streams.drain import Behind, measuring
from streams.graph import open_graph, rules_of
from streams.settings import Settings

SKEW_SECONDS = 5.0
"""So far may the clocks of a worker and of Redis be apart."""

MUCH = 100_000
"""Records between two stages that are worth a word."""


async def diagnose(settings: Settings) -> list[Finding]:
    """Look at the settings, at Kafka and Redis, and at the space: what it was made with, clocks, and how far its stages are."""
    found = [*examine(settings), *await examine_outside(settings)]
    if any(one.level == "error" and one.what in {"kafka", "redis"} for one in found):
        return found
    return [*found, *[one async for one in _space(settings)], *await _lag(settings)]


async def _space(settings: Settings) -> AsyncIterator[Finding]:
    client: Redis = Redis.from_url(settings.redis.url, socket_connect_timeout=ANSWER_SECONDS, socket_timeout=ANSWER_SECONDS)
    try:
        seconds, micros = await client.time()
        skew = time.time() - (int(seconds) + int(micros) / 1e6)
        stored = cast("dict[bytes, bytes]", await client.hgetall(f"nexus:{{{settings.space}}}:meta"))
        meta = {name.decode(): value.decode() for name, value in stored.items()}
    except (RedisError, OSError, TimeoutError) as error:
        yield Finding("error", "space", f"can't be read: {error}; see the how-to on locking it for the rights that are needed")
        return
    finally:
        await client.aclose()
    if abs(skew) > SKEW_SECONDS:
        ahead = "ahead of" if skew > 0 else "behind"
        text = f"this machine is {abs(skew):,.0f} s {ahead} Redis, by whose clock values of states lapse: let both follow a time server"
        yield Finding("warning", "clocks", text)
    else:
        yield Finding("ok", "clocks", f"this machine and Redis are {abs(skew):.1f} s apart")
    for one in _made(settings, meta):
        yield one


def _made(settings: Settings, meta: dict[str, str]) -> Iterator[Finding]:
    if not meta:
        yield Finding("warning", "space", f"{settings.space} is not in Redis yet: the first worker makes it")
        return
    wanted = {"rules": rules_of(settings).fingerprint, "buckets": str(settings.redis.buckets), "shards": str(settings.partitions)}
    other = sorted(name for name, value in wanted.items() if meta.get(name) != value)
    if other:
        text = (
            f"{settings.space} was made with other {', '.join(other)}: no worker starts; "
            "rebuild into a new space and promote that, or go back to the settings and the version that made it"
        )
        yield Finding("error", "space", text)
    else:
        yield Finding("ok", "space", f"{settings.space} was made with these rules; it has {int(meta.get('nodes', 0)):,} identifiers")
    if lost := int(meta.get("recoveries", 0)):
        text = f"has lost writes {lost} time{'' if lost == 1 else 's'} since the space was made, and was filled again from the log"
        yield Finding("warning", "redis writes", text)


async def _lag(settings: Settings) -> list[Finding]:
    try:
        async with open_graph(settings, check=False) as resolver, measuring(settings, resolver) as drain:
            behind = await drain.behind()
    except NexusError as error:
        return [Finding("warning", "lag", f"can't be measured: {error}")]
    return list(_behind(behind))


def _behind(behind: Behind) -> Iterator[Finding]:
    backlog = behind.backlog
    places = {"raw records to adapt": behind.raw, "events to resolve": behind.events, "output keys to tell": backlog.dirty}
    for what, count in places.items():
        if count > MUCH:
            yield Finding("warning", "lag", f"{count:,} {what}: start more workers, or look at what `nexus health` says of those that run")
    if backlog.recovering:
        yield Finding("warning", "recovery", f"{backlog.recovering} shards wait until what Redis lost is applied again")
    if all(count <= MUCH for count in places.values()):
        yield Finding("ok", "lag", ", ".join(f"{count:,} {what}" for what, count in places.items()))
