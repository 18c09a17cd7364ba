"""The goal of a replay: where the event log and the commands end, and how far a space has come on the way there.

Invariant: the logs are only asked for their ends. Neighbours: `rebuild` goes after it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from resolvers.errors import KafkaUnavailable
from resolvers.port import Ends, Resolver
from streams import kafka
from streams.patience import patiently
from streams.recovery import LOGS
from streams.settings import Settings
from streams.topics import places_of

MANY_EVENTS = 1_000
"""Fewer events than these, come while the log was replayed, are left to the workers that follow."""


class Logs:
    """The event log and the commands: where they end, and up to where a space has applied them."""

    def __init__(self, settings: Settings, resolver: Resolver, consumer: AIOKafkaConsumer, places: Mapping[TopicPartition, str]) -> None:
        """Keep a started consumer and each partition with the name of its log."""
        self._settings = settings
        self._resolver = resolver
        self._consumer = consumer
        self._places = places

    async def ends(self) -> dict[tuple[str, int], int]:
        """Give the offset after the last record of each partition."""

        async def ask() -> dict[TopicPartition, int]:
            try:
                found: dict[TopicPartition, int] = await self._consumer.end_offsets(list(self._places))
            except KafkaError as error:
                raise KafkaUnavailable(f"Kafka at {self._settings.kafka.bootstrap_servers} does not tell its offsets: {error!r}") from error
            return found

        ends = await patiently(ask, "the ends of the logs", self._settings.kafka.connect_seconds)
        return {(self._places[place], place.partition): end for place, end in ends.items()}

    async def applied(self) -> dict[tuple[str, int], int]:
        """Give the position of each partition."""

        async def ask() -> dict[tuple[str, int], int]:
            known = [(log, place.partition) for place, log in self._places.items()]
            return {(log, partition): (await self._resolver.position(log, partition)).offset for log, partition in known}

        return await patiently(ask, "positions", self._settings.redis.connect_seconds)


def events_in(offsets: Ends) -> int:
    """Count the events before some offsets; commands are not among them."""
    return sum(offset for (log, _), offset in offsets.items() if log == "events")


def reached(goal: Ends, applied: Ends) -> bool:
    """Say whether both logs are applied up to a goal."""
    return all(applied.get(place, 0) >= end for place, end in goal.items())


def events_of(applied: Ends, goal: Ends) -> int:
    """Count the applied events that lie before a goal."""
    return events_in({place: min(applied.get(place, 0), end) for place, end in goal.items()})


def goal_after(former: Ends, ends: Ends, replayed: int) -> Ends:
    """Choose up to where to go on when a goal is reached: what came meanwhile is replayed too while that gets less.

    `replayed` is how many events the former goal took. A log that grows half as fast as it is replayed is left to the
    workers that follow: a goal that moves away would never be reached.
    """
    came = events_in(ends) - events_in(former)
    return ends if MANY_EVENTS <= came <= replayed / 2 else former


@asynccontextmanager
async def reading(target: Settings, resolver: Resolver) -> AsyncIterator[Logs]:
    """Connect to the logs of a space. Their partitions stay those that there are now."""
    client = await kafka.started(kafka.admin(target, what="rebuild"), target.kafka, "rebuild")
    try:
        names = {target.topic(log): log for log in LOGS}
        places = {place: names[place.topic] for place in await places_of(client, names)}
    finally:
        await client.close()
    consumer = await kafka.started(kafka.consumer(target, what="rebuild"), target.kafka, "rebuild")
    try:
        yield Logs(target, resolver, consumer, places)
    finally:
        await consumer.stop()
