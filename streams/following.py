"""Following a topic: its records as they come, for people or as JSON lines.

Invariant: reading leaves no trace: no group, no commits. Neighbours: `nexus tail` prints what comes from here.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import AsyncIterator
from typing import Any

import structlog
from aiokafka.structs import ConsumerRecord, TopicPartition

from resolvers.errors import SettingsError
from streams import kafka
from streams.settings import SHARED_TOPICS, SPACE_TOPICS, Settings
from streams.times import format_time
from streams.topics import topic_names

log = structlog.get_logger(__name__)

WAIT_MS = 500
HEADERS_SHOWN = ("source", "adapter", "source-topic", "source-partition", "source-offset", "error", "receipt", "letter", "to")


def topic_named(settings: Settings, word: str) -> str:
    """Find a topic by DESIGN's word for it (`entities`), by the name of a source, or by its full name."""
    if word in (*SHARED_TOPICS, *SPACE_TOPICS):
        return settings.topic(word)
    if word in settings.sources:
        return settings.sources[word].topic
    return word


async def follow(
    settings: Settings, topic: str, *, from_beginning: bool = False, count: int | None = None
) -> AsyncIterator[ConsumerRecord]:
    """Give records as they come, those written from now on or all; ends after `count`. Raises SettingsError, KafkaUnavailable."""
    places = await _places(settings, topic)
    consumer = await kafka.started(kafka.consumer(settings, what="tail"), settings.kafka, "tail")
    try:
        consumer.assign(places)
        for place, offset in (await (consumer.beginning_offsets if from_beginning else consumer.end_offsets)(places)).items():
            consumer.seek(place, offset)
        given = 0
        while count is None or given < count:
            fetched = await consumer.getmany(timeout_ms=WAIT_MS, max_records=None if count is None else count - given)
            for record in sorted((one for records in fetched.values() for one in records), key=lambda one: one.timestamp):
                yield record
                given += 1
    finally:
        await consumer.stop()


async def _places(settings: Settings, topic: str) -> list[TopicPartition]:
    if topic not in topic_names(settings):
        log.info("the settings have no such topic, asking kafka for it", topic=topic)
    client = await kafka.started(kafka.admin(settings, what="tail"), settings.kafka, "tail")
    try:
        known = {one["topic"]: len(one["partitions"]) for one in await client.describe_topics()}
    finally:
        await client.close()
    if topic not in known:
        words = sorted({*known, *SHARED_TOPICS, *SPACE_TOPICS, *settings.sources})
        close = difflib.get_close_matches(topic, words, n=1)
        meant = f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(known)) or 'none'}"
        raise SettingsError(f"there is no topic {topic!r} at {settings.kafka.bootstrap_servers}; {meant}")
    return [TopicPartition(topic, partition) for partition in range(known[topic])]


def json_line(record: ConsumerRecord) -> str:
    """Write a record as one JSON object: where it lies, its key, headers and value; JSON values as they are, others as text."""
    return json.dumps(
        {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": _time(record.timestamp),
            "key": _text(record.key),
            "headers": {name: _text(value) for name, value in record.headers or ()},
            "value": _value(record.value),
        },
        ensure_ascii=False,
    )


def readable_line(record: ConsumerRecord) -> str:
    """Write a record as one line for people: when, where, what it is about, and its value."""
    headers = {name: _text(value) for name, value in record.headers or ()}
    told = " ".join(f"{name}={headers[name]}" for name in HEADERS_SHOWN if headers.get(name))
    value = "(deleted)" if record.value is None else _text(record.value)
    parts = (_time(record.timestamp), f"{record.partition}/{record.offset}", _text(record.key) or "-", told, value or "")
    return "  ".join(" ".join(part.split()) for part in parts if part)


def _time(timestamp: int) -> str:
    return format_time(timestamp) if timestamp >= 0 else "-"


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")


def _value(value: bytes | None) -> Any:  # noqa: ANN401 - any JSON
    if value is None:
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value.decode("utf-8", "replace")
