"""Dumping: whole topics as NDJSON files, for bounded runs and for whoever wants to look."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord, TopicPartition

from streams import kafka
from streams.settings import Settings

COMPACTED = ("entities", "identifiers", "memberships", "participants")
"""Topics of which only the last record of a key counts."""

APPENDED = ("events", "timeline", "dead-letters")
"""Topics of which every record counts."""


async def whole_topic(consumer: AIOKafkaConsumer, topic: str) -> AsyncIterator[ConsumerRecord]:
    """Give every committed record of a topic up to its present end, partition by partition in offset order."""
    places = [TopicPartition(topic, partition) for partition in sorted(consumer.partitions_for_topic(topic) or ())]
    ends = await consumer.end_offsets(places)
    starts = await consumer.beginning_offsets(places)
    for place in places:
        consumer.assign([place])
        consumer.seek(place, starts[place])
        while await consumer.position(place) < ends[place]:
            for record in (await consumer.getmany(place, timeout_ms=1_000)).get(place, []):
                if record.offset < ends[place]:
                    yield record


async def dump(settings: Settings, out: Path) -> dict[str, int]:
    """Write each topic to `out/<topic>.ndjson`, compacted ones by key; gives the number of lines of each."""
    out.mkdir(parents=True, exist_ok=True)
    consumer = await kafka.started(kafka.consumer(settings, what="dump"), settings.kafka, "dump")
    counts = {}
    try:
        await consumer.topics()
        for word in COMPACTED:
            last = {record.key: record.value async for record in whole_topic(consumer, settings.topic(word))}
            counts[word] = _write(out / f"{word}.ndjson", (last[key] for key in sorted(last) if last[key] is not None))
        for word in APPENDED:
            records = [record async for record in whole_topic(consumer, settings.topic(word))]
            lines = (_letter(record) if word == "dead-letters" else record.value for record in records)
            counts[word] = _write(out / f"{word}.ndjson", lines)
    finally:
        await consumer.stop()
    return counts


def _write(path: Path, lines: Iterable[bytes]) -> int:
    count = 0
    with path.open("wb") as file:
        for line in lines:
            file.write(line + b"\n")
            count += 1
    return count


def _letter(record: ConsumerRecord) -> bytes:
    """Write a dead letter as one line: headers as text, and the bytes as text where they are, else in base64."""
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    return orjson.dumps({"key": _text(record.key), "value": _text(record.value), "headers": headers, "offset": record.offset})


def _text(content: bytes | None) -> str | dict[str, Any] | None:
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(content).decode()}
