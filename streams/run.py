"""A bounded run: files in, everything that came out as files, nothing left behind.

The run has a space and topics of its own, real workers, and the same way of the data as production: workers are ready
before the first record is published, so resolution is a stream from the start.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aiokafka.structs import TopicPartition

from resolvers.errors import NexusError, SettingsError
from resolvers.redis_graph import RedisResolver
from streams import kafka
from streams.crew import Worker, crew
from streams.drain import Drain, measuring, stalled
from streams.dump import dump
from streams.graph import open_graph
from streams.publishing import publish_files
from streams.settings import Settings, write_settings
from streams.stack import LocalStack
from streams.topics import delete_topics, ensure_topics

if TYPE_CHECKING:
    from streams.verify import Report

STALLED_SECONDS = 60.0
"""A pipeline in which nothing moves for this long is stuck."""

LEAD_RECORDS = 2_000
"""Publishing waits while more records than this are on the way to the graph, so that a run streams instead of piling up."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is asked for. `sources` maps a source's name to its files; `keep` leaves topics and space in place."""

    sources: Mapping[str, Sequence[Path]]
    out: Path
    workers: int = 1
    keep: bool = False
    verify: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of a run. Times are seconds since publishing began."""

    records: int
    counts: Mapping[str, int]
    published_after: float
    first_entity_after: float | None
    drained_after: float
    space: str
    verified: Report | None = None

    @property
    def records_per_second(self) -> float:
        """Give source records per second from the first publish to the last output."""
        return self.records / max(self.drained_after, 1e-9)


async def bounded_run(settings: Settings, plan: Plan, say: Say) -> Summary:
    """Run the plan to its end. Raises NexusError when a worker ends or the pipeline stalls; cleans up in any case."""
    for name in plan.sources:
        if name not in settings.sources:
            raise SettingsError(f"--source {name}: the settings have no such source; they have {', '.join(settings.sources) or 'none'}")
    directory = plan.out / "workers"
    await asyncio.to_thread(_make, directory)
    settings = isolated(await with_addresses(settings, say), f"run-{secrets.token_hex(4)}")
    say(f"space {settings.space}, topics {settings.topics.prefix}*, {settings.partitions} partitions, {plan.workers} worker(s)")
    try:
        await ensure_topics(settings)
        async with open_graph(settings) as resolver:
            summary = await _run(settings, plan, resolver, directory, say)
    finally:
        if not plan.keep:
            await clean_up(settings, say)
    if plan.keep:
        kept = plan.out / "nexus.yaml"
        write_settings(settings, kept)
        say(f"kept; look around with --config {kept}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    return summary


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NexusError(f"the folder {directory} cannot be made: {error.strerror or error}") from error


async def with_addresses(settings: Settings, say: Say) -> Settings:
    """Fill in the addresses of the local stack where the settings name none, starting it if need be."""
    named = "bootstrap_servers" in settings.kafka.model_fields_set, "url" in settings.redis.model_fields_set
    if all(named):
        return settings
    addresses = await asyncio.to_thread(LocalStack.from_settings(settings).up, say)
    changed = {
        "kafka": settings.kafka if named[0] else settings.kafka.model_copy(update={"bootstrap_servers": addresses.bootstrap_servers}),
        "redis": settings.redis if named[1] else settings.redis.model_copy(update={"url": addresses.redis_url}),
    }
    return settings.model_copy(update=changed)


def isolated(settings: Settings, name: str) -> Settings:
    """Give the same settings a space and topics of their own, raw topics too."""
    prefix = f"{settings.topics.prefix}{name}."
    sources = {key: source.model_copy(update={"topic": f"{prefix}{source.topic}"}) for key, source in settings.sources.items()}
    return settings.model_copy(update={"space": name, "topics": settings.topics.model_copy(update={"prefix": prefix}), "sources": sources})


async def _run(settings: Settings, plan: Plan, resolver: RedisResolver, directory: Path, say: Say) -> Summary:
    async with crew(settings, directory, plan.workers) as workers, measuring(settings, resolver) as drain, _watching(workers):

        async def pace() -> None:
            await drain.keep_up(LEAD_RECORDS, STALLED_SECONDS, lambda _: _check(workers))

        begin = time.monotonic()
        first = asyncio.create_task(_first_entity(settings, begin))
        records = sum([await publish_files(settings, name, files, show_progress=True, pace=pace) for name, files in plan.sources.items()])
        published = time.monotonic() - begin
        say(f"published {records:,} records in {published:.1f} s")
        await _drained(drain, workers)
        drained = time.monotonic() - begin
        first_after = await _result(first)
    report = None
    if plan.verify:
        from streams.verifying import verified  # noqa: PLC0415 - only runs that ask for it pay for it

        say("verifying")
        report = await verified(settings)
    counts = await dump(settings, plan.out)
    return Summary(records, counts, published, first_after, drained, settings.space, report)


async def _drained(drain: Drain, workers: Sequence[Worker]) -> None:
    behind = await drain.wait(STALLED_SECONDS, lambda _: _check(workers))
    if not behind.nothing:
        raise stalled(behind, STALLED_SECONDS)


def _check(workers: Sequence[Worker]) -> None:
    for worker in workers:
        worker.check()


@asynccontextmanager
async def _watching(workers: Sequence[Worker]) -> AsyncIterator[None]:
    """Keep the log files when something goes wrong, and say where they are."""
    try:
        yield
    except NexusError:
        raise
    except Exception as error:
        raise NexusError(f"the run failed: {error!r}; the workers' logs are {', '.join(str(worker.log) for worker in workers)}") from error


async def _first_entity(settings: Settings, begin: float) -> float:
    """Give the seconds until a read_committed consumer holds the first entity."""
    topic = settings.topic("entities")
    consumer = await kafka.started(kafka.consumer(settings, what="first"), settings.kafka, "first")
    try:
        places = [TopicPartition(topic, partition) for partition in range(settings.partitions)]
        consumer.assign(places)
        for place in places:
            consumer.seek(place, 0)
        while not await consumer.getmany(timeout_ms=200):
            pass
        return time.monotonic() - begin
    finally:
        await consumer.stop()


async def _result(task: asyncio.Task[float]) -> float | None:
    """Give a task's result if it has one by now; a run without any entity never has."""
    done, _ = await asyncio.wait([task], timeout=1.0)
    if done:
        return task.result()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return None


async def clean_up(settings: Settings, say: Say) -> None:
    """Delete the run's topics and space; Kafka lets its empty groups expire."""
    deleted = await delete_topics(settings)
    async with open_graph(settings, check=False) as resolver:
        await resolver.drop()
    say(f"deleted {len(deleted)} topics and space {settings.space}")
