"""The present that all workers share: Redis's own clock, by which values of states lapse."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from resolvers.instant import write_instant
from resolvers.port import Resolver
from tests.contracts.conftest import opened
from tests.contracts.test_resolver_states import RULES, SHARDS
from tests.histories import batch, documents, event, person
from tests.telling import Topics, drain

FORTNIGHT = 14 * 86_400_000


@pytest.fixture(params=["redis"])
async def resolver(request: pytest.FixtureRequest) -> AsyncIterator[Resolver]:
    """Give a resolver that has no clock of its own."""
    async with opened(request, RULES, clock=None) as found:
        yield found


async def stage(resolver: Resolver, redis_url: str, ago: int, ahead: int | None = None) -> str:
    """Tell of a trial that began so many ms ago, with a present kept that is ahead of Redis's by some; gives its value as told."""
    redis: Redis = Redis.from_url(redis_url)
    (meta,) = [key async for key in redis.scan_iter(match="nexus:{contract-*}:meta")]
    if ahead is not None:
        await redis.hset(meta, "present", int(time.time() * 1000) + ahead)
    seen = event("e1", "9:00", person("user_id:u", states={"subscription": "trial"}), source="stripe")
    seen.occurred_at = write_instant(int(time.time() * 1000) - ago)
    await resolver.apply(batch([seen], rules=RULES))
    topics = Topics()
    await drain(resolver, topics, SHARDS)
    assert abs(int(await redis.hget(meta, "present") or 0) - time.time() * 1000) < 60_000
    await redis.aclose()
    (entity,) = [one for (topic, _), one in topics.documents.items() if topic == "entities"]
    value: str = entity["states"]["billing_subscription"]["value"]
    return value


async def test_a_value_lapses_by_the_clock_of_redis(resolver: Resolver, redis_url: str) -> None:
    assert await stage(resolver, redis_url, FORTNIGHT + 10_000) == "churned"
    (found,) = [one for (topic, _), one in (await documents(resolver)).items() if topic == "entities"]
    assert found["states"]["billing_subscription"]["value"] == "churned"


async def test_a_value_has_not_lapsed_before_its_time(resolver: Resolver, redis_url: str) -> None:
    assert await stage(resolver, redis_url, FORTNIGHT - 20_000) == "trial"


async def test_the_present_does_not_go_back_a_little(resolver: Resolver, redis_url: str) -> None:
    assert await stage(resolver, redis_url, FORTNIGHT - 20_000, 40_000) == "churned"


async def test_a_present_that_was_far_ahead_was_wrong(resolver: Resolver, redis_url: str) -> None:
    assert await stage(resolver, redis_url, FORTNIGHT - 20_000, 86_400_000) == "trial"
