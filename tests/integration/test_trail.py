"""The trail on a real Redis: what is left is found once, expires, is bounded, and an error costs only traces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from streams.stack.ports import free_ports
from streams.tracing import trail as trail_module
from streams.tracing.trail import KEPT_SECONDS, PAGE_SECONDS, RedisTrail, event_key
from tests.spans import context

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

ENTITY, IDENTIFIER, EVENT = ("entities", "per_a"), ("identifiers", "person:email:ann@quill.example"), event_key("crm", "e1")


class Minutes:
    """A clock that stands until it is set; seconds since the epoch."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Trodden:
    """A trail of a space of its own, with its clock and a look at Redis."""

    def __init__(self, url: str) -> None:
        self.space = f"trail{uuid4().hex[:8]}"
        self.clock = Minutes()
        self.trail = RedisTrail(url, self.space, b"key", self.clock)
        self.redis: Redis = Redis.from_url(url)

    async def keys(self) -> list[bytes]:
        return sorted([key async for key in self.redis.scan_iter(match=f"nexus:{{{self.space}}}:*")])


@pytest.fixture
async def trodden(redis_url: str) -> AsyncIterator[Trodden]:
    made = Trodden(redis_url)
    yield made
    await made.trail.close()
    if keys := await made.keys():
        await made.redis.unlink(*keys)
    await made.redis.aclose()


async def test_a_context_is_found_once_and_that_of_an_event_again(trodden: Trodden) -> None:
    trail = trodden.trail
    await trail.leave({ENTITY: context(1), EVENT: context(1)})
    await trail.leave({ENTITY: context(2), IDENTIFIER: context(2, flags=3)})
    asked = [ENTITY, IDENTIFIER, EVENT, ("entities", "per_b")]
    assert await trail.follow(asked) == {ENTITY: context(2), IDENTIFIER: context(2, flags=3), EVENT: context(1)}
    assert await trail.follow(asked) == {EVENT: context(1)}


async def test_it_is_found_in_the_next_minute_and_by_a_clock_that_is_behind_and_expires(trodden: Trodden) -> None:
    await trodden.trail.leave({EVENT: context(1)})
    (key,) = await trodden.keys()
    assert 0 < await trodden.redis.ttl(key) <= KEPT_SECONDS
    for minutes, there in ((1, True), (-1, True), (2, False), (-2, False)):
        trodden.clock.now = 1_700_000_000.0 + minutes * PAGE_SECONDS
        assert (await trodden.trail.follow([EVENT]) != {}) is there


async def test_keys_lie_as_digests(trodden: Trodden) -> None:
    await trodden.trail.leave({IDENTIFIER: context(1)})
    (key,) = await trodden.keys()
    ((field, value),) = (await trodden.redis.hgetall(key)).items()
    assert (len(field), value) == (12, context(1).packed)
    assert b"ann" not in field


async def test_a_minute_takes_no_more_than_so_many(trodden: Trodden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail_module, "MOST_FIELDS", 2)
    with capture_logs() as logs:
        for number in range(5):
            await trodden.trail.leave({("entities", f"per_{number}"): context(number)})
    (key,) = await trodden.keys()
    assert await trodden.redis.hlen(key) == 2
    assert len(logs) == 1
    trodden.clock.now += PAGE_SECONDS
    await trodden.trail.leave({ENTITY: context(9)})
    assert await trodden.trail.follow([ENTITY]) == {ENTITY: context(9)}


async def test_a_redis_that_does_not_answer_costs_only_traces_and_is_said_once() -> None:
    (port,) = free_ports(1)
    trail = RedisTrail(f"redis://127.0.0.1:{port}/0", "default", b"key")
    with capture_logs() as logs:
        await trail.leave({ENTITY: context(1)})
        assert await trail.follow([ENTITY]) == {}
    await trail.close()
    assert [one["log_level"] for one in logs] == ["warning"]


async def test_a_redis_that_refuses_costs_only_traces(trodden: Trodden) -> None:
    await trodden.trail.leave({EVENT: context(1)})
    (key,) = await trodden.keys()
    await trodden.redis.delete(key)
    await trodden.redis.set(key, "no hash")
    with capture_logs() as logs:
        await trodden.trail.leave({EVENT: context(1)})
        assert await trodden.trail.follow([EVENT]) == {}
    assert len(logs) == 1
