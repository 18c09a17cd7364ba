"""The world of one case: Kafka and the store, which outlive processes, and workers of the real stages, which do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any, Protocol, cast

from aiokafka.structs import TopicPartition
from redis.asyncio import Redis

from resolvers.errors import Retryable, StoreLost
from resolvers.memory import MemoryResolver
from resolvers.port import Ends, Resolver
from resolvers.redis_graph import RedisResolver
from resolvers.scripts import Bounds
from streams.adapt import AdaptStage, RawSource, priorities_of
from streams.batch import Outcome, SourceBatch
from streams.counters import Counters
from streams.patience import patiently
from streams.positions import AppliedPositions, CommittedPositions, Positions
from streams.publish import ShardPublisher, Telling, Turn
from streams.recovery import Recovery
from streams.resolve import ResolveStage
from streams.sender import Sender
from streams.settings import Settings
from streams.shards import CommittedRounds
from streams.told import ToldTopics
from tests.faults.crashing import Crash, Life, Watched
from tests.faults.kafka_clients import Consumer, Producer
from tests.faults.kafka_model import Broker
from tests.faults.stream import NO_EVENT, RAW, adapter
from tests.histories import ENTITIES, RULES

SHARDS = 2
LOGS = 2
BATCH_RECORDS = 2
ROUND_KEYS = 4
SWEEP_KEYS = 12
OUTPUTS = ("entities", "identifiers", "memberships", "timeline")
TOPICS = {"raw": len(RAW), "events": LOGS, "dead-letters": 1, "participants": SHARDS, **dict.fromkeys(OUTPUTS, SHARDS)}
PATIENCE_SECONDS = 5.0


class Store(Protocol):
    """Where the graph is."""

    def connect(self) -> Resolver:
        """Give a process its own resolver of the graph."""

    async def drop(self) -> None:
        """Delete the graph."""


class MemoryStore:
    """A graph in the tests' own memory, which outlives the processes of a case."""

    def __init__(self) -> None:
        self._resolver = MemoryResolver(RULES, SHARDS)

    def connect(self) -> Resolver:
        """Give the one resolver there is."""
        return self._resolver

    async def drop(self) -> None:
        """Nothing to delete."""


class RedisStore:
    """A space in Redis, where wide effects begin with two keys. `redis` is the tests' own way to it."""

    def __init__(self, url: str, space: str, redis: Redis) -> None:
        self._url = url
        self._space = space
        self._redis = redis

    def connect(self) -> Resolver:
        """Give a resolver with connections of its own."""
        return RedisResolver(self._url, RULES, self._space, SHARDS, 16, Bounds(inline=1, observed=1))

    async def drop(self) -> None:
        """Delete the space."""
        if keys := await self._keys():
            await self._redis.unlink(*keys)

    async def copy(self) -> dict[bytes, bytes]:
        """Copy everything that the space is, as a snapshot would."""
        keys = await self._keys()
        async with self._redis.pipeline() as asked:
            for key in keys:
                asked.dump(key)
            return dict(zip(keys, await asked.execute(), strict=True))

    async def put_back(self, copy: Mapping[bytes, bytes]) -> None:
        """Make the space what it was when it was copied; nothing, without a copy."""
        keys = await self._keys()
        async with self._redis.pipeline() as asked:
            for key in keys:
                asked.delete(key)
            for key, dumped in copy.items():
                asked.restore(key, 0, dumped)
            await asked.execute()

    async def _keys(self) -> list[bytes]:
        return sorted(cast("list[bytes]", await self._redis.keys(f"nexus:{{{self._space}}}:*")))


class World:
    """All that there is before the first worker starts: the raw records, an empty graph and empty topics."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.broker = Broker(TOPICS)

    async def fill(self) -> None:
        """Write the raw records, and one into the event log that is no event."""
        for number, values in enumerate(RAW):
            await self.broker.send(TopicPartition("raw", number), [(None, value, ()) for value in values], None)
        await self.broker.send(TopicPartition("events", 0), [(None, NO_EVENT, ())], None)

    @asynccontextmanager
    async def worker(self, life: Life) -> AsyncIterator[Worker]:
        """Start a process; whatever became of it, its connections end."""
        resolver = self.store.connect()
        try:
            yield Worker(self.broker, resolver, life)
        finally:
            await resolver.close()

    async def live(self, life: Life) -> Life:
        """Run a process until nothing is left to do, or until it dies."""
        async with self.worker(life) as worker:
            with suppress(Crash):
                await worker.run()
        return life


class Lane:
    """One partition of one stage, driven as a source drives it."""

    def __init__(self, stage: Any, positions: Positions, consumer: Consumer, place: TopicPartition) -> None:
        self._stage = stage
        self._positions = positions
        self._consumer = cast("Any", consumer)
        self._place = place
        self._start: int | None = None

    async def once(self) -> bool:
        """Handle one batch if there is one, else settle; False when nothing is left to do."""
        if self._start is None:
            self._start = await self._positions.start(self._consumer, self._place)
            self._consumer.seek(self._place, self._start)
        records = (await self._consumer.getmany(self._place, max_records=BATCH_RECORDS)).get(self._place)
        if not records:
            await self._pass(self._start)
            outcome = await self._positions.settle(self._consumer, self._place)
        else:
            batch = SourceBatch(self._place, self._start, records)
            outcome = await self._stage(batch)
            if outcome is Outcome.DONE:
                await self._positions.advance(self._consumer, batch)
                self._start = batch.end
        if outcome is Outcome.OVERTAKEN:
            self._start = None
        return bool(records) or outcome is Outcome.OVERTAKEN

    async def _pass(self, start: int) -> None:
        at = await self._consumer.position(self._place)
        if at > start:
            await self._positions.skip(self._consumer, self._place, at)
            self._start = at


class Told(ToldTopics):
    """The output topics, read from the Kafka in memory."""

    def __init__(self, broker: Broker, resolver: Resolver) -> None:
        super().__init__(cast("Settings", SimpleNamespace(topic=str)), resolver, PATIENCE_SECONDS)
        self._broker = broker

    async def _consumer(self, places: list[TopicPartition]) -> Any:
        return Consumer(self._broker, "told")


class Worker:
    """One process: the real stages over what its life lets it see. A restarted process is a new one of these."""

    def __init__(self, broker: Broker, resolver: Resolver, life: Life) -> None:
        self._broker = broker
        self._life = life
        self._resolver = cast("Resolver", Watched(resolver, life, "resolver"))
        self._sender = Sender(self._producer, "kafka", PATIENCE_SECONDS)
        told = Told(self._seen("told"), self._resolver)
        self._rounds = CommittedRounds(self._rounds_consumer, "entities", "rounds", told.last_version, PATIENCE_SECONDS)
        self._recovery = Recovery(self._resolver, self._ends, told, PATIENCE_SECONDS)
        self._lanes: list[Lane] = []
        self._publishers: list[ShardPublisher] = []

    async def run(self) -> None:
        """Work until nothing is left to do; again after that is harmless, and finds what has come since."""
        if not self._lanes:
            await self._start()
        busy = True
        while busy:
            busy = False
            for lane in self._lanes:
                busy |= await lane.once()
            for publisher in self._publishers:
                busy |= await self._turn(publisher) is not Turn.NOTHING
            busy |= await self._sweep()

    async def _turn(self, publisher: ShardPublisher) -> Turn | None:
        """Have a turn; the next one starts over where Kafka or the store did not answer."""
        try:
            return await publisher.turn()
        except Retryable:
            return None

    async def _sweep(self) -> bool:
        try:
            if not (await patiently(self._resolver.backlog, "the outbox", PATIENCE_SECONDS)).sweeps:
                return False
            await patiently(lambda: self._resolver.sweep(SWEEP_KEYS), "sweeping", PATIENCE_SECONDS)
        except StoreLost:
            return True
        return True

    async def _start(self) -> None:
        await self._resolver.open()
        await self._sender.start()
        await self._rounds.start()
        committed = CommittedPositions(PATIENCE_SECONDS)
        applied = AppliedPositions(self._resolver, "events", self._recovery, PATIENCE_SECONDS)
        adapt, resolve = await self._consumer("adapt"), await self._consumer("resolve")
        adapting, resolving = self._adapt_stage(), self._resolve_stage(applied)
        self._lanes = [Lane(adapting, committed, adapt, place) for place in self._broker.places("raw")]
        self._lanes += [Lane(resolving, applied, resolve, place) for place in self._broker.places("events")]
        self._publishers = [self._publisher(shard) for shard in range(SHARDS)]

    def _adapt_stage(self) -> AdaptStage:
        return AdaptStage(
            {"raw": RawSource("crm", "own", adapter)},
            priorities_of(ENTITIES),
            self._sender,
            Counters(),
            lambda: 0,
            events_topic="events",
            dead_letters_topic="dead-letters",
            largest_bytes=100_000,
        )

    def _resolve_stage(self, positions: AppliedPositions) -> ResolveStage:
        return ResolveStage(
            RULES,
            self._resolver,
            positions,
            self._sender,
            Counters(),
            lambda: 0,
            asyncio.Event(),
            participants_topic="participants",
            dead_letters_topic="dead-letters",
            patience_seconds=PATIENCE_SECONDS,
        )

    def _publisher(self, shard: int) -> ShardPublisher:
        telling = Telling({word: word for word in OUTPUTS}, round_keys=ROUND_KEYS)
        return ShardPublisher(shard, self._resolver, telling, self._rounds, self._recovery, self._transactional, Counters(), lambda: 0)

    async def _ends(self) -> Ends:
        events = self._broker.places("events")
        return {("events", place.partition): (await self._seen("ends").bounds(place))[1] for place in events}

    def _seen(self, name: str) -> Broker:
        return cast("Broker", Watched(self._broker, self._life, name))

    async def _consumer(self, group: str) -> Any:
        consumer = Consumer(self._seen(group), group)
        await consumer.start()
        return consumer

    async def _rounds_consumer(self) -> Any:
        return Consumer(self._seen("rounds"), "rounds")

    async def _producer(self) -> Any:
        return Producer(self._seen("writer"))

    async def _transactional(self, shard: int) -> Any:
        producer = Producer(self._seen(f"publisher {shard}"), f"publish.{shard}")
        await producer.start()
        return producer
