"""The application: the one place that wires settings, resolver, stages, sources and agents together.

Invariant: Faust starts, supervises and stops everything, but decides nothing about delivery: each stage's source
owns its consumer and positions. Neighbours: `nexus worker` and `streams.worker` run what `create_app` gives.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial, update_wrapper
from typing import Any

import faust
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from mode import Service, get_logger

from resolvers.hiding import hiding
from resolvers.port import Resolver
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from streams import kafka
from streams.adapt import AdaptStage, RawSource, priorities_of
from streams.adapters import build_adapter
from streams.admin import AdminServer
from streams.batch import JobChannel, handle
from streams.commands import CommandStage
from streams.counters import Counters
from streams.dead_letters import count_dead_letters, now_ms
from streams.faust_options import NoWeb, faust_options
from streams.health import Health
from streams.lookout import KafkaAnswers, Lookout
from streams.metrics.exposition import Exposition
from streams.metrics.gauges import Gauges, closed_by
from streams.metrics.redis_memory import RedisMemory
from streams.metrics.stages import measured
from streams.positions import AppliedPositions, CommittedPositions, Positions
from streams.preflight import prepare
from streams.publish import ShardPublisher, Telling
from streams.recovery import Recovery, log_ends
from streams.rereading import Rereading
from streams.resolve import ResolveStage
from streams.sender import Sender
from streams.settings import Settings
from streams.shards import CommittedRounds, ShardSource, take_turn
from streams.source import Deadline, Source
from streams.told import ToldTopics
from streams.topics import largest_event_bytes
from streams.tracing.tracing import tracing_of

log = structlog.get_logger(__name__)

Clock = Callable[[], int]
"""Gives epoch milliseconds."""

MOST_AT_ONCE = 16
"""Most jobs of one stage that a worker handles at once; more only wait for each other."""

SUMMARY_SECONDS = 60.0
REVOKE_SHARE = 0.5
"""Part of the session timeout that a rebalance may wait for work in progress."""


class NexusApp(faust.App):
    """A Faust app that waits for its surroundings before it starts, and bounds how long it takes to stop."""

    BootStrategy = NoWeb
    mundane_level = "debug"
    logger = get_logger("faust.nexus")

    def __init__(self, settings: Settings, rules: Rules, resolver: Resolver, counters: Counters, drain: Deadline, **options: Any) -> None:  # noqa: ANN401
        self.nexus_settings = settings
        self.resolver = resolver
        self.counters = counters
        self.drain = drain
        worker = settings.worker
        self.health = Health(time.monotonic, worker.stuck_seconds)
        self.kafka_answers = KafkaAnswers(settings)
        self.tracing = tracing_of(settings)
        self.redis_memory = RedisMemory(settings.redis.url)
        self.gauges = Gauges(settings, rules.fingerprint, self.health, self.redis_memory, now_ms)
        self.exposition = Exposition(counters, self.gauges.all(), closed_by(settings))
        self.admin = AdminServer(self.health, self.exposition.text, worker.admin_host, worker.admin_port) if worker.admin_port else None
        super().__init__(kafka.group_id(settings, "worker"), **options)

    async def on_first_start(self) -> None:
        """Wait for Kafka and Redis, make missing topics, open the space; first say whether ids can be computed by everyone."""
        if self.nexus_settings.uses_development_key:
            log.warning("identity_key is the key for trying out, which everyone knows: set it before the first event of production")
        if self.admin is not None:
            await self.admin.start()
        await prepare(self.nexus_settings, self.resolver, self.health)
        await super().on_first_start()

    async def on_started(self) -> None:
        """Say that everything has begun."""
        await super().on_started()
        self.health.started()

    async def on_stop(self) -> None:
        """Start the clock of the drain; the sources stop next, each finishing what it began."""
        self.health.stopping()
        self.drain.remaining()
        await super().on_stop()

    async def on_shutdown(self) -> None:
        """Give the resolver's connections back, after everything that used them has stopped."""
        await self.resolver.close()
        await self.kafka_answers.close()
        await self.tracing.close()
        await super().on_shutdown()
        if self.admin is not None:
            await self.admin.stop()


class Writing(Service):
    """Holds the sender that the stages share; started before the sources and stopped after them."""

    mundane_level = "debug"

    def __init__(self, sender: Sender, **kwargs: Any) -> None:  # noqa: ANN401 - mode's own
        super().__init__(**kwargs)
        self._sender = sender

    async def on_start(self) -> None:
        """Connect."""
        await self._sender.start()

    async def on_stop(self) -> None:
        """Disconnect."""
        await self._sender.stop()


class Wiring:
    """What the stages of one worker share while they are put together."""

    def __init__(self, app: NexusApp, rules: Rules, clock: Clock) -> None:
        self.app = app
        self.settings = app.nexus_settings
        self.rules = rules
        self.clock = clock
        self.dirty = asyncio.Event()
        self.sender = Sender(
            partial(make_producer, self.settings), self.settings.kafka.bootstrap_servers, self.settings.kafka.connect_seconds, app.health
        )
        self.revoke_seconds = self.settings.worker.session_timeout_ms / 1000 * REVOKE_SHARE
        self.redis_seconds = self.settings.redis.connect_seconds
        self.at_once = min(self.settings.partitions, MOST_AT_ONCE)
        self.outside_seconds = max(self.redis_seconds, self.settings.kafka.connect_seconds)
        self.told = ToldTopics(self.settings, app.resolver, self.outside_seconds, app.health.stage("publish").progressed)
        begun = partial(app.counters.add, "recoveries")
        self.recovery = Recovery(app.resolver, partial(log_ends, self.settings), self.told, self.outside_seconds, begun)

    def agent(self, name: str, handler: Callable[[Any], Awaitable[Any]]) -> JobChannel:
        """Start an agent over a channel of its own; gives the channel."""
        watch = self.app.health.stage(name)
        channel = JobChannel(self.app, watch=watch)
        measuring = measured(name, handler, self.app.counters, self.clock)
        function = update_wrapper(partial(handle, measuring, watch=watch), handle)
        self.app.agent(channel, name=f"{self.app.conf.id}.{name}", concurrency=self.at_once)(function)
        return channel

    def source(self, name: str, topics: Sequence[str], positions: Positions, stage: Callable[[Any], Awaitable[Any]]) -> Source:
        """Add a source of batches and the agent that handles them."""
        worker = self.settings.worker
        service = Source(
            topics,
            positions,
            self.agent(name, stage),
            partial(make_consumer, self.settings, name),
            self.app.drain,
            batch_records=worker.batch_records,
            poll_ms=worker.poll_ms,
            patience_seconds=self.revoke_seconds,
            rebalanced=partial(self.app.counters.add, "rebalances", name),
            clock=self.clock,
        )
        self.app.health.holding(name, lambda: service.places)
        self.app.gauges.reading(name, service.heads)
        self.app.service(service)  # type: ignore[arg-type]
        return service

    def dead_letters(self) -> str:
        """Name the topic of dead letters."""
        return self.settings.topic("dead-letters")


def create_app(settings: Settings, *, resolver: Resolver | None = None, clock: Clock = now_ms) -> NexusApp:
    """Make the app of one worker with the stages that the settings name. Nothing is asked of Kafka or Redis yet.

    Without a `resolver` the graph is in the Redis of the settings. Raises SettingsError.
    """
    rules = Rules.from_settings(settings.entities, settings.digest_key, settings.states)
    counters = Counters()
    if resolver is None:
        fixed = (settings.space, settings.partitions, settings.redis.buckets)
        resolver = RedisResolver(settings.redis.url, rules, *fixed, clock=None, timing=partial(time_script, counters))
    app = NexusApp(settings, rules, resolver, counters, Deadline(settings.worker.drain_seconds), **faust_options(settings))
    wiring = Wiring(app, rules, clock)
    add_counting(wiring)
    if app.admin is not None:
        app.service(app.redis_memory)  # type: ignore[arg-type]
    app.service(Writing(wiring.sender))  # type: ignore[arg-type]
    asks = {"asking for its brokers": app.kafka_answers, "asking for a position": partial(resolver.position, "events", 0)}
    app.service(Lookout(app.health, asks))  # type: ignore[arg-type]
    stages = {"publish": add_publish, "resolve": add_resolve, "adapt": add_adapt}
    for name, add in stages.items():
        if name in settings.worker.stages:
            add(wiring)
    return app


def time_script(counters: Counters, command: str, seconds: float) -> None:
    """Count what a call of a script took."""
    counters.observe("script_seconds", command, value=seconds)


def add_counting(wiring: Wiring) -> None:
    """Count dead letters as they arrive on their topic, and log what the worker has counted now and then."""
    app, arrived = wiring.app, Counters()
    topic = app.topic(
        wiring.dead_letters(), key_type=bytes, key_serializer="raw", value_type=bytes, value_serializer="raw", allow_empty=True
    )
    known = {*wiring.settings.sources, "events", "commands"}
    function = update_wrapper(partial(count_dead_letters, arrived, known), count_dead_letters)
    app.agent(topic, name=f"{app.conf.id}.dead-letters")(function)

    @app.timer(SUMMARY_SECONDS)  # type: ignore[untyped-decorator]
    async def summary() -> None:
        log.info("counted since the start", **app.counters.snapshot())
        if reasons := arrived.reasons():
            log.info("dead letters", arrived=[(source, kind, count) for (source, kind), count in list(reasons.items())[:10]])


def add_adapt(wiring: Wiring) -> None:
    """Add the stage from raw topics to the event log."""
    settings = wiring.settings
    if not settings.sources:
        return
    sources = {
        source.topic: RawSource(name, source.adapter, build_adapter(name, source, settings.times, settings.own_domains))
        for name, source in settings.sources.items()
    }
    stage = AdaptStage(
        sources,
        priorities_of(settings.entities),
        wiring.sender,
        wiring.app.counters,
        wiring.clock,
        events_topic=settings.topic("events"),
        dead_letters_topic=wiring.dead_letters(),
        largest_bytes=largest_event_bytes(settings),
        traces=wiring.app.tracing.adapt,
    )
    wiring.source("adapt", list(sources), CommittedPositions(settings.kafka.connect_seconds), stage)


def add_resolve(wiring: Wiring) -> None:
    """Add the stages from the event log and the commands to the graph."""
    settings, app = wiring.settings, wiring.app
    applied = AppliedPositions(app.resolver, "commands", wiring.recovery, wiring.redis_seconds, app.health)
    commands = CommandStage(
        wiring.rules,
        app.resolver,
        applied,
        wiring.sender,
        app.counters,
        wiring.clock,
        wiring.dirty,
        dead_letters_topic=wiring.dead_letters(),
        patience_seconds=wiring.redis_seconds,
        trouble=app.health,
    )
    wiring.source("commands", [settings.topic("commands")], applied, commands)
    positions = AppliedPositions(app.resolver, "events", wiring.recovery, wiring.redis_seconds, app.health)
    stage = ResolveStage(
        wiring.rules,
        app.resolver,
        positions,
        wiring.sender,
        app.counters,
        wiring.clock,
        wiring.dirty,
        participants_topic=settings.topic("participants"),
        dead_letters_topic=wiring.dead_letters(),
        patience_seconds=wiring.redis_seconds,
        sources=settings.sources,
        trouble=app.health,
        traces=app.tracing.resolve,
    )
    source = wiring.source("resolve", [settings.topic("events")], positions, stage)
    rereading = Rereading(
        wiring.rules,
        app.resolver,
        partial(make_reader, settings, "reread"),
        wiring.sender,
        app.counters,
        wiring.dirty,
        lambda: source.places,
        events_topic=settings.topic("events"),
        participants_topic=settings.topic("participants"),
        patience_seconds=wiring.outside_seconds,
        trouble=app.health,
    )
    app.service(rereading)  # type: ignore[arg-type]


def add_publish(wiring: Wiring) -> None:
    """Add the stage from the graph's outbox to the output topics."""
    settings, app = wiring.settings, wiring.app
    telling = Telling(
        {word: settings.topic(word) for word in ("entities", "identifiers", "memberships", "timeline")},
        settings.outputs.tombstones,
        settings.worker.round_keys,
        settings.kafka.transaction_timeout_ms / 1000,
        hiding(wiring.rules),
    )
    group, patience_seconds = kafka.group_id(settings, "rounds"), settings.kafka.connect_seconds
    rounds = CommittedRounds(
        partial(make_consumer, settings, "rounds"), settings.topic("entities"), group, wiring.told.last_version, patience_seconds
    )
    producer = partial(make_transactional_producer, settings)

    def publisher(shard: int) -> ShardPublisher:
        return ShardPublisher(
            shard, app.resolver, telling, rounds, wiring.recovery, producer, app.counters, wiring.clock, traces=app.tracing.publish
        )

    service = ShardSource(
        settings.topic("entities"),
        app.resolver,
        wiring.agent("publish", take_turn),
        partial(make_consumer, settings, "publish"),
        publisher,
        rounds,
        app.drain,
        wiring.dirty,
        revoke_seconds=wiring.revoke_seconds,
        patience_seconds=wiring.outside_seconds,
        trouble=app.health,
        recovering=app.health.recovering,
        waiting=app.gauges.backlog,
        rebalanced=partial(app.counters.add, "rebalances", "publish"),
    )
    app.health.holding("publish", lambda: service.places)
    app.service(service)  # type: ignore[arg-type]


async def make_consumer(settings: Settings, stage: str) -> AIOKafkaConsumer:
    """Give a started consumer in a stage's group."""
    return await kafka.started(kafka.consumer(settings, what=stage, group=kafka.group_id(settings, stage)), settings.kafka, stage)


async def make_reader(settings: Settings, what: str) -> AIOKafkaConsumer:
    """Give a started consumer without a group, and so without positions in Kafka."""
    return await kafka.started(kafka.consumer(settings, what=what), settings.kafka, what)


async def make_producer(settings: Settings) -> AIOKafkaProducer:
    """Give a started idempotent producer."""
    return await kafka.started(kafka.producer(settings, what="writer"), settings.kafka, "writer")


async def make_transactional_producer(settings: Settings, shard: int) -> AIOKafkaProducer:
    """Give a started producer that has fenced every former one of the shard."""
    name = f"publish-{shard}"
    made = kafka.transactional_producer(settings, transactional=kafka.transactional_id(settings, "publish", shard), what=name)
    return await kafka.started(made, settings.kafka, name)
