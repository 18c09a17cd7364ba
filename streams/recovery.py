"""Recovery: what a worker does when Redis turns out to know less than Kafka.

Invariant: a recovery begins once however many workers notice the loss, and nobody is asked for anything: the events
are read again from Redis's positions, publishing waits until they are applied, and then the topics are read.
Neighbours: `positions` and `publish` notice losses; `told` reads the topics.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
from aiokafka.errors import KafkaError

from resolvers.errors import KafkaUnavailable, Retryable, StoreLost
from resolvers.port import Ends, Resolver
from streams import kafka
from streams.patience import patiently
from streams.settings import Settings
from streams.topics import places_of

log = structlog.get_logger(__name__)

LOGS = ("events", "commands")
"""The logs that the graph is made of."""


class Recovering(Protocol):
    """What the stages ask for when Redis turns out to have lost writes."""

    async def begin(self, reason: str, shard: int | None = None, told: int = 0) -> None:
        """Have publishing wait for the logs, and every shard's topics read, unless that is under way."""

    async def read_ahead(self, shard: int) -> None:
        """Read a shard's compacted topics ahead, while the logs are being applied. Cheap to repeat."""

    async def read(self, shard: int) -> None:
        """Read a shard's compacted topics and tell the resolver. Raises Fenced when another worker reads them."""

    def forget(self, shard: int) -> None:
        """Give up what was read ahead of a shard: somebody else may publish it now."""


class Topics(Protocol):
    """What was told, as the topics have it."""

    async def read_ahead(self, shard: int) -> None:
        """Read a shard's compacted topics into memory. Does nothing the second time."""

    async def read(self, shard: int) -> None:
        """Give the resolver the last record of every key of a shard. Raises Fenced when another worker reads it."""

    def forget(self, shard: int) -> None:
        """Give up what was read ahead of a shard."""


class Recovery:
    """Begins recoveries of one space."""

    def __init__(
        self,
        resolver: Resolver,
        ends: Callable[[], Awaitable[Ends]],
        topics: Topics,
        patience_seconds: float,
        begun: Callable[[], None] = lambda: None,
    ) -> None:
        """Keep the parts: `ends` asks where the logs end now; `begun` is told when a recovery has begun here."""
        self._resolver = resolver
        self._ends = ends
        self._topics = topics
        self._patience_seconds = patience_seconds
        self._begun = begun

    async def begin(self, reason: str, shard: int | None = None, told: int = 0) -> None:
        """Have publishing wait for the logs, and every shard's topics read, unless that is under way.

        Raises KafkaUnavailable, RedisUnavailable.
        """

        async def begin() -> bool:
            ends = await self._ends()
            try:
                return await self._resolver.recover(ends, shard, told)
            except StoreLost as loss:
                raise LostAgain(str(loss)) from loss

        if await patiently(begin, "beginning a recovery", self._patience_seconds):
            self._begun()
            log.warning("redis has lost writes; nothing is published until the log is applied again", reason=reason)

    async def read(self, shard: int) -> None:
        """Read a shard's compacted topics and tell the resolver. Raises Fenced when another worker reads them."""
        await self._topics.read(shard)

    async def read_ahead(self, shard: int) -> None:
        """Read a shard's compacted topics ahead, while the logs are being applied. Cheap to repeat."""
        await self._topics.read_ahead(shard)

    def forget(self, shard: int) -> None:
        """Give up what was read ahead of a shard: somebody else may publish it now."""
        self._topics.forget(shard)


class LostAgain(Retryable):
    """The space was replaced while the recovery began; it is open again, so the same call may work now."""


async def log_ends(settings: Settings) -> Ends:
    """Ask Kafka where the logs end. Raises KafkaUnavailable."""
    client = await kafka.started(kafka.admin(settings, what="recovery"), settings.kafka, "recovery")
    try:
        consumer = await kafka.started(kafka.consumer(settings, what="recovery"), settings.kafka, "recovery")
        try:
            places = await places_of(client, [settings.topic(name) for name in LOGS])
            ends = await consumer.end_offsets(places)
        except KafkaError as error:
            raise KafkaUnavailable(f"the ends of the logs can't be read: {error!r}") from error
        finally:
            await kafka.stop(consumer)
    finally:
        await kafka.stop(client)
    words = {settings.topic(name): name for name in LOGS}
    return {(words[place.topic], place.partition): int(end) for place, end in ends.items()}
