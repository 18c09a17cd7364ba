"""The ground that a run is made on: a Kafka and a Redis, topics and spaces of its own, filled and taken away again.

Invariant: whatever happens, a stack of our own is stopped and wiped, and on somebody else's all topics and spaces of
the run are deleted. Neighbours: every measurement takes a `Site` of its own from here.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka import AIOKafkaProducer
from redis.asyncio import Redis

from streams import kafka
from streams.bench.stream import SETTINGS
from streams.graph import graph_of
from streams.publishing import publish_records, source_named
from streams.run import clean_up, isolated
from streams.sender import Sender
from streams.settings import Settings, settings_from
from streams.stack import Addresses, LocalStack
from streams.stack.jars import kafka_version
from streams.stack.ports import free_ports
from streams.topics import ensure_topics

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Own:
    """Records of the user's own, for a source of their settings, that are measured in place of the benchmark's stream."""

    source: str
    file: Path


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a run is made, and the source that is measured. `kafka_process` is the broker's, None for one that somebody else runs."""

    settings: Settings
    directory: Path
    redis: Redis
    kafka_process: int | None
    kafka_name: str
    source: str = "product"
    sites: list[Settings] = field(default_factory=list)

    async def site(self, name: str, stages: Sequence[str], source: str = "", *, fresh_log: bool = False) -> Settings:
        """Make a space of its own, with topics; the event log is the run's, or a fresh one. Raw topics are always the run's."""
        run = self.settings
        prefix, source = f"{run.topics.prefix}{name}." if fresh_log else run.topics.prefix, source or self.source
        changed = {
            "space": f"{run.space}-{name}",
            "topics": run.topics.model_copy(update={"prefix": prefix}),
            "sources": {source: run.sources[source]},
        }
        settings = with_stages(run.model_copy(update=changed), stages)
        self.sites.append(settings)
        await ensure_topics(settings)
        return settings

    async def fill(self, source: str, records: Iterable[bytes]) -> int:
        """Write records to a source's raw topic; gives how many were acknowledged."""
        settings = self.settings
        sender = Sender(self._producer, settings.kafka.bootstrap_servers, settings.kafka.connect_seconds)
        await sender.start()
        try:
            return await publish_records(sender, settings.sources[source].topic, records, lambda *_: None)
        finally:
            await sender.stop()

    async def _producer(self) -> AIOKafkaProducer:
        return await kafka.started(kafka.producer(self.settings, what="fill"), self.settings.kafka, "fill")


@asynccontextmanager
async def ground(named: Settings, directory: Path, say: Say, own: Own | None = None) -> AsyncIterator[Ground]:
    """Give a ground at the addresses that the settings name, else on a stack of its own on free ports."""
    own_kafka, own_redis = "bootstrap_servers" not in named.kafka.model_fields_set, "url" not in named.redis.model_fields_set
    kafka_port, redis_port = free_ports(2)
    stack = LocalStack(directory / "stack", kafka_port, redis_port, None if own_redis else named.redis.url)
    try:
        if own_kafka:
            addresses = await asyncio.to_thread(stack.up, say)
        else:
            redis_url = await asyncio.to_thread(stack.up_redis, say)
            addresses = Addresses(named.kafka.bootstrap_servers, redis_url)
        process = next((part.pid for part in stack.status() if part.name == "kafka"), None) if own_kafka else None
        settings = _settings(named, addresses, own)
        source = own.source if own else "product"
        async with _cleaned(settings, source, directory, process, say, wiped=own_kafka and own_redis) as found:
            yield found
    finally:
        await asyncio.to_thread(stack.down, wipe=True)


@asynccontextmanager
async def _cleaned(
    settings: Settings, source: str, directory: Path, process: int | None, say: Say, *, wiped: bool
) -> AsyncIterator[Ground]:
    redis = Redis.from_url(settings.redis.url)
    name = f"Apache Kafka {kafka_version()}" if process else f"Kafka at {settings.kafka.bootstrap_servers}"
    made = Ground(settings, directory, redis, process, name, source)
    try:
        await ensure_topics(settings)
        yield made
    finally:
        await redis.aclose()
        if not wiped:
            for site in [*made.sites, settings]:
                await clean_up(site, lambda _: None)
            say(f"deleted topics {settings.topics.prefix}* and spaces {settings.space}*")


def _settings(named: Settings, addresses: Addresses, own: Own | None) -> Settings:
    """Lay the addresses, and unless the user's own records are measured the benchmark's entities and sources, over the settings."""
    streamed = settings_from(SETTINGS)
    benchmark = {"entities": streamed.entities, "sources": streamed.sources, "states": streamed.states}
    changed = {
        **({"sources": {own.source: source_named(named, own.source)}} if own else benchmark),
        "kafka": named.kafka.model_copy(update={"bootstrap_servers": addresses.bootstrap_servers}),
        "redis": named.redis.model_copy(update={"url": addresses.redis_url}),
        "worker": named.worker.model_copy(update={"admin_port": None}),  # which is one worker's
    }
    return isolated(named.model_copy(update=changed), f"bench-{secrets.token_hex(4)}")


def with_stages(settings: Settings, stages: Sequence[str]) -> Settings:
    """Give the same settings for a worker with these stages."""
    return settings.model_copy(update={"worker": settings.worker.model_copy(update={"stages": list(stages)})})


async def dropped(settings: Settings) -> None:
    """Delete the space of a site, so that the next measurement finds Redis as small as the first did."""
    graph = graph_of(settings)
    try:
        await graph.drop()
    finally:
        await graph.close()
