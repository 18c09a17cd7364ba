"""One conflicted component, four workers: they apply, settle, stop half-way and wake up late, and the end is the specification's."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from uuid import uuid4

import pytest

from resolvers.entity import Fact
from resolvers.evidence import evidence_of
from resolvers.folds import Link, world_of
from resolvers.instant import hour_of
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.scripts import Bounds
from resolvers.sighting import Batch, Evidence, Position
from streams.events import Event, Identifier, Membership, Participant
from streams.settings import EntitySettings, HubSettings, IdentifierSettings
from tests.histories import KEY, Documents, documents, written
from tests.telling import Topics, check_told, drain, publish

OPERATIONS, WORKERS, SHARDS = 10_000, 4, 2
LISTED = 1_000
RULES = Rules.from_settings(
    {
        "person": EntitySettings(
            identifiers={
                "user_id": IdentifierSettings(limit=1),
                "email": IdentifierSettings(hub=HubSettings(of="user_id", over=4)),
                "device": IdentifierSettings(hub=HubSettings(of="user_id", over=3)),
            },
            size=25,
        ),
        "group": EntitySettings(identifiers={"domain": IdentifierSettings()}),
    },
    KEY,
)


def operation(chance: random.Random, number: int) -> Evidence:
    """Make one event about a few of thirty users who share emails and devices."""
    kinds = [("user_id", 30), ("email", 40), ("device", 40)]
    named = [Identifier(kind, f"{kind[0]}{chance.randrange(count)}") for kind, count in chance.sample(kinds, chance.choice([1, 2, 2, 3]))]
    firm = Participant("group", "", [Identifier("domain", f"d{chance.randrange(5)}.example")])
    person = Participant("person", "", named, {"name": chance.choice("abc")})
    when = f"2024-05-{chance.randrange(1, 29):02}T{chance.randrange(24):02}:00:00.000Z"
    member = [Membership(0, 1, chance.choice(["owner", None]), chance.random() < 0.2)] if chance.random() < 0.3 else []
    return evidence_of(RULES, Event(f"e{number}", "test", "seen", when, participants=[person, firm], memberships=member))


async def specified(evidence: list[Evidence]) -> Documents:
    """Compute what the specification says, once."""
    from resolvers.memory import MemoryResolver  # noqa: PLC0415

    memory = MemoryResolver(RULES, SHARDS, LISTED)
    memory._kept.links, memory._kept.memberships = _gathered(evidence)
    return await documents(memory)


def _gathered(evidence: list[Evidence]) -> tuple[dict[bytes, Link], dict[tuple[bytes, bytes], set[tuple[Fact, bool]]]]:
    links: dict[bytes, Link] = {}
    memberships: dict[tuple[bytes, bytes], set[tuple[Fact, bool]]] = {}
    for one in evidence:
        event = Fact(one.occurred_at, one.source, one.event_id)
        for seen in one.sightings:
            links.setdefault(seen.link, Link(seen.identifiers, event, hour_of(event.occurred_at))).join(seen, event)
        for member in one.memberships:
            pair = one.sightings[member.member].link, one.sightings[member.group].link
            memberships.setdefault(pair, set()).add((replace(event, value=(member.role or "").encode()), member.ended))
    assert world_of(RULES, links, memberships, LISTED, 0).successors, "no identifier is a hub"
    return links, memberships


class Worker:
    """Applies its share in batches, settles, publishes its shard, and now and then stops in the middle of a settlement."""

    def __init__(self, resolver: RedisResolver, number: int, share: list[Evidence], topics: Topics, seed: int) -> None:
        self._resolver = resolver
        self._number = number
        self._share = share
        self._topics = topics
        self._chance = random.Random(seed)

    async def run(self) -> None:
        """Work until the share is applied."""
        offset = 0
        while offset < len(self._share):
            some = self._share[offset : offset + self._chance.randrange(1, 12)]
            end = Position(offset + len(some), 1)
            await self._resolver.apply(Batch("events", self._number, offset, end, tuple(some)))
            offset = end.offset
            await self._settle()
            if self._number < SHARDS and self._chance.random() < 0.3:
                await publish(self._resolver, self._topics, self._number, 20)
            await self._resolver.sweep(5)

    async def _settle(self) -> None:
        """Settle; or be cut off after some milliseconds, with the case in hand."""
        limit = self._chance.choice([0.001, 0.003, 0.01, None, None])
        try:
            async with asyncio.timeout(limit):
                await self._resolver.settle()
        except TimeoutError:
            return


@pytest.fixture
def seed() -> int:
    return random.randrange(10_000)


async def test_four_workers_race_over_one_conflicted_component(redis_url: str, seed: int) -> None:
    chance = random.Random(seed)
    evidence = [operation(chance, number) for number in range(OPERATIONS)]
    steps, moved, portion = chance.choice([1, 50]), chance.choice([1, 50]), chance.choice([2, 8, 250])
    bounds = Bounds(inline=4, listed=LISTED, steps=steps, moved=moved, portion=portion, patience=1, lease_ms=15)
    space, topics = f"race-{uuid4().hex}", Topics()
    workers = [RedisResolver(redis_url, RULES, space, SHARDS, 64, bounds) for _ in range(WORKERS)]
    try:
        for one in workers:
            await one.open()
        shares = [evidence[at::WORKERS] for at in range(WORKERS)]
        async with asyncio.TaskGroup() as racing:
            for at, one in enumerate(workers):
                racing.create_task(Worker(one, at, shares[at], topics, seed + at).run())
        found = await documents(workers[0])
        assert written(found) == written(await specified(evidence))
        await drain(workers[0], topics, SHARDS, 500)
        check_told(found, topics, LISTED)
    finally:
        await workers[0].drop()
        for one in workers:
            await one.close()
