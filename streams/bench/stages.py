"""The stages under real workers: each alone on a topic that is full already, and all of them together.

Invariant: the topics are full before the workers start, so that a rate is what the workers can do. What is done is
asked of Kafka and of the resolver, as lag displays would.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.structs import TopicPartition

from resolvers.redis_graph import RedisResolver
from streams import kafka
from streams.bench.ground import Ground
from streams.bench.meters import Meters
from streams.bench.progress import State, growths_of, of_units, rate_of, watch
from streams.bench.report import Growth, Rate
from streams.crew import Worker
from streams.graph import open_graph
from streams.settings import Settings
from streams.topics import places_of


class Gauge:
    """Tells how far a site is; it knows the partitions, so that asking costs the broker little."""

    def __init__(
        self,
        settings: Settings,
        resolver: RedisResolver,
        admin: AIOKafkaAdminClient,
        consumer: AIOKafkaConsumer,
        raw: Sequence[TopicPartition],
        events: Sequence[TopicPartition],
    ) -> None:
        self.resolver = resolver
        self._settings = settings
        self._admin = admin
        self._consumer = consumer
        self._raw = list(raw)
        self._events = list(events)

    async def raw_total(self) -> int:
        """Count the source records that were written."""
        return sum((await self._consumer.end_offsets(self._raw)).values())

    async def events_total(self) -> int:
        """Count the events that were written."""
        return sum((await self._consumer.end_offsets(self._events)).values())

    async def adapted(self) -> int:
        """Count the source records whose events are acknowledged; none while the group is not known yet."""
        try:
            committed = await self._admin.list_consumer_group_offsets(kafka.group_id(self._settings, "adapt"), partitions=self._raw)
        except GroupCoordinatorNotAvailableError:
            return 0
        return sum(max(0, one.offset) for one in committed.values())

    async def resolved(self) -> int:
        """Count the events that are applied and whose participants are acknowledged; a batch or so late."""
        positions = await asyncio.gather(*(self.resolver.position("events", place.partition) for place in self._events))
        return sum(position.offset for position in positions)


@dataclass(frozen=True, slots=True)
class Shift:
    """Workers at work on a site, and what tells of them."""

    settings: Settings
    gauge: Gauge
    workers: Sequence[Worker]
    meters: Meters

    def check(self) -> None:
        """Raise WorkerFailed if a worker has ended."""
        for worker in self.workers:
            worker.check()


@dataclass(frozen=True, slots=True)
class Measured:
    """What watching a shift gave."""

    rate: Rate
    growth: Sequence[Growth]


@asynccontextmanager
async def gauging(settings: Settings) -> AsyncIterator[Gauge]:
    """Connect a gauge to a site whose topics exist."""
    admin = await kafka.started(kafka.admin(settings, what="gauge"), settings.kafka, "gauge")
    consumer = await kafka.started(kafka.consumer(settings, what="gauge"), settings.kafka, "gauge")
    try:
        async with open_graph(settings) as resolver:
            raw = await places_of(admin, [source.topic for source in settings.sources.values()])
            yield Gauge(settings, resolver, admin, consumer, raw, await places_of(admin, [settings.topic("events")]))
    finally:
        await consumer.stop()
        await admin.close()


@asynccontextmanager
async def shift(ground: Ground, settings: Settings, workers: int = 1) -> AsyncIterator[Shift]:
    """Let workers work on a site. They are not waited for: whoever watches from here on sees their first batch."""
    async with gauging(settings) as gauge:
        directory = ground.directory / settings.space
        started = [await Worker.start(settings, directory, f"worker-{number}") for number in range(1, workers + 1)]
        meters = Meters(ground.redis, [worker.process.pid for worker in started], ground.kafka_process)
        try:
            yield Shift(settings, gauge, started, meters)
        finally:
            await asyncio.gather(*(worker.stop() for worker in started))


async def adapt(ground: Ground, settings: Settings, name: str) -> Measured:
    """Measure the adapt stage alone, until the offsets of the raw topic's end are committed."""
    async with shift(ground, settings) as at_work:
        total = await at_work.gauge.raw_total()

        async def state() -> State:
            done = await at_work.gauge.adapted()
            return State(done, done > 0, done >= total)

        return await _measured(at_work, name, "records", total, state)


async def resolve(ground: Ground, settings: Settings) -> Measured:
    """Measure the resolve stage alone; the outbox fills meanwhile."""
    async with shift(ground, settings) as at_work:
        total = await at_work.gauge.events_total()

        async def state() -> State:
            done = await at_work.gauge.resolved()
            return State(done, done > 0, done >= total)

        return await _measured(at_work, "resolve", "events", total, state)


async def publish(ground: Ground, settings: Settings) -> Measured:
    """Measure the publish stage alone, on an outbox that holds everything: output keys told a second."""
    async with gauging(settings) as gauge:
        total = (await gauge.resolver.backlog()).dirty
    async with shift(ground, settings) as at_work:

        async def state() -> State:
            backlog = await at_work.gauge.resolver.backlog()
            return State(max(0, total - backlog.dirty), backlog.dirty < total, backlog.empty, (backlog,))

        return await _measured(at_work, "publish", "output keys", total, state)


async def resolve_and_publish(ground: Ground, settings: Settings) -> Measured:
    """Measure both in one worker, until the event log is told on the topics."""
    async with shift(ground, settings) as at_work:
        total = await at_work.gauge.events_total()

        async def state() -> State:
            done = await at_work.gauge.resolved()
            backlog = await at_work.gauge.resolver.backlog()
            return State(done, done > 0 or not backlog.empty, done >= total and backlog.empty, (backlog,))

        return await _measured(at_work, "resolve + publish", "events", total, state)


async def end_to_end(at_work: Shift, name: str) -> Measured:
    """Measure all stages, from source records until the last of them is told on the topics.

    What is resolved counts as done; where a record is not one event, as so many records as there are to an event in all.
    """
    total = await at_work.gauge.raw_total()

    async def state() -> State:
        adapted, resolved = await at_work.gauge.adapted(), await at_work.gauge.resolved()
        events = await at_work.gauge.events_total()
        backlog = await at_work.gauge.resolver.backlog()
        return State(resolved, adapted > 0, adapted >= total and resolved >= events and backlog.empty, (adapted, events, backlog))

    return await _measured(at_work, name, "records", total, state)


async def _measured(at_work: Shift, name: str, unit: str, total: int, state: Callable[[], Awaitable[State]]) -> Measured:
    looks = of_units(await watch(state, at_work.meters, at_work.check), total)
    lag = at_work.settings.worker.batch_records * at_work.settings.partitions
    return Measured(rate_of(name, unit, total, looks, at_work.meters.peak_mib()), growths_of(name, total, looks, lag))
