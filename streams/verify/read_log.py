"""Reading Kafka, for checking: a topic from its first record to its end, every partition, committed records only.

Invariant: nothing is committed and no group is joined. Reading again goes on where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Self

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord, TopicPartition

from streams import kafka
from streams.settings import Settings
from streams.topics import places_of

STALLED_SECONDS = 60.0
"""After so long without a record or any progress Kafka does not give the topic."""

POLL_MS = 500


class TopicReader(AbstractAsyncContextManager["TopicReader", None]):
    """One topic. Use it as an async context."""

    def __init__(self, settings: Settings, topic: str) -> None:
        """Keep the settings; nothing is asked before the context is entered."""
        self._settings = settings
        self._consumer: AIOKafkaConsumer = None  # made when Kafka has answered, so that none is left behind
        self.topic = topic
        self.begins: dict[int, int] = {}
        self.after_last: dict[int, int] = {}
        """By partition: the offset after the last record that was read."""

    async def __aenter__(self) -> Self:
        """Connect and go to the first record. A topic that is missing has no partitions. Raises KafkaUnavailable."""
        client = await kafka.started(kafka.admin(self._settings), self._settings.kafka, "admin")
        try:
            places = await places_of(client, [self.topic])
        finally:
            await client.close()
        self._consumer = await kafka.started(kafka.consumer(self._settings, what="verify"), self._settings.kafka, "verify")
        try:
            await self._go_to_the_beginning(places)
        except BaseException:
            await kafka.stop(self._consumer)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await kafka.stop(self._consumer)

    async def _go_to_the_beginning(self, places: list[TopicPartition]) -> None:
        self._consumer.assign(places)
        if places:
            self.begins = {place.partition: offset for place, offset in (await self._consumer.beginning_offsets(places)).items()}
        self.rewind()

    def rewind(self) -> None:
        """Go to the first record again."""
        for place in self._consumer.assignment():
            self._consumer.seek(place, self.begins[place.partition])
        self.after_last = dict.fromkeys(self.begins, 0)

    async def ends(self) -> dict[int, int]:
        """Ask where each partition ends now."""
        places = list(self._consumer.assignment())
        found = await self._consumer.end_offsets(places) if places else {}
        return {place.partition: offset for place, offset in found.items()}

    async def read(self, handle: Callable[[ConsumerRecord], Any]) -> dict[int, int]:
        """Hand every record up to the present ends to `handle`, and give these ends. Raises TimeoutError when Kafka stalls."""
        ends = await self.ends()
        progress = time.monotonic()
        waiting = await self._behind(ends)
        while waiting:
            batches = await self._consumer.getmany(*waiting, timeout_ms=POLL_MS)
            for place, records in batches.items():
                for record in records:
                    handle(record)
                if records:
                    self.after_last[place.partition] = records[-1].offset + 1
            before, waiting = waiting, await self._behind(ends)
            if batches or len(waiting) < len(before):
                progress = time.monotonic()
            elif time.monotonic() - progress > STALLED_SECONDS:
                raise TimeoutError(f"Kafka gave nothing more of {self.topic} for {STALLED_SECONDS:g} s, before its end")
        return ends

    async def _behind(self, ends: dict[int, int]) -> list[TopicPartition]:
        places = [TopicPartition(self.topic, partition) for partition in ends]
        return [place for place in places if await self._consumer.position(place) < ends[place.partition]]
