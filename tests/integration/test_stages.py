"""The stages on a real Kafka and a real Redis, with workers as processes of their own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from resolvers.evidence import evidence_of
from resolvers.memory import MemoryResolver
from resolvers.port import Round
from resolvers.sighting import Batch, Position
from streams import kafka
from streams.app import make_transactional_producer
from streams.counters import Counters
from streams.crew import Worker
from streams.dead_letters import now_ms
from streams.drain import measuring
from streams.events import Event, Identifier, Participant
from streams.graph import open_graph, rules_of
from streams.preflight import make_missing_topics
from streams.publish import ShardPublisher, Telling, Turn, encode_round
from streams.recovery import Recovery, log_ends
from streams.sender import Outgoing, Sender, send_all
from streams.settings import Settings, settings_from
from streams.shards import CommittedRounds
from streams.stack import Addresses
from streams.told import ToldTopics
from streams.topics import delete_topics
from tests.telling import take_round

pytestmark = [pytest.mark.stack, pytest.mark.timeout(360)]

WORDS = ("entities", "identifiers", "memberships", "timeline")
PATIENCE_SECONDS = 60.0


class Pipeline:
    """A space and topics of its own, workers, and what came out."""

    def __init__(self, settings: Settings, directory: Path) -> None:
        self.settings = settings
        self.directory = directory
        self.workers: list[Worker] = []

    async def worker(self, **worker: Any) -> Worker:
        """Start a worker and wait until it is ready."""
        document = self.settings.model_copy(update={"worker": self.settings.worker.model_copy(update=worker)})
        started = await Worker.start(document, self.directory, f"worker-{len(self.workers)}")
        self.workers.append(started)
        await started.ready()
        return started

    async def write(self, values: Sequence[bytes | None], topic: str | None = None, key: bytes | None = None) -> None:
        """Write records to the raw topic, or another one."""
        name = topic or self.settings.sources["crm"].topic
        records = [Outgoing(name, b"k" if value is None else key, value, (("trace", b"t1"),)) for value in values]
        async with sender(self.settings) as writing:
            await send_all(writing, records)

    async def drained(self) -> None:
        """Wait until everything that was written has come out."""
        async with open_graph(self.settings) as graph, measuring(self.settings, graph) as drain:
            behind = await drain.wait(PATIENCE_SECONDS)
        assert behind.nothing, behind

    async def read(self, word: str) -> list[ConsumerRecord]:
        """Read all committed records of a topic."""
        return await read_topic(self.settings, self.settings.topic(word))

    async def values(self, word: str) -> list[dict[str, Any]]:
        """Read all values of a topic."""
        return [json.loads(record.value) for record in await self.read(word)]


@asynccontextmanager
async def sender(settings: Settings) -> AsyncIterator[Sender]:
    async def make() -> Any:
        return await kafka.started(kafka.producer(settings, what="test"), settings.kafka, "test")

    writing = Sender(make, settings.kafka.bootstrap_servers, PATIENCE_SECONDS)
    await writing.start()
    try:
        yield writing
    finally:
        await writing.stop()


async def read_topic(settings: Settings, topic: str) -> list[ConsumerRecord]:
    places = [TopicPartition(topic, partition) for partition in range(settings.partitions)]
    ends = await kafka.written_ends(settings, places, "test")
    consumer = await kafka.started(kafka.consumer(settings, what="test"), settings.kafka, "test")
    try:
        consumer.assign(places)
        for place, start in (await consumer.beginning_offsets(places)).items():
            consumer.seek(place, start)
        found: list[ConsumerRecord] = []
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            fetched = await consumer.getmany(timeout_ms=200)
            found += [record for records in fetched.values() for record in records]
        return found
    finally:
        await consumer.stop()


async def until(condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for something that another process does."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - another process sets it
            await asyncio.sleep(0.05)


def contact(number: int, **fields: Any) -> bytes:
    document = {"id": f"e{number}", "at": 1_700_000_000 + number, "email": f"p{number % 40}@x.example", "name": f"N{number}", **fields}
    return json.dumps(document).encode()


@pytest.fixture
async def pipeline(stack: Addresses, tmp_path: Path) -> AsyncIterator[Pipeline]:
    own = f"t{uuid4().hex[:8]}"
    settings = settings_from(
        {
            "space": own,
            "partitions": 3,
            "topics": {"prefix": f"{own}."},
            "kafka": {"bootstrap_servers": stack.bootstrap_servers},
            "redis": {"url": stack.redis_url, "buckets": 16},
            "worker": {"session_timeout_ms": 3000, "batch_records": 50},
            "entities": {"person": {"identifiers": {"user_id": {}, "email": {"normalise": "email"}}}},
            "sources": {
                "crm": {
                    "topic": f"{own}.raw",
                    "adapter": "mapping",
                    "event": {"id": "id", "name": "'contact updated'", "occurred_at": "at"},
                    "participants": [
                        {
                            "entity": "person",
                            "role": "contact",
                            "identifiers": {"email": "email", "user_id": "user"},
                            "traits": {"name": "name"},
                        }
                    ],
                }
            },
        }
    )
    await make_missing_topics(settings)
    made = Pipeline(settings, tmp_path)
    try:
        yield made
    finally:
        for worker in made.workers:
            await worker.kill()
        await delete_topics(settings)
        async with open_graph(settings) as graph:
            await graph.drop()


async def test_records_become_entities_and_bad_ones_dead_letters(pipeline: Pipeline) -> None:
    bad = [b"{not json", b"\xff\xfe", None, b'{"id": "e9", "at": "never"}', b"[1, 2]"]
    nobody = json.dumps({"id": "nobody", "at": 1_700_000_000}).encode()
    await pipeline.write([*(contact(number) for number in range(200)), *bad, nobody])
    worker = await pipeline.worker()
    await pipeline.drained()

    events = await pipeline.values("events")
    assert sorted(event["event_id"] for event in events) == sorted([*(f"e{number}" for number in range(200)), "nobody"])
    letters = await pipeline.read("dead-letters")
    assert sorted((letter.value for letter in letters), key=str) == sorted(bad, key=str)
    headers = dict(letters[0].headers)
    assert headers["source"] == b"crm"
    assert headers["adapter"] == b"mapping"
    assert headers["source-topic"] == pipeline.settings.sources["crm"].topic.encode()
    assert headers["original-trace"] == b"t1"
    assert headers["error"]
    assert {"source-partition", "source-offset", "error-type", "time"} <= headers.keys()
    entities = {entity["entity_id"]: entity for entity in await pipeline.values("entities")}
    assert len(entities) == 40
    assert {entity["status"] for entity in entities.values()} == {"active"}
    participants = await pipeline.values("participants")
    assert {participant["entity_id"] for participant in participants} == entities.keys()
    assert len({(one["source"], one["event_id"], one["index"]) for one in participants}) == 200
    assert await worker.stop() == 0


async def test_records_of_other_producers_are_read_however_they_are_compressed(pipeline: Pipeline) -> None:
    codecs = ("gzip", "lz4", "snappy", "zstd")
    for number, codec in enumerate(codecs):
        producer = AIOKafkaProducer(bootstrap_servers=pipeline.settings.kafka.bootstrap_servers, compression_type=codec)
        await producer.start()
        try:
            await producer.send_and_wait(pipeline.settings.sources["crm"].topic, contact(number, name=codec * 100))
        finally:
            await producer.stop()
    await pipeline.worker()
    await pipeline.drained()
    events = await pipeline.values("events")
    assert sorted(event["participants"][0]["traits"]["name"] for event in events) == [codec * 100 for codec in codecs]


@pytest.mark.parametrize("codec", ["gzip", "lz4", "snappy", "zstd"])
async def test_what_is_written_is_compressed_as_the_settings_say(pipeline: Pipeline, codec: Any) -> None:
    compressing = pipeline.settings.kafka.model_copy(update={"compression": codec})
    settings = pipeline.settings.model_copy(update={"kafka": compressing})
    async with sender(settings) as writing:
        await send_all(writing, [Outgoing(settings.topic("events"), b"k", b"x" * 10_000)])
    assert [record.value for record in await pipeline.read("events")] == [b"x" * 10_000]


async def test_a_record_on_the_event_log_that_is_no_event_is_a_dead_letter(pipeline: Pipeline) -> None:
    await pipeline.write([b"{}", None, b"\x00"], pipeline.settings.topic("events"))
    await pipeline.write([b'{"command": "block"}', b"what?"], pipeline.settings.topic("commands"), b"c")
    await pipeline.worker()
    await pipeline.drained()
    reasons = sorted(dict(letter.headers)["error"].decode() for letter in await pipeline.read("dead-letters"))
    assert sorted(reason.split(":")[0] for reason in reasons) == [
        "the record has no value; an event is a JSON object",
        "the record is not a command",
        "the record is not a command",
        "the record is not an event",
        "the record is not an event",
    ]


async def test_nothing_is_lost_when_a_worker_is_killed_in_the_middle(pipeline: Pipeline) -> None:
    await pipeline.write([contact(number, user=f"u{number % 60}") for number in range(4_000)])
    for _ in range(3):
        worker = await pipeline.worker(batch_records=20, round_keys=5)
        seen = len(await pipeline.read("events"))

        async def moved(seen: int = seen) -> bool:
            return len(await pipeline.read("events")) > seen + 200

        await until(moved)
        await worker.kill()
    worker = await pipeline.worker()
    await pipeline.drained()

    assert {event["event_id"] for event in await pipeline.values("events")} == {f"e{number}" for number in range(4_000)}
    told = await pipeline.values("timeline")
    assert len({line["id"] for line in told}) == len(told)
    assert_versions_rise(await pipeline.read("entities"))
    assert_versions_rise(await pipeline.read("identifiers"))
    latest = {record.key: json.loads(record.value) for record in await pipeline.read("entities")}
    active = [entity for entity in latest.values() if entity["status"] == "active"]
    assert sum(entity["identifier_count"] for entity in active) == 100
    participants = {(one["event_id"], one["index"]) for one in await pipeline.values("participants")}
    assert participants == {(f"e{number}", 0) for number in range(4_000)}
    assert await worker.stop() == 0


def assert_versions_rise(records: Sequence[ConsumerRecord]) -> None:
    versions: dict[bytes, int] = {}
    for record in sorted(records, key=lambda one: (one.partition, one.offset)):
        version = json.loads(record.value)["version"]
        assert version > versions.get(record.key, 0)
        versions[record.key] = version


async def test_workers_share_partitions_and_take_over_from_each_other(pipeline: Pipeline) -> None:
    first = await pipeline.worker()
    second = await pipeline.worker()
    await until(lambda: shared(pipeline.settings, "adapt", members=2))
    await pipeline.write([contact(number) for number in range(500)])
    await pipeline.drained()
    assert await first.stop() == 0
    await pipeline.write([contact(number) for number in range(500, 1_000)])
    await pipeline.drained()
    assert {event["event_id"] for event in await pipeline.values("events")} == {f"e{number}" for number in range(1_000)}
    assert await second.stop() == 0


async def shared(settings: Settings, stage: str, members: int) -> bool:
    client = await kafka.started(kafka.admin(settings), settings.kafka, "test")
    try:
        (answer,) = await client.describe_consumer_groups([kafka.group_id(settings, stage)])
        _, _, state, *_, found = answer.groups[0][:6]
        return state == "Stable" and sum(bool(member[-1]) for member in found) == members
    finally:
        await client.close()


async def test_a_log_that_was_made_anew_ends_the_worker_with_the_reason(pipeline: Pipeline) -> None:
    async with open_graph(pipeline.settings) as graph:
        await graph.apply(Batch("events", 1, 0, Position(12, 7), ()))
    worker = await pipeline.worker()
    assert await asyncio.wait_for(worker.process.wait(), PATIENCE_SECONDS) == 1
    last = worker.lines()[-1]
    assert last.startswith(f"nexus worker ended: {pipeline.settings.topic('events')}, partition 1 ends at offset 0")


@asynccontextmanager
async def publishers(settings: Settings, graph: MemoryResolver, count: int) -> AsyncIterator[list[ShardPublisher]]:
    async def make_consumer() -> Any:
        consumer = kafka.consumer(settings, what="rounds", group=kafka.group_id(settings, "rounds"))
        return await kafka.started(consumer, settings.kafka, "rounds")

    async def make_producer(shard: int) -> Any:
        return await make_transactional_producer(settings, shard)

    topic, group = settings.topic("entities"), kafka.group_id(settings, "rounds")
    told = ToldTopics(settings, graph, PATIENCE_SECONDS)
    rounds = CommittedRounds(make_consumer, topic, group, told.last_version, PATIENCE_SECONDS)
    recovery = Recovery(graph, partial(log_ends, settings), told, PATIENCE_SECONDS)
    await rounds.start()
    telling = Telling({word: settings.topic(word) for word in WORDS})
    made = [ShardPublisher(0, graph, telling, rounds, recovery, make_producer, Counters(), now_ms) for _ in range(count)]
    try:
        yield made
    finally:
        for publisher in made:
            await publisher.close()
        await rounds.stop()


async def seen(settings: Settings, graph: MemoryResolver, number: int) -> None:
    """Have the graph see one more trait of one person."""
    person = Participant("person", "contact", [Identifier("email", "a@x.example")], {"name": f"N{number}"})
    event = Event(f"e{number}", "crm", "seen", f"2024-01-01T00:00:{number:02}.000Z", participants=[person])
    position = await graph.position("events", 0)
    end = Position(position.offset + 1, 0)
    await graph.apply(Batch("events", 0, position.offset, end, (evidence_of(rules_of(settings), event),)))


async def test_an_older_publisher_of_a_shard_is_fenced(pipeline: Pipeline) -> None:
    settings = pipeline.settings
    graph = MemoryResolver(rules_of(settings), 1)
    async with publishers(settings, graph, 2) as (older, newer):
        await seen(settings, graph, 1)
        assert await older.turn() is Turn.TOLD
        assert await newer.turn() is Turn.NOTHING
        await seen(settings, graph, 2)
        assert await older.turn() is Turn.FENCED
        assert await newer.turn() is Turn.FENCED  # the older one took the round, and kept its bytes
        assert await newer.turn() is Turn.NOTHING  # starting over, it told the round
    names = [(entity["version"], entity["traits"]["name"]) for entity in await pipeline.values("entities")]
    assert names == [(1, "N1"), (2, "N2")]
    assert_versions_rise(await pipeline.read("entities"))


async def test_a_round_that_was_kept_and_not_committed_is_told_once(pipeline: Pipeline) -> None:
    settings = pipeline.settings
    graph = MemoryResolver(rules_of(settings), 1)
    await seen(settings, graph, 1)
    taken = await take_round(graph, 0, 100, 0)
    assert taken is not None
    await graph.keep(taken, encode_round(taken, 0))
    async with publishers(settings, graph, 1) as (publisher,):
        assert await publisher.turn() is Turn.NOTHING
        assert await graph.pending(0, 0) is None
    lines = await pipeline.values("timeline")
    assert [line["kind"] for line in lines] == ["entity.created", "identifier.added", "trait.changed"]
    assert {line["recorded_at"] for line in lines} == {"1970-01-01T00:00:00.000Z"}


async def test_a_round_that_was_committed_and_not_finished_is_not_told_again(pipeline: Pipeline) -> None:
    settings = pipeline.settings
    graph = Forgetful(rules_of(settings), 1)
    await seen(settings, graph, 1)
    async with publishers(settings, graph, 2) as (crashed, publisher):
        with pytest.raises(ConnectionResetError):
            await crashed.turn()
        graph.broken = False
        assert await publisher.turn() is Turn.NOTHING
        await seen(settings, graph, 2)
        assert await publisher.turn() is Turn.TOLD
    assert [entity["version"] for entity in await pipeline.values("entities")] == [1, 2]


class Forgetful(MemoryResolver):
    """A graph that does not hear that a round is over."""

    broken = True

    async def finish(self, round_: Round) -> None:
        if self.broken:
            raise ConnectionResetError
        await super().finish(round_)
