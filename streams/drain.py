"""Draining: how far a pipeline is behind what was written to its raw topics, stage by stage.

Neighbours: bounded runs, the demo and tests wait for `behind` to become nothing; it asks Kafka and the resolver only,
so it says the same whoever does the work.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError

from resolvers.errors import KafkaUnavailable, NexusError, StoreLost
from resolvers.port import Backlog, Resolver
from streams import kafka
from streams.settings import Settings
from streams.topics import places_of

POLL_SECONDS = 0.2
PACE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Behind:
    """Records that a stage has yet to handle, and what the outbox has yet to tell."""

    raw: int
    events: int
    commands: int
    backlog: Backlog

    @property
    def nothing(self) -> bool:
        """Say whether everything that was written has come out."""
        return not (self.raw or self.events or self.commands) and self.backlog.empty

    def __str__(self) -> str:
        """Say in words what is behind."""
        parts = ((self.raw, "source records"), (self.events, "events"), (self.commands, "commands"), (self.backlog.dirty, "output keys"))
        said = [f"{count:,} {what}" for count, what in parts if count]
        said += ["rounds in flight"] * bool(self.backlog.in_flight) + ["sweeps"] * bool(self.backlog.sweeps)
        said += ["cases to settle"] * bool(self.backlog.cases)
        said += ["events to be read again"] * bool(self.backlog.rereads)
        said += ["shards in recovery"] * bool(self.backlog.recovering)
        return ", ".join(said) or "nothing"


class Stillness:
    """For how long one measure has been the same as the last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: Behind | None = None
        self._since = clock()

    def after(self, behind: Behind) -> float:
        """Note a measure; give the seconds since one was different."""
        now = self._clock()
        if behind != self._last:
            self._last, self._since = behind, now
        return now - self._since


def stalled(behind: Behind, seconds: float) -> NexusError:
    """Make the error of a pipeline in which nothing has moved for so long."""
    return NexusError(f"nothing has moved for {seconds:g} s, and still to do: {behind}")


class Drain:
    """Measures one pipeline. Made by `measuring`."""

    def __init__(self, settings: Settings, resolver: Resolver, consumer: AIOKafkaConsumer, client: AIOKafkaAdminClient) -> None:
        """Keep what is asked: started clients and an open resolver."""
        self._settings = settings
        self._resolver = resolver
        self._consumer = consumer
        self._client = client

    async def behind(self) -> Behind:
        """Measure once. Upstream is measured first, so that nothing hides between two stages."""
        try:
            raw = await self._raw()
            events = await self._applied("events")
            commands = await self._applied("commands")
        except KafkaError as error:
            raise KafkaUnavailable(f"Kafka at {self._settings.kafka.bootstrap_servers} does not tell its offsets: {error!r}") from error
        return Behind(raw, events, commands, await self._backlog())

    async def _backlog(self) -> Backlog:
        """Count what is not told; a space that was replaced is open again after the loss is noticed."""
        try:
            return await self._resolver.backlog()
        except StoreLost:
            return await self._resolver.backlog()

    async def wait(self, seconds: float, report: Callable[[Behind], None] = lambda _: None) -> Behind:
        """Wait until nothing is behind, or until nothing has moved for so many seconds; gives the last measure."""
        stillness = Stillness()
        while True:
            behind = await self.behind()
            report(behind)
            if behind.nothing or stillness.after(behind) > seconds:
                return behind
            await asyncio.sleep(POLL_SECONDS)

    async def keep_up(self, most: int, seconds: float, report: Callable[[Behind], None] = lambda _: None) -> None:
        """Wait until at most so many records are between the raw topics and the graph.

        Raises NexusError when nothing has moved for so many seconds.
        """
        stillness = Stillness()
        while (behind := await self.behind()).raw + behind.events > most:
            report(behind)
            if stillness.after(behind) > seconds:
                raise stalled(behind, seconds)
            await asyncio.sleep(PACE_SECONDS)

    async def _raw(self) -> int:
        places = await places_of(self._client, (source.topic for source in self._settings.sources.values()))
        ends = await self._consumer.end_offsets(places)
        try:
            committed = await self._client.list_consumer_group_offsets(kafka.group_id(self._settings, "adapt"), partitions=places)
        except GroupCoordinatorNotAvailableError:  # a Kafka on which no group has committed yet
            committed = {}
        return sum(max(0, end - max(0, committed[place].offset if place in committed else 0)) for place, end in ends.items())

    async def _applied(self, log: str) -> int:
        places = await places_of(self._client, [self._settings.topic(log)])
        ends = await self._consumer.end_offsets(places)
        return sum([max(0, end - (await self._resolver.position(log, place.partition)).offset) for place, end in ends.items()])


@asynccontextmanager
async def measuring(settings: Settings, resolver: Resolver) -> AsyncIterator[Drain]:
    """Connect a Drain to a pipeline whose topics exist."""
    client = await kafka.started(kafka.admin(settings, what="drain"), settings.kafka, "drain")
    consumer = await kafka.started(kafka.consumer(settings, what="drain"), settings.kafka, "drain")
    try:
        yield Drain(settings, resolver, consumer, client)
    finally:
        await consumer.stop()
        await client.close()
