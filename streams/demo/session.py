"""One session of the demo: a stack, a worker, the samples published at a pace that can be watched, and what came out.

Invariant: whatever happens, the worker has ended, a stack of our own is stopped and wiped, and topics and space on
somebody else's are deleted. Neighbours: `samples` before, `findings` after; the audience shows what it is told.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord, TopicPartition

from resolvers.errors import NexusError
from resolvers.rules import Rules
from streams import kafka
from streams.crew import Worker, crew
from streams.demo.findings import Findings, Outputs, Pair, read_findings
from streams.demo.samples import LATE, Arrival, arrivals
from streams.drain import Drain, measuring
from streams.dump import dump
from streams.events import Identifier, decode_event
from streams.graph import open_graph, rules_of
from streams.run import clean_up, isolated
from streams.sender import Outgoing, Sender, send_all
from streams.settings import Settings
from streams.stack import Addresses, LocalStack
from streams.stack.ports import free_ports
from streams.topics import ensure_topics, places_of
from streams.verifying import verified

STALLED_SECONDS = 30.0
"""A demo in which nothing moves for this long is stuck."""

SHOWN_DIFFERENCES = 5
"""Of each kind."""

FOLLOWED = ("timeline", "entities", "dead-letters")


class Audience(Protocol):
    """Whoever watches; called from the session's event loop, and expected to return at once."""

    def say(self, line: str) -> None:
        """Hear what is being prepared or ended."""

    def published(self, arrival: Arrival, count: int, total: int) -> None:
        """See a source record go out."""

    def told(self, record: Mapping[str, Any]) -> None:
        """See a record of the timeline, committed."""

    def refused(self, source: str, reason: str) -> None:
        """See a record arrive in the dead letters."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a session. Times are seconds; `settled` runs from the last publish until everything was told.

    `differences` is what an independent recomputation of the event log found, in words; empty when all is right.
    """

    findings: Findings
    records: int
    events: int
    timeline: int
    published: float
    settled: float
    first_entity: float | None
    differences: tuple[str, ...]

    @property
    def records_per_second(self) -> float:
        """Give source records per second from the first publish to the last output; the pace is part of it."""
        return self.records / max(self.published + self.settled, 1e-9)


async def hold(settings: Settings, directory: Path, audience: Audience, pace_seconds: float) -> Outcome:
    """Hold a session; publishing takes about `pace_seconds`. `directory` is for the stack, logs and outputs.

    Addresses that the settings name are used as they are, in a space and topics of the demo's own. Raises NexusError.
    """
    async with _surroundings(settings, directory, audience) as settled:
        await ensure_topics(settled)
        async with open_graph(settled) as resolver, measuring(settled, resolver) as drain:
            audience.say("starting a worker")
            async with crew(settled, directory / "workers", 1) as workers:
                return await _play(settled, directory, audience, pace_seconds, drain, workers)


async def _play(
    settings: Settings, directory: Path, audience: Audience, pace_seconds: float, drain: Drain, workers: Sequence[Worker]
) -> Outcome:
    async with _following(settings, audience) as follower:
        sequence = arrivals()
        begin = time.monotonic()
        pause = pace_seconds / len(sequence)
        await _publish(settings, sequence[: -len(LATE)], audience, pause)
        await drain.wait(STALLED_SECONDS, lambda _: _check(workers))
        await _publish(settings, sequence[-len(LATE) :], audience, pause, len(sequence) - len(LATE))
        published = time.monotonic()
        behind = await drain.wait(STALLED_SECONDS, lambda _: _check(workers))
        settled = time.monotonic()
        if not behind.nothing:
            raise NexusError(f"nothing has moved for {STALLED_SECONDS:g} s, and still to do: {behind} (log: {workers[0].log})")
        await follower.caught_up()
    counts = await dump(settings, directory / "out")
    findings = _read(directory / "out", rules_of(settings))
    report = await verified(settings)
    differences = () if report.ok else tuple(report.lines(SHOWN_DIFFERENCES))
    first = None if follower.first_entity is None else follower.first_entity - begin
    return Outcome(
        findings, len(sequence), counts["events"], counts["timeline"], published - begin, settled - published, first, differences
    )


def _check(workers: Sequence[Worker]) -> None:
    for worker in workers:
        worker.check()


async def _publish(settings: Settings, sequence: Sequence[Arrival], audience: Audience, pause_seconds: float, before: int = 0) -> None:
    """Publish record by record, each acknowledged before the next, on a steady beat; `before` are published already."""

    async def producer() -> Any:  # noqa: ANN401 - aiokafka's
        return await kafka.started(kafka.producer(settings, what="demo"), settings.kafka, "demo")

    sender = Sender(producer, settings.kafka.bootstrap_servers, settings.kafka.connect_seconds)
    total = len(arrivals())
    await sender.start()
    try:
        begin = time.monotonic()
        for count, arrival in enumerate(sequence, start=1):
            topic, partition = settings.sources[arrival.source].topic, (before + count) % settings.partitions
            await send_all(sender, [Outgoing(topic, None, arrival.value, partition=partition)])
            audience.published(arrival, before + count, total)
            await asyncio.sleep(max(0.0, begin + count * pause_seconds - time.monotonic()))
    finally:
        await sender.stop()


class Follower:
    """Reads what was committed to the topics that an audience may watch."""

    def __init__(self, settings: Settings, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], audience: Audience) -> None:
        """Read through a consumer that is started and has the places assigned."""
        self.first_entity: float | None = None
        self._ends: Mapping[TopicPartition, int] | None = None
        self._reached = asyncio.Event()
        self._words = {settings.topic(word): word for word in FOLLOWED}
        self._consumer = consumer
        self._places = places
        self._audience = audience

    async def follow(self) -> None:
        """Tell the audience, until cancelled."""
        while True:
            fetched = await self._consumer.getmany(timeout_ms=50)
            for record in sorted((one for records in fetched.values() for one in records), key=lambda one: (one.timestamp, one.offset)):
                self._show(record)
            if self._ends is not None and all([await self._consumer.position(place) >= end for place, end in self._ends.items()]):
                self._reached.set()

    async def caught_up(self) -> None:
        """Wait until everything that is there by now was shown, which takes no longer than a fetch."""
        self._ends = await self._consumer.end_offsets(self._places)
        await asyncio.wait_for(self._reached.wait(), STALLED_SECONDS)

    def _show(self, record: ConsumerRecord) -> None:
        match self._words[record.topic]:
            case "timeline":
                self._audience.told(orjson.loads(record.value))
            case "dead-letters":
                headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
                self._audience.refused(headers["source"], headers["error"])
            case _:
                self.first_entity = self.first_entity or time.monotonic()


@asynccontextmanager
async def _following(settings: Settings, audience: Audience) -> AsyncIterator[Follower]:
    client = await kafka.started(kafka.admin(settings), settings.kafka, "admin")
    try:
        places = await places_of(client, [settings.topic(word) for word in FOLLOWED])
    finally:
        await client.close()
    consumer = await kafka.started(kafka.consumer(settings, what="demo"), settings.kafka, "demo")
    consumer.assign(places)
    for place in places:
        consumer.seek(place, 0)
    follower = Follower(settings, consumer, places, audience)
    task = asyncio.create_task(follower.follow())
    try:
        yield follower
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await consumer.stop()


@asynccontextmanager
async def _surroundings(settings: Settings, directory: Path, audience: Audience) -> AsyncIterator[Settings]:
    """Give settings with addresses that answer, and take away afterwards whatever the demo made there."""
    named_kafka, named_redis = "bootstrap_servers" in settings.kafka.model_fields_set, "url" in settings.redis.model_fields_set
    kafka_port, redis_port = free_ports(2)
    stack = LocalStack(directory / "stack", kafka_port, redis_port, settings.redis.url if named_redis else None, short_lived=True)
    try:
        if named_kafka:
            redis_url = settings.redis.url if named_redis else await asyncio.to_thread(stack.up_redis, audience.say)
            addresses = Addresses(settings.kafka.bootstrap_servers, redis_url)
        else:
            addresses = await asyncio.to_thread(stack.up, audience.say)
        settings = _at(settings, addresses)
        if not named_kafka and not named_redis:
            yield settings
            audience.say("stopping everything")
            return
        guest = isolated(settings, f"demo-{secrets.token_hex(4)}")
        audience.say(f"using Kafka {addresses.bootstrap_servers}, topics {guest.topics.prefix}*")
        try:
            yield guest
        finally:
            await clean_up(guest, audience.say)
    finally:
        await asyncio.to_thread(stack.down, wipe=True)


def _at(settings: Settings, addresses: Addresses) -> Settings:
    return settings.model_copy(
        update={
            "kafka": settings.kafka.model_copy(update={"bootstrap_servers": addresses.bootstrap_servers}),
            "redis": settings.redis.model_copy(update={"url": addresses.redis_url}),
        }
    )


def _read(directory: Path, rules: Rules) -> Findings:
    def lines(word: str) -> list[bytes]:
        return (directory / f"{word}.ndjson").read_bytes().splitlines()

    def normalise(entity_type: str, one: Identifier) -> Pair | None:
        usable = rules.usable(entity_type, one.type, one.value)
        return (usable.identifier.type, usable.identifier.value) if usable else None

    outputs = Outputs(
        [orjson.loads(line) for line in lines("entities")],
        [orjson.loads(line) for line in lines("memberships")],
        [orjson.loads(line) for line in lines("timeline")],
        [decode_event(line) for line in lines("events")],
        [orjson.loads(line) for line in lines("dead-letters")],
    )
    return read_findings(outputs, normalise, lambda entity_type, kind: rules.entities[entity_type].identifiers[kind].priority)
