"""Reading letters from Kafka: all of them once for what they are, then those that are needed for what they hold.

Invariant: only what is committed is read, and nothing is written. Memory is a fetch per partition.
Neighbours: `ledger` keeps what was read, `replay` and the command line ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition

from resolvers.errors import KafkaUnavailable, NexusError
from streams import kafka
from streams.dump import whole_topic
from streams.letters.ledger import Ledger
from streams.letters.letter import Letter, Name, Receipt
from streams.letters.selection import Selection
from streams.sender import ended
from streams.settings import Settings
from streams.topics import places_of

NEAR_OFFSETS = 500
"""A letter that is no further away than this is reached by reading on: seeking throws away what was fetched."""

WAIT_MS = 1_000
TRIES = 30
"""How often a letter that is there is asked for, each time for `WAIT_MS`."""


@dataclass(frozen=True, slots=True)
class Found:
    """One letter with all that lies there of it. `name` is what was asked for: a copy or a receipt leads to its letter."""

    name: Name
    letter: Letter
    record: ConsumerRecord
    receipts: Sequence[Receipt]


async def letters_places(settings: Settings) -> list[TopicPartition]:
    """List the partitions of the dead-letters topic. Raises NexusError where there is none."""
    topic = settings.topic("dead-letters")
    client = await kafka.started(kafka.admin(settings, what="letters"), settings.kafka, "letters")
    try:
        places = await places_of(client, [topic])
    finally:
        await client.close()
    if not places:
        at = settings.kafka.bootstrap_servers
        raise NexusError(f"there is no topic {topic} at {at}: `nexus worker` makes it; or check topics.prefix in the settings")
    return places


async def read_ledger(settings: Settings, selection: Selection) -> Ledger:
    """Read the whole dead-letters topic up to its present end."""
    ledger = Ledger(selection)
    async for record in whole_topic(settings, await letters_places(settings)):
        ledger.add(record)
    return ledger


async def find(settings: Settings, name: Name) -> Found:
    """Read one letter and its receipts. Raises NexusError where nothing has that name."""
    ledger = await read_ledger(settings, Selection(names=frozenset([name])))
    for letter in ledger.letters():
        async with aclosing(fetched(settings, [letter])) as records:
            async for _, record in records:
                return Found(name, letter, record, ledger.receipts(letter))
    raise NexusError(no_letter(settings, [name]))


def no_letter(settings: Settings, names: Sequence[Name]) -> str:
    """Say which names are no letter's."""
    listed = ", ".join(map(str, names[:10])) + (f" and {len(names) - 10:,} more" if len(names) > 10 else "")
    return f"{settings.topic('dead-letters')} has no letter {listed}: `nexus dead-letters list --state all` shows those there are"


async def fetched(settings: Settings, letters: Sequence[Letter]) -> AsyncGenerator[tuple[Letter, ConsumerRecord]]:
    """Give the records of letters, one after the other, partition by partition in the order of their offsets.

    Raises KafkaUnavailable; NexusError for a letter that was removed since the ledger was read.
    """
    ordered = sorted(letters, key=lambda letter: letter.name)
    topic = settings.topic("dead-letters")
    first: dict[TopicPartition, int] = {}
    for letter in ordered:
        first.setdefault(TopicPartition(topic, letter.name.partition), letter.name.offset)
    consumer = await kafka.started(kafka.consumer(settings, what="letters"), settings.kafka, "letters")
    try:
        consumer.assign(list(first))  # once: aiokafka's consumer may not stop any more after a second assignment
        for place, offset in first.items():
            consumer.seek(place, offset)
        positions = dict(first)
        for letter in ordered:
            place = TopicPartition(topic, letter.name.partition)
            if letter.name.offset - positions[place] > NEAR_OFFSETS:
                consumer.seek(place, letter.name.offset)
            yield letter, await _record(consumer, place, letter.name.offset)
            positions[place] = letter.name.offset + 1
    finally:
        await ended(consumer)


async def _record(consumer: AIOKafkaConsumer, place: TopicPartition, offset: int) -> ConsumerRecord:
    """Read on until an offset."""
    tries = 0
    while tries < TRIES:
        try:
            records = (await consumer.getmany(place, timeout_ms=WAIT_MS, max_records=1)).get(place, [])
        except KafkaError as error:
            if not error.retriable:
                raise NexusError(f"the dead letter {place.partition}:{offset} can't be read: {error!r}") from error
            records = []
            await asyncio.sleep(WAIT_MS / 1000)
        tries += 0 if records else 1
        for record in records:
            if record.offset == offset:
                return record
            if record.offset > offset:
                raise NexusError(f"the dead letter {place.partition}:{offset} is there no more: Kafka has removed it meanwhile")
    raise KafkaUnavailable(f"Kafka does not give the dead letter {place.partition}:{offset}")
