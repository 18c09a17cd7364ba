"""The feed: writes a stream's records to the raw topic at a steady rate, now and then a command, and remembers which Kafka acknowledged.

Invariant: a record is remembered once Kafka has acknowledged it, and none is given up while the feed runs, so what
is remembered is what must be accounted for. Neighbours: `rounds` runs it, `judge` is given what it remembers.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial

from aiokafka import AIOKafkaProducer

from streams import kafka
from streams.sender import Outgoing, Sender, send_all
from streams.settings import Settings
from tests.chaos.stream import Stream

RECORDS_PER_SECOND = 300
LONGEST_PAUSE_SECONDS = 0.4
COMMANDING = 0.25
"""Of the bursts, so many are followed by an operator's commands."""

PATIENCE_SECONDS = 120.0


class Feed:
    """The writing end of one world. Made by `feeding`."""

    def __init__(self, settings: Settings, stream: Stream, sender: Sender) -> None:
        self.sent: list[bytes] = []
        self._raw = settings.sources["crowd"].topic
        self._commands = settings.topic("commands")
        self._stream = stream
        self._sender = sender

    @asynccontextmanager
    async def flowing(self, pick: random.Random) -> AsyncIterator[None]:
        """Write records while the block runs; when it has ended, all that was begun is acknowledged."""
        stopping = asyncio.Event()
        flow = asyncio.ensure_future(self._flow(pick, stopping))
        try:
            yield
        finally:
            stopping.set()
            await flow

    async def poison(self, count: int) -> None:
        """Write a burst of bad source records."""
        await self._write(self._stream.poison(count))

    async def junk(self, records: Iterable[Outgoing]) -> None:
        """Write what no source writes, to any topic; it is not remembered."""
        await send_all(self._sender, list(records))

    async def _flow(self, pick: random.Random, stopping: asyncio.Event) -> None:
        """Write bursts of different sizes with pauses between, at about the rate."""
        while not stopping.is_set():
            pause = pick.uniform(0, LONGEST_PAUSE_SECONDS)
            await self._write(self._stream.next(max(1, round(pause * RECORDS_PER_SECOND))))
            if pick.random() < COMMANDING:
                said = self._stream.commands(pick.randint(1, 3))
                await send_all(self._sender, [Outgoing(self._commands, key, value) for key, value in said])
            await asyncio.sleep(pause)

    async def _write(self, values: list[bytes]) -> None:
        await send_all(self._sender, [Outgoing(self._raw, None, value) for value in values])
        self.sent += values


@asynccontextmanager
async def feeding(settings: Settings, stream: Stream) -> AsyncIterator[Feed]:
    """Connect a feed to a world whose topics exist; `settings` are those with the servers' own addresses."""
    sender = Sender(partial(_producer, settings), settings.kafka.bootstrap_servers, PATIENCE_SECONDS)
    await sender.start()
    try:
        yield Feed(settings, stream, sender)
    finally:
        await sender.stop()


async def _producer(settings: Settings) -> AIOKafkaProducer:
    return await kafka.started(kafka.producer(settings, what="feed"), settings.kafka, "feed")
