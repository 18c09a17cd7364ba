"""Dumping: whole topics as NDJSON files, for bounded runs and for whoever wants to look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from pathlib import Path

import orjson
from aiokafka.structs import ConsumerRecord, TopicPartition

from resolvers.instant import HOUR_MS
from streams import kafka
from streams.dead_letters import is_receipt, readable
from streams.settings import Settings
from streams.topics import places_of

COMPACTED = ("entities", "identifiers", "memberships", "participants")
"""Topics of which only the last record of a key counts."""

APPENDED = ("events", "timeline", "dead-letters")
"""Topics of which every record counts, but for the receipts between the dead letters."""

_CLOCKS_MS = 2 * HOUR_MS
"""How far clocks may be apart. Kafka takes no record more than an hour ahead of its own, which an event lies `ahead_seconds` ahead of."""


async def whole_topic(
    settings: Settings, places: Sequence[TopicPartition], since_ms: int | None = None
) -> AsyncGenerator[ConsumerRecord, None]:
    """Give every committed record of a topic's partitions up to their present end, one after the other in offset order.

    With `since_ms` reading begins at the first record that was written then or later, in epoch ms.
    """
    ends = await kafka.written_ends(settings, places, "dump")
    consumer = await kafka.started(kafka.consumer(settings, what="dump"), settings.kafka, "dump")
    try:
        consumer.assign(places)  # once: aiokafka's consumer may not stop any more after a second assignment
        for place, start in (await consumer.beginning_offsets(places)).items():
            consumer.seek(place, start)
        if since_ms is not None and since_ms > 0:
            for place, found in (await consumer.offsets_for_times(dict.fromkeys(places, since_ms))).items():
                consumer.seek(place, ends[place] if found is None else found.offset)
        for place in places:
            while await consumer.position(place) < ends[place]:
                for record in (await consumer.getmany(place, timeout_ms=1_000)).get(place, []):
                    if record.offset < ends[place]:
                        yield record
    finally:
        await consumer.stop()


def written_since(settings: Settings, happened_ms: int) -> int:
    """Say when what happened then or later was written at the earliest; both in epoch ms."""
    return happened_ms - settings.times.ahead_seconds * 1_000 - _CLOCKS_MS


async def lost_until(settings: Settings, places: Sequence[TopicPartition], since_ms: int) -> int | None:
    """Say when the first record was written of those partitions of which records were removed that were written at `since_ms` or later.

    None where none were; the present where a partition has no record left. Times are in epoch ms.
    """
    consumer = await kafka.started(kafka.consumer(settings, what="dump"), settings.kafka, "dump")
    try:
        consumer.assign(places)
        cut = [place for place, start in (await consumer.beginning_offsets(places)).items() if start > 0]
        first = await consumer.offsets_for_times(dict.fromkeys(cut, 0)) if cut else {}
    finally:
        await consumer.stop()
    begins = [int(time.time() * 1_000) if found is None else int(found.timestamp) for found in first.values()]
    return max((one for one in begins if one >= since_ms), default=None)


async def dump(settings: Settings, out: Path) -> dict[str, int]:
    """Write each topic to `out/<topic>.ndjson`, compacted ones by key; gives the number of lines of each."""
    await asyncio.to_thread(out.mkdir, parents=True, exist_ok=True)
    client = await kafka.started(kafka.admin(settings), settings.kafka, "admin")
    try:
        places = {word: await places_of(client, [settings.topic(word)]) for word in (*COMPACTED, *APPENDED)}
    finally:
        await client.close()
    counts = {}
    for word in COMPACTED:
        last = {record.key: record.value async for record in whole_topic(settings, places[word])}
        counts[word] = _write(out / f"{word}.ndjson", (last[key] for key in sorted(last) if last[key] is not None))
    for word in APPENDED:
        records = [record async for record in whole_topic(settings, places[word])]
        if word == "dead-letters":
            lines = [_letter(record) for record in records if not is_receipt(record.headers)]
        else:
            lines = [record.value for record in records]
        counts[word] = _write(out / f"{word}.ndjson", lines)
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
    headers = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
    return orjson.dumps({"key": readable(record.key), "value": readable(record.value), "headers": headers, "offset": record.offset})
