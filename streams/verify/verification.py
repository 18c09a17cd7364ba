"""The verification: wait until the pipeline has told everything, read both sides, compare."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

from redis.asyncio import Redis

from streams.settings import Settings
from streams.verify.compare_redis import compare_frame, compare_redis
from streams.verify.compare_topics import COMPACTED, Topics
from streams.verify.dump import Dump
from streams.verify.expected import Expected
from streams.verify.read_log import TopicReader
from streams.verify.read_redis import read_backlog, read_dump, read_positions
from streams.verify.recompute import Gathered
from streams.verify.report import Difference, Report

LOOK_SECONDS = 0.2


async def verify(settings: Settings, *, wait_seconds: float = 30) -> Report:
    """Recompute one space from the event log and compare it with Redis and the topics.

    Waits so long for a pipeline that is still working. Raises KafkaUnavailable, redis-py's RedisError, aiokafka's
    KafkaError, or TimeoutError when Kafka stalls.
    """
    started = time.monotonic()
    redis: Redis = Redis.from_url(settings.redis.url, health_check_interval=30)
    try:
        with _no_collecting():
            async with (
                TopicReader(settings, settings.topic("events")) as log,
                TopicReader(settings, settings.topic("commands")) as commands,
            ):
                return await _Verification(settings, redis, log, commands).run(started, wait_seconds)
    finally:
        await redis.aclose()


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Keep the garbage collector from walking over millions of values that all stay."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


class _Verification:
    """One run."""

    def __init__(self, settings: Settings, redis: Redis, log: TopicReader, commands: TopicReader) -> None:
        self._settings = settings
        self._redis = redis
        self._log = log
        self._commands = commands
        self._gathered = Gathered(settings)

    async def run(self, started: float, wait_seconds: float) -> Report:
        ends, waiting = await self._settle(time.monotonic() + wait_seconds)
        said = await self._commands.ends()
        dump = await read_dump(self._redis, self._settings.space)
        expected = self._gathered.expected()
        topics = Topics(expected, tombstones=self._settings.outputs.tombstones, recovered=int(dump.meta.get("recoveries", 0)) > 0)
        differences = [*self._truncated(), *await self._read_topics(topics)]
        if not waiting and (await self._log.ends() != ends or await self._commands.ends() != said or await self._behind()):
            waiting = ["events, commands or changes arrived while this was read: verify again when nothing moves"]
        if dump.meta:
            differences += compare_frame(dump, self._settings, {one: (self._log.after_last[one], end) for one, end in ends.items()})
            where = {one: (self._commands.after_last.get(one, 0), end) for one, end in said.items()}
            differences += compare_frame(dump, self._settings, where, "commands")
            differences += compare_redis(expected, dump)
            differences += _rounds(dump, topics)
        else:
            differences.append(Difference("redis.space", self._settings.space, "there is no such space in Redis"))
        differences += topics.differences(self._settings.partitions)
        return Report(differences, _checked(expected, dump, topics), time.monotonic() - started, waiting)

    async def _settle(self, deadline: float) -> tuple[dict[int, int], list[str]]:
        """Read the log to its end until Redis has applied and told all of it, or the time is over."""
        while True:
            erased = dict(self._gathered.commanded.cutoffs)
            await self._commands.read(lambda record: self._gathered.commanded.add(record.value, record.timestamp))
            if self._gathered.commanded.cutoffs != erased:  # what counts of the events is another than before
                self._gathered = Gathered(self._settings, self._gathered.commanded)
                self._log.rewind()
            ends = await self._log.read(lambda record: self._gathered.add(record.value))
            behind = await self._behind()
            if (not behind and await self._log.ends() == ends) or time.monotonic() >= deadline:
                return ends, behind
            await asyncio.sleep(LOOK_SECONDS)

    async def _behind(self) -> list[str]:
        """Say what the pipeline is behind with."""
        found = [*await self._unapplied(self._log, "events"), *await self._unapplied(self._commands, "commands")]
        backlog = await read_backlog(self._redis, self._settings.space, self._settings.partitions)
        return [*found, f"{backlog:,} output keys, sweeps or cases are not told yet"] if backlog else found

    async def _unapplied(self, reader: TopicReader, log: str) -> list[str]:
        applied = await read_positions(self._redis, self._settings.space, log)
        return [
            f"{reader.topic}, partition {partition}: {after - applied.get(partition, 0):,} offsets before {after} are not applied"
            for partition, after in sorted(reader.after_last.items())
            if applied.get(partition, 0) < after
        ]

    def _truncated(self) -> Iterator[Difference]:
        if not self._log.begins:
            yield Difference("events.missing", self._log.topic, "there is no such topic")
        for partition, offset in self._log.begins.items():
            if offset > 0:
                text = f"it begins at offset {offset}: what came before is gone, and with it what the entities were made of"
                yield Difference("events.truncated", f"{self._log.topic}/{partition}", text)

    async def _read_topics(self, topics: Topics) -> list[Difference]:
        """Read the output topics, entities first, since what others say is followed through them."""
        missing = []
        for word in (*COMPACTED, "participants", "timeline"):
            async with TopicReader(self._settings, self._settings.topic(word)) as reader:
                add = topics.reader(word)
                await reader.read(add)
                if len(reader.begins) != self._settings.partitions:
                    text = f"it has {len(reader.begins)} partitions, the settings say {self._settings.partitions}"
                    missing.append(Difference(f"{word}.partitions", reader.topic, text))
        return missing


def _rounds(dump: Dump, topics: Topics) -> Iterator[Difference]:
    """Check that no version on a partition is above the number of its shard's last round."""
    told = {**{word: topic.highest for word, topic in topics.compacted.items()}, "timeline": topics.timeline.highest}
    for word, highest in told.items():
        for partition, version in sorted(highest.items()):
            if version > dump.rounds.get(partition, 0):
                text = f"{word} has version {version}, but the shard's last round in Redis is {dump.rounds.get(partition, 0)}"
                yield Difference("redis.round", f"shard {partition}", text)


def _checked(expected: Expected, dump: Dump, topics: Topics) -> dict[str, int]:
    """Count what was compared."""
    return {
        "events": expected.counts.events,
        "rejected": expected.counts.rejected,
        "without a usable identifier": expected.counts.without_identifier,
        "identifiers": len(expected.identifiers),
        "links": len(expected.links),
        "commands": expected.commanded.read,
        "entities": len(expected.entities),
        "memberships": len(expected.memberships),
        "participants": len(expected.participants),
        "nodes in Redis": len(dump.nodes),
        "records on topics": topics.records,
    }
