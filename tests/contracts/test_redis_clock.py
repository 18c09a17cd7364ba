"""The present that all workers share, by which values of states lapse: that of the events, and of Redis's own clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from resolvers.instant import write_instant
from resolvers.port import Resolver
from resolvers.scripts import Bounds
from resolvers.sighting import Batch, Position
from tests.contracts.conftest import opened
from tests.contracts.test_resolver_states import RULES, SHARDS
from tests.histories import batch, documents, event, person
from tests.telling import Topics, drain, publish

DAY = 86_400_000
FORTNIGHT = 14 * DAY


@pytest.fixture(params=["redis"])
async def resolver(request: pytest.FixtureRequest) -> AsyncIterator[Resolver]:
    """Give a resolver that has no clock of its own."""
    async with opened(request, RULES, clock=None, bounds=Bounds(idle_ms=0)) as found:
        yield found


@pytest.fixture(params=["redis"])
async def patient(request: pytest.FixtureRequest) -> AsyncIterator[Resolver]:
    """Give one for which time passes as events tell, until the test is over."""
    async with opened(request, RULES, clock=None, bounds=Bounds(idle_ms=600_000)) as found:
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


class Story:
    """Events of a few persons, long ago, applied in partitions and told."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._topics = Topics()
        self._offsets: dict[int, int] = {}

    async def applied(self, partition: int, who: str, day: int, subscription: str | None = None) -> None:
        """Apply what a person was seen with on a day."""
        states = {"subscription": subscription} if subscription else {}
        seen = event(f"{who}{day}", "9:00", person(f"user_id:{who}", states=states), source="stripe")
        seen.occurred_at = write_instant(day * DAY)
        at = self._offsets.get(partition, 0)
        self._offsets[partition] = at + 1
        await self._resolver.apply(Batch("events", partition, at, Position(at + 1), batch([seen], rules=RULES).evidence))

    async def told(self, who: str) -> str | None:
        """Tell what there is to be told; gives a person's subscription as the topic says."""
        for shard in range(SHARDS):
            await publish(self._resolver, self._topics, shard, 7)
        for (topic, _), one in self._topics.documents.items():
            if topic == "entities" and any(named["value"] == who for named in one.get("identifiers", ())):
                value: str = one["states"]["billing_subscription"]["value"]
                return value
        return None


async def test_a_backlog_tells_no_lapse_that_its_next_record_disproves(patient: Resolver) -> None:
    story = Story(patient)
    await story.applied(0, "a", 19_000, "trial")
    assert await story.told("a") == "trial"
    await story.applied(0, "b", 19_013)
    assert await story.told("a") == "trial", "thirteen days have passed"
    await story.applied(0, "b", 19_015)
    assert await story.told("a") == "churned", "and now a fortnight"


async def test_time_passes_no_further_than_the_partition_that_is_behind(patient: Resolver) -> None:
    story = Story(patient)
    await story.applied(0, "a", 19_000, "trial")
    await story.applied(1, "b", 19_500)
    assert await story.told("a") == "trial"
    await story.applied(0, "c", 19_500)
    assert await story.told("a") == "churned"


async def test_time_never_goes_back_and_never_before_the_clock(patient: Resolver) -> None:
    story = Story(patient)
    await story.applied(0, "a", 19_000, "trial")
    await story.applied(0, "b", 30_000)
    assert await story.told("a") == "churned", "an event from the future is not later than the clock"
    await story.applied(1, "c", 19_000, "trial")
    assert (await story.told("a"), await story.told("c")) == ("churned", "churned")


async def test_where_no_event_came_for_long_time_passes_by_the_clock(resolver: Resolver) -> None:
    story = Story(resolver)
    await story.applied(0, "a", 19_000, "trial")
    assert await story.told("a") == "churned"


async def test_what_is_applied_while_nothing_is_told_says_nothing_of_the_time(patient: Resolver) -> None:
    story = Story(patient)
    await patient.hold({("events", 0): 1})
    await story.applied(0, "a", 19_000, "trial")
    assert await story.told("a") == "churned"


async def test_a_shard_with_nothing_to_tell_leaves_the_time_to_the_events(patient: Resolver) -> None:
    story = Story(patient)
    assert await story.told("a") is None
    await story.applied(0, "a", 19_000, "trial")
    assert await story.told("a") == "trial", "a worker that starts looks for something to tell before it has read its log"


@pytest.fixture(params=["redis"])
async def hasty(request: pytest.FixtureRequest) -> AsyncIterator[Resolver]:
    """Give one for which time passes by the clock once nothing went on for a moment."""
    async with opened(request, RULES, clock=None, bounds=Bounds(idle_ms=500)) as found:
        yield found


async def test_a_source_that_only_tells_of_the_past_holds_nobodys_time_up(hasty: Resolver) -> None:
    story = Story(hasty)
    await story.applied(0, "a", 19_000, "trial")
    await story.applied(1, "old", 18_000)
    await asyncio.sleep(0.6)
    await story.applied(1, "old", 17_000)
    assert await story.told("a") == "churned"


async def test_a_time_from_the_future_counts_as_long_ago(patient: Resolver, redis_url: str) -> None:
    story = Story(patient)
    await story.applied(0, "a", 19_000, "trial")
    redis: Redis = Redis.from_url(redis_url)
    (tide,) = [key async for key in redis.scan_iter(match="nexus:{contract-*}:tide")]
    ahead = int(time.time() * 1000) + 6 * 3_600_000
    await redis.hset(tide, "0", f"{19_000 * DAY}:{ahead}:{ahead}")  # as a Redis wrote it whose clock was ahead, before it failed
    await redis.aclose()
    assert await story.told("a") == "churned"


async def test_an_answer_and_the_topics_have_one_present(patient: Resolver) -> None:
    story = Story(patient)
    await story.applied(0, "a", 19_000, "trial")
    assert await story.told("a") == "trial"
    (found,) = [one for (topic, _), one in (await documents(patient)).items() if topic == "entities"]
    assert found["states"]["billing_subscription"]["value"] == "trial"


async def test_a_recovery_forgets_how_far_the_events_had_come(patient: Resolver) -> None:
    story = Story(patient)
    await story.applied(0, "a", 19_000, "trial")
    await patient.hold({("events", 0): 2})
    await story.applied(0, "b", 19_001)
    assert await story.told("a") == "churned"
