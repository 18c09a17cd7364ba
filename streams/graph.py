"""The graph of a space, as the settings name it: for everything that asks it without being a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from streams.settings import Settings


def rules_of(settings: Settings) -> Rules:
    """Make the rules that the settings declare."""
    return Rules.from_settings(settings.entities, settings.digest_key, settings.states)


def graph_of(settings: Settings) -> RedisResolver:
    """Make the resolver of the settings' space; nothing is asked of Redis yet."""
    return RedisResolver(settings.redis.url, rules_of(settings), settings.space, settings.partitions, settings.redis.buckets, clock=None)


@asynccontextmanager
async def open_graph(settings: Settings, *, check: bool = True) -> AsyncIterator[RedisResolver]:
    """Open the space, creating it where there is none. Without `check` it is only connected to."""
    resolver = graph_of(settings)
    try:
        if check:
            await resolver.open()
        yield resolver
    finally:
        await resolver.close()
