"""A pipeline in few lines, for tests of the verification: events into a resolver, and its rounds into lists of records."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from random import Random
from typing import Any

import orjson

from resolvers.correction import CorrectionBatch
from resolvers.errors import Rejected
from resolvers.port import REREAD, Resolver
from resolvers.rules import Rules
from resolvers.sighting import Batch, Position
from streams.command import read_command
from streams.participants import participant_records
from streams.publish import by_topic, encode_round
from streams.resolve import read_event
from streams.settings import Settings
from streams.verify.compacted import TopicRecord
from tests.telling import take_round

TOPICS = ("entities", "identifiers", "memberships", "participants", "timeline")


def rules_of(settings: Settings) -> Rules:
    return Rules.from_settings(settings.entities, settings.digest_key, settings.states)


class Pipeline:
    """Resolves and publishes into lists; one list of records per topic, offsets counted per partition."""

    def __init__(self, settings: Settings, resolver: Resolver) -> None:
        self.settings = settings
        self.rules = rules_of(settings)
        self.resolver = resolver
        self.topics: dict[str, list[TopicRecord]] = {word: [] for word in TOPICS}
        self.offsets: dict[tuple[str, int], int] = {}
        self.logs: dict[int, list[bytes]] = {}

    async def run(self, logs: Sequence[Sequence[bytes]], chance: Random) -> None:
        """Apply partition by partition in batches of any size, publishing now and then."""
        cuts = {
            partition: sorted({0, len(log), *(chance.randrange(len(log) + 1) for _ in range(len(log) // 5))})
            for partition, log in enumerate(logs)
        }
        batches = [(partition, list(pairwise(cut))) for partition, cut in cuts.items()]
        while any(waiting for _, waiting in batches):
            partition, waiting = chance.choice([one for one in batches if one[1]])
            await self.apply(partition, waiting[0][0], logs[partition][slice(*waiting.pop(0))])
            if chance.random() < 0.3:
                await self.resolver.settle()
            if chance.random() < 0.5:
                await self.publish(limit=chance.choice((1, 5, 1000)), rounds=1)
        await self.drain()

    async def apply(self, partition: int, start: int, values: Sequence[bytes]) -> None:
        self.logs.setdefault(partition, []).extend(values)
        await self._apply("events", partition, start, values)

    async def read_again(self) -> None:
        """Apply once more what erasures ask for, a few events at a time."""
        while asked := await self.resolver.rereads():
            one = asked[0]
            await self._apply(REREAD, one.partition, one.start, self.logs[one.partition][one.start : min(one.start + 10, one.end)])

    async def _apply(self, log: str, partition: int, start: int, values: Sequence[bytes]) -> None:
        read = [one for one in (self._read(value) for value in values) if one is not None]
        end = Position(start + len(values), 0)
        applied = await self.resolver.apply(Batch(log, partition, start, end, tuple(evidence for _, evidence in read)))
        for (event, evidence), ids in zip(read, applied.entity_ids, strict=True):
            for record in participant_records("participants", event, evidence, ids):
                key = record.key or b""
                self.write("participants", sum(key) % self.settings.partitions, key, record.value)

    async def command(self, partition: int, start: int, values: Sequence[tuple[bytes, int]]) -> None:
        """Take commands in, each with its timestamp."""
        read = []
        for value, written in values:
            with suppress(Rejected):
                read.append(read_command(self.rules, value, written))
        await self.resolver.correct(CorrectionBatch("commands", partition, start, Position(start + len(values), 0), tuple(read)))

    async def publish(self, limit: int, rounds: int) -> bool:
        told = False
        for shard in range(self.settings.partitions):
            for _ in range(rounds):
                taken = await take_round(self.resolver, shard, limit, 0)
                if taken is None:
                    break
                told = True
                payload = encode_round(taken, 0, tombstones=self.settings.outputs.tombstones)
                await self.resolver.keep(taken, payload)
                for word, records in by_topic(payload, {one: one for one in TOPICS}).items():
                    for record in records:
                        self.write(word, shard, record.key or b"", record.value)
                await self.resolver.finish(taken)
        return told

    async def drain(self) -> None:
        while not (await self.resolver.backlog()).empty:
            await self.read_again()
            await self.resolver.settle()
            await self.resolver.sweep(50)
            await self.publish(limit=1000, rounds=100)

    def write(self, word: str, partition: int, key: bytes, value: bytes | None) -> None:
        offset = self.offsets[word, partition] = self.offsets.get((word, partition), -1) + 1
        self.topics[word].append(TopicRecord(partition, offset, key, value))

    def _read(self, value: bytes) -> Any:
        try:
            event, evidence = read_event(self.rules, value)
        except Rejected:
            return None
        return (event, evidence) if evidence.sightings else None


def event(number: int, at: str, *participants: dict[str, Any], memberships: Sequence[dict[str, Any]] = (), source: str = "crm") -> bytes:
    """Write an event."""
    return orjson.dumps(
        {
            "event_id": f"e{number}",
            "source": source,
            "name": "seen",
            "occurred_at": at,
            "participants": list(participants),
            "memberships": list(memberships),
        }
    )


def person(*identifiers: str, role: str = "", **traits: object) -> dict[str, Any]:
    """Write a participant; an identifier is `type:value`."""
    return participant("person", identifiers, role, traits)


def group(*identifiers: str, role: str = "", **traits: object) -> dict[str, Any]:
    return participant("group", identifiers, role, traits)


def participant(entity: str, identifiers: Sequence[str], role: str, traits: dict[str, object]) -> dict[str, Any]:
    named = [dict(zip(("type", "value"), one.split(":", 1), strict=True)) for one in identifiers]
    return {"entity": entity, "role": role, "identifiers": named, "traits": traits}
