"""A worker that settles a case dies or stands still at any of its calls; whoever goes on ends where the specification does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from resolvers import redis_settling
from resolvers.correction import Kind
from resolvers.memory import MemoryResolver
from resolvers.port import Resolver
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.scripts import Bounds, Reply
from streams.settings import EntitySettings, HubSettings, IdentifierSettings
from tests.contracts.test_resolver_corrections import say
from tests.histories import KEY, batch, documents, event, person, written

OWNERS = 7
RULES = Rules.from_settings(
    {
        "person": EntitySettings(
            identifiers={
                "user_id": IdentifierSettings(limit=1),
                "email": IdentifierSettings(hub=HubSettings(of="user_id", over=99)),
                "device": IdentifierSettings(),
            }
        )
    },
    KEY,
)
SEEN = [
    *(event(f"{name}{n}", f"9:0{n}", person(f"user_id:{name}{n}", f"email:{name}")) for name in "ab" for n in range(OWNERS)),
    *(event(f"d{name}", "9:30", person(f"email:{name}", "device:d")) for name in "ab"),
]


class _DiedError(Exception):
    """The worker is gone."""


class Mortal(RedisResolver):
    """Dies after so many steps of settling, if told to; then nothing that it does reaches Redis any more."""

    left: float = float("inf")

    async def _call(self, command: str, *arguments: bytes | str | int) -> tuple[Reply, list[Any]]:
        if command == "settle":
            if self.left == 0:
                raise _DiedError
            self.left -= 1
        return await super()._call(command, *arguments)


Workers = Callable[[], Mortal]


@pytest.fixture(params=[250, 3], ids=lambda portion: f"portions of {portion}")
async def worker(redis_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Workers]:
    """Give workers of one space. Cases are settled in steps of two parts, and forgotten by the dead at once."""
    made: list[Mortal] = []
    space, bounds = f"cut-{uuid4().hex}", Bounds(inline=2, steps=2, moved=3, portion=request.param, patience=0, lease_ms=1)

    def make() -> Mortal:
        made.append(Mortal(redis_url, RULES, space, 2, 16, bounds))
        return made[-1]

    yield make
    await made[0].drop()
    for one in made:
        await one.close()


async def apart(resolver: Resolver) -> None:
    """Let a device join the owners of two emails, and then take it away."""
    await resolver.apply(batch(SEEN, rules=RULES))
    await documents(resolver)
    await say(resolver, Kind.BLOCK, "device:d")
    while (await resolver.backlog()).sweeps:
        await resolver.sweep(100)


async def owners_blocked(resolver: Resolver) -> list[bytes]:
    """Block the owner of each email in turn, and look who comes after him."""
    found = [written(await documents(resolver))]
    for n in range(OWNERS):
        for name in "ab":
            await say(resolver, Kind.BLOCK, f"user_id:{name}{n}", command_id=f"{name}{n}")
        found.append(written(await documents(resolver)))
    return found


async def test_a_settlement_that_was_cut_off_anywhere_is_taken_up(worker: Workers, redis_url: str) -> None:
    memory = MemoryResolver(RULES, 2)
    await apart(memory)
    expected = await owners_blocked(memory)
    steps = 0
    while True:
        mortal, heir = worker(), worker()
        await mortal.open()
        await mortal.drop()
        await mortal.open()
        await heir.open()
        await apart(mortal)
        mortal.left = steps
        try:
            while (await mortal.backlog()).cases:
                await mortal.settle()
        except _DiedError:
            assert await owners_blocked(heir) == expected, f"after {steps} steps"
        else:
            break
        steps += 1
    assert steps > OWNERS / 2, "the owners of an email were not released in several steps"


class Stalled(Mortal):
    """Stands still before one of its calls to read evidence, as if frozen."""

    at: float = float("inf")
    meanwhile: Callable[[], Awaitable[object]]

    async def _call(self, command: str, *arguments: bytes | str | int) -> tuple[Reply, list[Any]]:
        if command == "evidence":
            if self.at == 0:
                await self.meanwhile()
            self.at -= 1
        return await super()._call(command, *arguments)


async def test_who_wakes_up_while_reading_a_case_that_another_settled_reads_no_further(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_settling, "ROWS_AT_ONCE", 2)
    memory = MemoryResolver(RULES, 2)
    await apart(memory)
    expected = written(await documents(memory))
    at = 0
    while True:
        space, bounds = f"stalled-{uuid4().hex}", Bounds(inline=2, patience=0, lease_ms=1)
        stalled, other = Stalled(redis_url, RULES, space, 2, 16, bounds), RedisResolver(redis_url, RULES, space, 2, 16, bounds)
        await stalled.open()
        await other.open()
        await apart(stalled)
        stalled.at, stalled.meanwhile = at, partial(documents, other)
        async with asyncio.timeout(10):
            await stalled.settle()
        stood = stalled.at < 0
        assert written(await documents(other)) == expected, f"before call {at}"
        await other.drop()
        await stalled.close()
        await other.close()
        if not stood:
            break
        at += 1
    assert at > OWNERS
