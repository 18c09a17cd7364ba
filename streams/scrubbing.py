"""Scrubbing: the event log and the commands copied without what erasures cover, to topics of another prefix.

Invariant: the copy says of who is who just what the original says; what is left out counts for nothing any more. Nothing of the
original is changed or deleted. Neighbours: a space of its own is rebuilt from the copy, then the old topics can be deleted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord

from resolvers.erasure import Cutoffs, Erasure, cutoffs_with
from resolvers.errors import NexusError, Rejected
from resolvers.instant import read_instant
from resolvers.rules import Rules
from streams import kafka
from streams.adapt import event_key, priorities_of
from streams.command import Command, Named, decode_command, read_command, write_command
from streams.dump import whole_topic
from streams.events import Event, Participant, decode_event, encode_event
from streams.graph import rules_of
from streams.preflight import make_missing_topics
from streams.sender import Outgoing, Sender, send_all
from streams.settings import Settings
from streams.topics import places_of

AT_ONCE = 500


@dataclass(slots=True)
class Scrubbed:
    """What was copied: records of each log, and how much of them was left out."""

    events: int = 0
    participants_left_out: int = 0
    unreadable: int = 0
    commands: int = 0
    values_left_out: int = 0


def scrubbed_event(rules: Rules, event: Event, cutoffs: Cutoffs) -> tuple[Event, int]:
    """Leave out of an event what erasures cover; gives how many participants that were.

    A participant stays in its place without anything that was seen of it, so that the others keep their numbers; what describes the
    whole event goes with it.
    """
    at = read_instant(event.occurred_at)
    covered = [_is_covered(rules, one, at, cutoffs) for one in event.participants]
    if not any(covered):
        return event, 0
    left = [Participant(one.entity, one.role) if gone else one for one, gone in zip(event.participants, covered, strict=True)]
    return msgspec.structs.replace(event, participants=left, description=None, origin=None), sum(covered)


def _is_covered(rules: Rules, participant: Participant, at: int, cutoffs: Cutoffs) -> bool:
    found = (rules.usable(participant.entity, one.type, one.value) for one in participant.identifiers)
    return any(cutoffs.get(usable.digest, at) > at for usable in found if usable is not None)


def scrubbed_command(rules: Rules, command: Command, cutoffs: Cutoffs) -> tuple[Command, int]:
    """Name identifiers that were erased by their digests; gives how many values that left out."""
    named, count = [], 0
    for one in command.identifiers:
        entity_type = one.entity_type or next((name for name, rule in rules.entities.items() if one.type in rule.identifiers), "")
        usable = rules.usable(entity_type, one.type, one.value) if one.value and entity_type else None
        if usable is not None and usable.digest in cutoffs:
            named.append(Named(one.type, entity_type=entity_type, digest=usable.digest.hex()))
            count += 1
        else:
            named.append(one)
    return msgspec.structs.replace(command, identifiers=named), count


async def scrub(settings: Settings, prefix: str, progress: Callable[[Scrubbed], None]) -> Scrubbed:
    """Copy both logs as they end now, and how far the raw topics are adapted.

    Raises NexusError where the copy has begun already, KafkaUnavailable, KafkaError.
    """
    if prefix == settings.topics.prefix:
        raise NexusError(f"--to {prefix} is the prefix of the settings themselves")
    target = settings.model_copy(update={"topics": settings.topics.model_copy(update={"prefix": prefix})})
    await make_missing_topics(target)
    for word in ("events", "commands"):
        async with _records(target, word) as records:
            async for _ in records:
                raise NexusError(f"{target.topic(word)} is not empty: delete the topics of {prefix!r}, or choose another prefix")
    sender = Sender(lambda: _producer(settings), settings.kafka.bootstrap_servers, settings.kafka.connect_seconds)
    await sender.start()
    try:
        done = await _Scrubbing(settings, target, sender, progress).run()
    finally:
        await sender.stop()
    await _carry_positions(settings, target)
    return done


async def _carry_positions(settings: Settings, target: Settings) -> None:
    """Have the adapt stage of the copy go on in the raw topics where that of the original is, not at their beginnings."""
    client = await kafka.started(kafka.admin(settings), settings.kafka, "admin")
    try:
        places = await places_of(client, [source.topic for source in settings.sources.values()])
    finally:
        await client.close()
    committed = {}
    for one, word in ((settings, "read"), (target, "write")):
        group = kafka.group_id(one, "adapt")
        consumer = await kafka.started(kafka.consumer(one, what="scrub", group=group), one.kafka, "scrub")
        try:
            consumer.assign(places)
            if word == "read":
                found = {place: await consumer.committed(place) for place in places}
                committed = {place: offset for place, offset in found.items() if offset is not None}
            elif committed:
                await consumer.commit(committed)
        finally:
            await kafka.stop(consumer)


async def _producer(settings: Settings) -> AIOKafkaProducer:
    return await kafka.started(kafka.producer(settings, what="scrub"), settings.kafka, "scrub")


@asynccontextmanager
async def _records(settings: Settings, word: str) -> AsyncIterator[AsyncIterator[ConsumerRecord]]:
    client = await kafka.started(kafka.admin(settings), settings.kafka, "admin")
    try:
        places = await places_of(client, [settings.topic(word)])
    finally:
        await client.close()
    async with aclosing(whole_topic(settings, places)) as records:
        yield records


class _Scrubbing:
    """One copy."""

    def __init__(self, settings: Settings, target: Settings, sender: Sender, progress: Callable[[Scrubbed], None]) -> None:
        self._settings = settings
        self._target = target
        self._rules = rules_of(settings)
        self._priorities = priorities_of(settings.entities)
        self._sender = sender
        self._progress = progress
        self._done = Scrubbed()
        self._cutoffs: dict[bytes, int] = {}

    async def run(self) -> Scrubbed:
        async with _records(self._settings, "commands") as records:
            commands = [record async for record in records if record.value is not None]
        for record in commands:
            self._learn(record)
        await self._send([self._command(record) for record in commands])
        waiting: list[Outgoing] = []
        async with _records(self._settings, "events") as records:
            async for record in records:
                waiting.append(self._event(record))
                if len(waiting) >= AT_ONCE:
                    await self._send(waiting)
                    waiting = []
        await self._send(waiting)
        return self._done

    async def _send(self, outgoing: Sequence[Outgoing]) -> None:
        await send_all(self._sender, outgoing)
        self._progress(self._done)

    def _learn(self, record: ConsumerRecord) -> None:
        try:
            found = read_command(self._rules, record.value, record.timestamp)
        except Rejected:
            return
        if isinstance(found, Erasure):
            self._cutoffs = cutoffs_with(self._cutoffs, found)

    def _command(self, record: ConsumerRecord) -> Outgoing:
        self._done.commands += 1
        try:
            command, count = scrubbed_command(self._rules, decode_command(record.value), self._cutoffs)
        except Rejected:
            return Outgoing(self._target.topic("commands"), record.key, record.value)
        self._done.values_left_out += count
        return Outgoing(self._target.topic("commands"), record.key, write_command(command))

    def _event(self, record: ConsumerRecord) -> Outgoing:
        self._done.events += 1
        topic = self._target.topic("events")
        try:
            event, count = scrubbed_event(self._rules, decode_event(record.value or b""), self._cutoffs)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
            self._done.unreadable += 1
            return Outgoing(topic, record.key, record.value)
        if not count:
            return Outgoing(topic, record.key, record.value)
        self._done.participants_left_out += count
        return Outgoing(topic, event_key(event, self._priorities), encode_event(event))
