"""What the judge sees: every topic, offset and position of a pipeline at rest, read directly from Kafka and Redis.

Invariant: nothing is written, nothing comes from the pipeline's own code. What read_committed gives is what counts.
Neighbours: the other `judge_` modules look at what was read, without any input or output.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.structs import ConsumerRecord, TopicPartition
from redis.asyncio import Redis

from streams import kafka
from streams.settings import SHARED_TOPICS, SPACE_TOPICS, Settings
from streams.topics import places_of
from streams.verify.read_log import TopicReader

LOOK_SECONDS = 0.25
SLACK_SECONDS = 15.0
"""The broker looks for transactions that are over their time every ten seconds."""

STAGES = ("adapt", "resolve", "commands", "rounds")


class Line(NamedTuple):
    """A record of any topic."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes] = {}
    timestamp_ms: int = 0

    @property
    def place(self) -> str:
        """Say where it lies."""
        return f"partition {self.partition}, offset {self.offset}"


Isolation = Literal["read_committed", "read_uncommitted"]

Position = tuple[int, int]
"""(offset, checksum of the last record before it)."""

Ends = Mapping[tuple[str, int], tuple[int, int]]
"""By topic and partition: the end that read_committed sees, and the end."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that was read. `topics` are by word (`raw`, `events`, `entities` ...), in the order of offsets."""

    topics: Mapping[str, list[Line]]
    ends: Mapping[tuple[str, int], int] = field(default_factory=dict)
    """By word and partition: the end of the log."""

    committed: Mapping[tuple[str, int], int] = field(default_factory=dict)
    """By stage and partition: the offset that its group has committed."""

    positions: Mapping[tuple[str, int], Position] = field(default_factory=dict)
    """By log and partition, from Redis."""

    rounds: Mapping[int, int] = field(default_factory=dict)
    """By shard: the number of the last round, from Redis."""


def names_of(settings: Settings) -> dict[str, str]:
    """Name the topics by word."""
    return {"raw": settings.sources["crowd"].topic} | {word: settings.topic(word) for word in (*SHARED_TOPICS, *SPACE_TOPICS)}


async def observe(settings: Settings) -> Seen:
    """Read everything: topics before what is committed, that before Redis, and ends last, as each may only lag behind the next."""
    names = names_of(settings)
    topics = dict(zip(names, await asyncio.gather(*(_lines(settings, topic) for topic in names.values())), strict=True))
    places = await _places(settings)
    committed = await _committed(settings, names, places)
    positions, rounds = await _stored(settings)
    words = {topic: word for word, topic in names.items()}
    ends = await _ends(settings, places, "read_uncommitted")
    return Seen(topics, {(words[place.topic], place.partition): end for place, end in ends.items()}, committed, positions, rounds)


async def _lines(settings: Settings, topic: str) -> list[Line]:
    found: list[Line] = []

    def add(record: ConsumerRecord) -> None:
        found.append(Line(record.partition, record.offset, record.key, record.value, dict(record.headers or ()), record.timestamp))

    async with TopicReader(settings, topic) as reader:
        await reader.read(add)
    return found


async def _places(settings: Settings) -> list[TopicPartition]:
    client = await kafka.started(kafka.admin(settings, what="judge"), settings.kafka, "judge")
    try:
        return await places_of(client, names_of(settings).values())
    finally:
        await client.close()


async def _committed(settings: Settings, names: Mapping[str, str], places: Iterable[TopicPartition]) -> dict[tuple[str, int], int]:
    logs = {"adapt": "raw", "resolve": "events", "commands": "commands", "rounds": "entities"}
    found: dict[tuple[str, int], int] = {}
    client = await kafka.started(kafka.admin(settings, what="judge"), settings.kafka, "judge")
    try:
        for stage in STAGES:
            own = [place for place in places if place.topic == names[logs[stage]]]
            offsets = await _offsets(client, kafka.group_id(settings, stage), own)
            found |= {(stage, partition): offset for partition, offset in offsets.items()}
    finally:
        await client.close()
    return found


async def _offsets(client: AIOKafkaAdminClient, group: str, places: list[TopicPartition]) -> dict[int, int]:
    try:
        offsets = await client.list_consumer_group_offsets(group, partitions=places)
    except GroupCoordinatorNotAvailableError:  # a Kafka on which no group has committed yet
        return {}
    return {place.partition: one.offset for place, one in offsets.items() if one.offset >= 0}


async def _stored(settings: Settings) -> tuple[dict[tuple[str, int], Position], dict[int, int]]:
    base = f"nexus:{{{settings.space}}}:"
    redis: Redis = Redis.from_url(settings.redis.url, decode_responses=True)
    try:
        stored: dict[Any, Any] = await redis.hgetall(f"{base}pos")
        numbers = [await redis.hget(f"{base}round:{shard}", "number") for shard in range(settings.partitions)]
    finally:
        await redis.aclose()
    positions: dict[tuple[str, int], Position] = {}
    for place, position in stored.items():
        log, _, partition = place.partition("/")
        offset, _, checksum = position.partition(":")
        if log in {"events", "commands"}:
            positions[log, int(partition)] = int(offset), int(checksum)
    return positions, {shard: int(number or 0) for shard, number in enumerate(numbers)}


async def open_ends(settings: Settings, wait_seconds: float | None = None) -> Ends:
    """Wait until no transaction is open at the end of any topic; give those that still are.

    Waits as long as a transaction may take, and until the broker notices, unless told otherwise.
    """
    places = await _places(settings)
    allowed = settings.kafka.transaction_timeout_ms / 1_000 + SLACK_SECONDS
    deadline = time.monotonic() + (allowed if wait_seconds is None else wait_seconds)
    while True:
        whole = await _ends(settings, places, "read_uncommitted")
        stable = await _ends(settings, places, "read_committed")
        still = {(place.topic, place.partition): (stable[place], end) for place, end in whole.items() if stable[place] < end}
        if not still or time.monotonic() >= deadline:
            return still
        await asyncio.sleep(LOOK_SECONDS)


async def _ends(settings: Settings, places: Iterable[TopicPartition], isolation: Isolation) -> dict[TopicPartition, int]:
    consumer = await kafka.started(kafka.consumer(settings, what="judge", isolation=isolation), settings.kafka, "judge")
    try:
        return {place: int(end) for place, end in (await consumer.end_offsets(list(places))).items()}
    finally:
        await consumer.stop()
