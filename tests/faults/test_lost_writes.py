"""Redis comes back older or empty, at any moment: workers notice by themselves, and the topics end up right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import pytest

from tests.faults.cases import Cases
from tests.faults.conftest import MakeWorld
from tests.faults.crashing import Call, Life
from tests.faults.judging import judge, right
from tests.faults.world import RedisStore, World

COARSE = 12
"""Every how manieth write is lost on from, and up to, in the coarse grid."""

EMPTY = 5
"""After every how manieth call the space is found empty."""

pytestmark = pytest.mark.parametrize("make_world", ["redis"], indirect=True)

Loss = tuple[int, int]
"""The space is copied after one call, 0 for an empty copy, and put back after another."""


def one_write_lost(calls: list[Call]) -> Iterator[Loss]:
    """Lose each write to the store alone, at every moment before the next."""
    copied, written = 0, 0
    for number, call in enumerate(calls, 1):
        if call.changes and call.asks_the_store:
            copied, written = written, number
        if call.changes:
            yield copied, number


def many_writes_lost(calls: list[Call]) -> Iterator[Loss]:
    """Lose all that was written between moments of a coarse grid."""
    writes = [number for number, call in enumerate(calls, 1) if call.changes and call.asks_the_store]
    changes = [number for number, call in enumerate(calls, 1) if call.changes]
    yield from ((copied, after) for copied in writes[::COARSE] for after in changes[::COARSE] if copied < after)


def everything_lost(calls: list[Call]) -> Iterator[Loss]:
    """Lose everything at every few moments."""
    yield from ((0, number) for number in range(1, len(calls) + 1, EMPTY))


@pytest.mark.parametrize("dies", [False, True], ids=["the worker goes on", "the worker dies"])
@pytest.mark.parametrize("losses", [one_write_lost, many_writes_lost, everything_lost])
async def test_the_store_comes_back_older(make_world: MakeWorld, losses: Callable[[list[Call]], Iterator[Loss]], dies: bool) -> None:
    expected = await right()
    async with make_world() as world:
        calls = (await world.live(Life())).calls
    with Cases() as cases:
        for copied, lost in losses(calls):
            since = calls[copied - 1].name if copied else "the beginning"
            with cases.case(f"what was written since {since} is lost after {calls[lost - 1].name}"):
                async with make_world() as world:
                    await live_through(world, copied, lost, dies=dies)
                    await judge(world, expected, forgetful=True)


async def live_through(world: World, copied: int, lost: int, *, dies: bool) -> None:
    """Copy the space after one call and put it back after another; the worker goes on by itself, or dies and is replaced."""
    store, copy = cast("RedisStore", world.store), dict[bytes, bytes]()

    async def then(number: int) -> None:
        if number == copied:
            copy.update(await store.copy())
        if number == lost:
            await store.put_back(copy)

    if dies:
        await world.live(Life(then=then, dies_after=lost))
        await world.live(Life())
        return
    async with world.worker(Life(then=then)) as worker:
        await worker.run()
        await worker.run()
