"""Diagnosis: what is wrong with a running pipeline, beside what the settings and the servers say by themselves.

Invariant: nothing is changed, and one thing that fails hides no other. Neighbours: `checkup` looks at settings and servers,
`redis_checkup` at the space; `nexus doctor` prints all findings.
"""

from __future__ import annotations

from collections.abc import Iterator

from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from resolvers.errors import NexusError
from streams.checkup import examine, examine_outside
from streams.drain import Behind, measuring
from streams.finding import Finding
from streams.graph import open_graph
from streams.redis_checkup import examine_space
from streams.settings import Settings

MUCH = 100_000
"""Records between two stages that are worth a word."""


async def diagnose(settings: Settings) -> list[Finding]:
    """Look at the settings, at Kafka and Redis, and at the space: what it was made with, clocks, and how far its stages are.

    Each for itself: what does not answer leaves the rest to be looked at.
    """
    return [*examine(settings), *await examine_outside(settings), *await examine_space(settings), *await _lag(settings)]


async def _lag(settings: Settings) -> list[Finding]:
    once = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"connect_seconds": 0.0})})
    try:
        async with open_graph(once, check=False) as resolver, measuring(once, resolver) as drain:
            behind = await drain.behind()
    except (NexusError, RedisError, KafkaError, OSError) as error:
        return [Finding("warning", "lag", f"can't be measured: {error}")]
    return list(_behind(behind))


def _behind(behind: Behind) -> Iterator[Finding]:
    backlog = behind.backlog
    places = {
        "raw records to adapt": behind.raw,
        "events to resolve": behind.events,
        "commands to obey": behind.commands,
        "output keys to tell": backlog.dirty,
    }
    for what, count in places.items():
        if count > MUCH:
            yield Finding("warning", "lag", f"{count:,} {what}: start more workers, or look at what `nexus health` says of those that run")
    if backlog.recovering:
        yield Finding("warning", "recovery", f"{backlog.recovering} shards wait until what Redis lost is applied again")
    if all(count <= MUCH for count in places.values()):
        yield Finding("ok", "lag", ", ".join(f"{count:,} {what}" for what, count in places.items()))
