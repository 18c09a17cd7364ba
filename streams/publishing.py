"""Publishing files: records of files to a source's raw topic, acknowledged, in the order they lie there.

Invariant: a record counts only when Kafka has acknowledged it. Neighbours: `records_file` reads, the adapt stage
takes over; `nexus publish` and `nexus run` call it.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path

from aiokafka import AIOKafkaProducer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

from resolvers.errors import SettingsError
from streams import kafka
from streams.preflight import make_missing_topics
from streams.records_file import check_readable, read_records
from streams.sender import Outgoing, Sender, send_all
from streams.settings import Settings, SourceSettings

CHUNK_RECORDS = 2_000
CHUNK_BYTES = 4 * 1024 * 1024

Advance = Callable[[int, int], None]
"""Told (records, bytes) of each acknowledged chunk."""

Pace = Callable[[], Awaitable[None]]
"""Returns when more may be written."""


def source_named(settings: Settings, name: str) -> SourceSettings:
    """Find a source. Raises SettingsError naming those there are."""
    if name in settings.sources:
        return settings.sources[name]
    known = ", ".join(settings.sources) or "none"
    close = difflib.get_close_matches(name, settings.sources, n=1)
    meant = f"; did you mean {close[0]}?" if close else ""
    raise SettingsError(f"there is no source {name!r} in the settings; known: {known}{meant}")


async def at_will() -> None:
    """Wait for nothing."""


async def publish_files(settings: Settings, name: str, files: Sequence[Path], *, show_progress: bool = False, pace: Pace = at_will) -> int:
    """Write files to a source's topic and return how many records Kafka acknowledged. Missing topics are made.

    `pace` is awaited before each chunk of records; a bounded run keeps the pipeline from falling far behind with it.
    Raises SettingsError, KafkaUnavailable, NexusError for a file that can't be read.
    """
    topic = source_named(settings, name).topic
    await asyncio.to_thread(check_readable, files)
    await make_missing_topics(settings)
    told = TextColumn("{task.fields[records]:,} records")
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), told)
    count = 0
    with Progress(*columns, TimeElapsedColumn(), disable=not show_progress) as progress:
        sender = Sender(lambda: _producer(settings), settings.kafka.bootstrap_servers, settings.kafka.connect_seconds)
        await sender.start()
        try:
            for file in files:
                task = progress.add_task(file.name, total=None, records=0)

                def advance(records: int, size: int, task: int = task) -> None:
                    done = progress.tasks[task].fields["records"] + records
                    progress.update(task, advance=size, records=done)  # type: ignore[arg-type]

                count += await publish_records(sender, topic, read_records(file), advance, pace)
                progress.update(task, total=progress.tasks[task].completed)
        finally:
            await sender.stop()
    return count


async def publish_records(sender: Sender, topic: str, records: Iterable[bytes], advance: Advance, pace: Pace = at_will) -> int:
    """Write records without keys to a topic, chunk by chunk; return how many were acknowledged."""
    count = 0
    for chunk in chunks(records):
        await pace()
        await send_all(sender, [Outgoing(topic, None, value) for value in chunk])
        count += len(chunk)
        advance(len(chunk), sum(map(len, chunk)))
    return count


def chunks(records: Iterable[bytes], most: int = CHUNK_RECORDS, most_bytes: int = CHUNK_BYTES) -> Iterator[list[bytes]]:
    """Cut records into chunks of bounded count and about bounded size."""
    chunk: list[bytes] = []
    size = 0
    for record in records:
        chunk.append(record)
        size += len(record)
        if len(chunk) >= most or size >= most_bytes:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


async def _producer(settings: Settings) -> AIOKafkaProducer:
    return await kafka.started(kafka.producer(settings, what="publish"), settings.kafka, "publish")
