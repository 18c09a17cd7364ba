"""Sightings without Kafka: evidence applied to the graph in Redis call by call, for what an event costs as one entity grows.

Neighbours: `benchmarks/redis_cost.py` tells more stories, with memory and the cost of output keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from statistics import median

from redis.asyncio import Redis

from resolvers.evidence import evidence_of
from resolvers.instant import write_instant
from resolvers.port import Round
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.sighting import Batch, Evidence, Position
from streams.bench.meters import redis_calls, redis_cpu_seconds
from streams.bench.report import TENTHS, Growth, growth_of
from streams.events import Event, Identifier, Participant
from streams.settings import EntitySettings, IdentifierSettings

BIRTH_MS = 1_700_000_000_000
A_CALL = 200
"""Events of a call, twice as many as of the resolve stage's, as in all runs before: what a call costs once is a part of each event's."""

SHARDS = 6
ROUND_KEYS = 1_000
RULES = Rules.from_settings(
    {"person": EntitySettings(identifiers={kind: IdentifierSettings() for kind in ("user_id", "email", "device")}, size=10_000_000)},
    b"benchmark-key",
)


@dataclass(frozen=True, slots=True)
class Story:
    """A named row of events: the identifiers that event number i sees together."""

    name: str
    seen: Callable[[int], tuple[tuple[str, str], ...]]

    def evidence(self, events: int) -> Iterator[Evidence]:
        """Give the evidence of so many events, a second apart."""
        for number in range(events):
            participant = Participant("person", "", [Identifier(kind, value) for kind, value in self.seen(number)])
            moment = write_instant(BIRTH_MS + number * 1_000)
            yield evidence_of(RULES, Event(f"e{number}", "bench", "seen", moment, participants=[participant]))


REPEATED = Story(
    "four identifiers seen together, again and again",
    lambda _: (("user_id", "u"), ("email", "a@b.example"), ("device", "d"), ("device", "e")),
)
CHAIN = Story("a chain that becomes one entity", lambda number: (("email", f"e{number}"), ("email", f"e{number + 1}")))


async def grow(url: str, space: str, story: Story, events: int) -> list[Growth]:
    """Tell a story in a space of its own, which is deleted afterwards; what applying an event costs Redis, by tenths.

    A tenth costs what its middle call costs, so that a pause of the machine does not look like growth.
    """
    resolver = RedisResolver(url, RULES, space, SHARDS)
    redis = Redis.from_url(url)
    try:
        await resolver.open()
        evidence, cpu_us, calls = story.evidence(events), list[float](), list[float]()
        for part in range(TENTHS):
            first, end = events * part // TENTHS, events * (part + 1) // TENTHS
            costs = await _tell(redis, resolver, islice(evidence, end - first), first)
            cpu_us.append(median(cpu for cpu, _ in costs) * (end - first) * 1e6)
            calls.append(median(count for _, count in costs) * (end - first))
        return [growth_of(story.name, "CPU µs of Redis", events, cpu_us), growth_of(story.name, "calls of Redis", events, calls)]
    finally:
        await resolver.drop()
        await resolver.close()
        await redis.aclose()


async def _tell(redis: Redis, resolver: RedisResolver, evidence: Iterator[Evidence], offset: int) -> list[tuple[float, float]]:
    """Apply evidence in calls of one size; gives CPU seconds and calls per event of each.

    What became dirty is taken out after every call, as a publisher would: an outbox that only grows is not what is measured.
    """
    costs = []
    while chunk := tuple(islice(evidence, A_CALL)):
        cpu, calls = await redis_cpu_seconds(redis), await redis_calls(redis)
        await resolver.apply(Batch("events", 0, offset, Position(offset + len(chunk)), chunk))
        costs.append(((await redis_cpu_seconds(redis) - cpu) / len(chunk), (await redis_calls(redis) - calls) / len(chunk)))
        offset += len(chunk)
        await _take_out(resolver)
    return costs


async def _take_out(resolver: RedisResolver) -> None:
    for shard in range(SHARDS):
        while isinstance(taken := await resolver.take(shard, ROUND_KEYS, 0), Round):
            await resolver.keep(taken, b"")
            await resolver.finish(taken)
