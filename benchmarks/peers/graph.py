"""The project's own graph in Redis, through the resolver's port: sightings are applied, and what they changed is told.

Without Kafka: what would be written to the identifiers' topic is written to the table. Guards never take effect, so that an entity is a
connected component.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import ClassVar, TextIO
from uuid import uuid4

from redis.asyncio import Redis

from benchmarks.peers.sightings import Sighting, read_sightings
from resolvers.evidence import evidence_of
from resolvers.port import Round
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.sighting import Batch, Position
from streams.bench.meters import redis_cpu_seconds
from streams.events import Event, Identifier, Participant
from streams.portions import EVENTS
from streams.publish import encode_round
from streams.settings import EntitySettings, HubSettings, IdentifierSettings

SHARDS, ROUND_KEYS, SWEPT = 6, 1_000, 1_000
NEVER = 10**9
IDENTIFIERS = {
    "user_id": IdentifierSettings(),
    "email": IdentifierSettings(hub=HubSettings(of="user_id", over=NEVER)),
    "anonymous_id": IdentifierSettings(hub=HubSettings(of="user_id", over=NEVER)),
}
RULES = Rules.from_settings({"person": EntitySettings(identifiers=IDENTIFIERS, size=NEVER)}, b"a key")


class Graph:
    """The graph in a Redis of its own, one client, one call at a time."""

    needs: ClassVar[tuple[str, ...]] = ()
    reached: dict[str, float]

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._redis: Redis = Redis.from_url(url)
        self._resolver = RedisResolver(url, RULES, f"peers-{uuid4().hex[:8]}", SHARDS)
        self._offset = 0
        self._runner.run(self._resolver.open())

    def load(self, records: Path, table: Path) -> None:
        """Apply everything, then tell everything."""
        with table.open("w", encoding="utf-8") as file:
            self._runner.run(self._resolve(read_sightings([records]), file))

    def more(self, records: Path, later: Path, table: Path) -> None:  # noqa: ARG002 - what is applied stays
        """Apply the first alone, as it would come in a stream, then the others; tell what changed."""
        sightings = read_sightings([later])
        with table.open("a", encoding="utf-8") as file:
            self._runner.run(self._apply(islice(sightings, 1)))
            self.reached["first"] = time.perf_counter()
            self._runner.run(self._resolve(sightings, file))

    def show(self, table: Path) -> None:
        """Write nothing: what was told is in the table."""

    def elsewhere(self) -> tuple[float, float]:
        """Tell what Redis has spent."""
        return self._runner.run(self._spent())

    def close(self) -> None:
        """Delete the space, and give the connections back."""
        self._runner.run(self._end())
        self._runner.close()

    async def _resolve(self, sightings: Iterable[Sighting], file: TextIO) -> None:
        await self._apply(sightings)
        while await self._resolver.settle() + await self._resolver.sweep(SWEPT):
            pass
        self.reached["resolved"] = time.perf_counter()
        for shard in range(SHARDS):
            while isinstance(taken := await self._resolver.take(shard, ROUND_KEYS, 0), Round):
                await self._resolver.keep(taken, encode_round(taken, 0))
                file.writelines(_rows(taken))
                await self._resolver.finish(taken)

    async def _apply(self, sightings: Iterable[Sighting]) -> None:
        sightings = iter(sightings)
        while evidence := tuple(evidence_of(RULES, _event(one)) for one in islice(sightings, EVENTS)):
            end = Position(self._offset + len(evidence), 1)
            await self._resolver.apply(Batch("events", 0, self._offset, end, evidence))
            await self._resolver.sweep(SWEPT)
            self._offset = end.offset

    async def _spent(self) -> tuple[float, float]:
        memory = await self._redis.info("memory")
        return await redis_cpu_seconds(self._redis), int(memory["used_memory"]) / 1024**2

    async def _end(self) -> None:
        await self._resolver.drop()
        await self._resolver.close()
        await self._redis.aclose()


def _event(seen: Sighting) -> Event:
    identifiers = [Identifier(*one.split(":", 1)) for one in seen.identifiers]
    return Event(seen.id, "bench", "seen", seen.at, participants=[Participant("person", "", identifiers)])


def _rows(taken: Round) -> Iterator[str]:
    for record in taken.records:
        if record.topic == "identifiers" and (value := record.value) is not None:
            yield f"{value['type']}:{value['value']}\t{value['entity_id']}\n"
