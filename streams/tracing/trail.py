"""The trail: for output keys that a traced event has just changed, the event's trace context, on its way from resolve to publish.

Invariant: it is best effort and lies beside the graph. Nothing of it is needed to tell anything; it holds digests and no
values, expires within minutes, and is bounded. Neighbours: `stages` writes and takes it; docs/reference/redis-layout.md has its place.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Protocol, TypeVar, cast

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from streams.tracing.context import TraceContext

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

FIELD_BYTES = 12
PAGE_SECONDS = 60
"""What is written within so long lies in one hash, which is dropped as a whole."""

KEPT_SECONDS = 3 * PAGE_SECONDS
MOST_FIELDS = 100_000
"""A hash that has as many takes no more: some ten megabytes."""

ANSWER_SECONDS = 1.0

EVENT = "event"
"""Said in the place of a topic's word: what follows names an event, by its source and id."""


class Trail(Protocol):
    """Where contexts wait for the rounds that tell of them."""

    async def leave(self, contexts: Mapping[tuple[str, str], TraceContext]) -> None:
        """Leave contexts by (topic's word, output key) or (`EVENT`, event); a later one replaces an earlier one."""

    async def follow(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], TraceContext]:
        """Give what was left, and forget it unless it is of an event: other shards may tell of that too."""

    async def close(self) -> None:
        """Give connections back."""


def event_key(source: str, event_id: str) -> tuple[str, str]:
    """Name an event in the trail."""
    return EVENT, f"{source}\x1f{event_id}"


class RedisTrail:
    """The trail of one space, in a hash a minute. An error is logged once a minute at most, and costs only traces."""

    def __init__(self, url: str, space: str, identity_key: bytes, clock: Callable[[], float] = time.time) -> None:
        """Keep the address; nothing is asked before it is used. `clock` gives epoch seconds."""
        self._base = f"nexus:{{{space}}}:trace:"
        self._digest_key = identity_key
        self._clock = clock
        once = Retry(NoBackoff(), 0)
        self._redis: Redis = Redis.from_url(url, socket_connect_timeout=ANSWER_SECONDS, socket_timeout=ANSWER_SECONDS, retry=once)
        self._full = -1
        self._complained = -1

    async def close(self) -> None:
        """Disconnect."""
        await self._redis.aclose()

    async def leave(self, contexts: Mapping[tuple[str, str], TraceContext]) -> None:
        """Leave contexts in the hash of this minute."""
        page = int(self._clock()) // PAGE_SECONDS
        if not contexts or page == self._full:
            return
        key = f"{self._base}{page}"
        asking = self._redis.pipeline(transaction=False)
        asking.hset(key, mapping={self._field(*name): context.packed for name, context in contexts.items()})
        asking.expire(key, KEPT_SECONDS)
        asking.hlen(key)
        _, _, count = await self._asked(asking.execute()) or (0, 0, 0)
        if count >= MOST_FIELDS:
            self._full = page
            log.warning("more records are traced than are followed to their entities; see tracing.ratio", most=MOST_FIELDS)

    async def follow(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], TraceContext]:
        """Look in the hashes of this minute and the one before, and of the next, since clocks differ."""
        page = int(self._clock()) // PAGE_SECONDS
        names = [f"{self._base}{one}" for one in (page - 1, page, page + 1)]
        asking = self._redis.pipeline(transaction=False)
        for name in names:
            asking.exists(name)
        there = [name for name, count in zip(names, await self._asked(asking.execute()) or (), strict=False) if count]
        if not there or not keys:
            return {}
        fields = {self._field(*key): key for key in keys}
        found: dict[tuple[str, str], TraceContext] = {}
        for name in there:
            values = await self._asked(cast("Awaitable[list[bytes | None]]", self._redis.hmget(name, list(fields))))
            here = {field: value for field, value in zip(fields, values or (), strict=False) if value is not None}
            found |= {fields[field]: TraceContext.unpacked(value) for field, value in here.items()}
            if done := [field for field in here if fields[field][0] != EVENT]:
                await self._asked(self._redis.hdel(name, *done))
        return found

    def _field(self, word: str, key: str) -> bytes:
        """Digest a name: keys may hold the values of identifiers, and erasing does not look here."""
        return blake2b(f"{word}\x1f{key}".encode("utf-8", "surrogatepass"), digest_size=FIELD_BYTES, key=self._digest_key).digest()

    async def _asked(self, question: Awaitable[Answer]) -> Answer | None:
        """Wait for an answer; None where there is none. It is a connection of its own, so nobody else waits behind it."""
        try:
            return await question
        except Exception as error:  # noqa: BLE001 - whatever it is, a trace must not fail the work
            page = int(self._clock()) // PAGE_SECONDS
            if page != self._complained:
                log.warning("redis does not take or give trace contexts; entities are told without them", error=repr(error))
            self._complained = page
            return None
