"""Every moment at which a worker can die or freeze, one by one: what comes out is what would have come out anyway."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress

from aiokafka.errors import KafkaError

from resolvers.errors import NexusError
from tests.faults.cases import Cases
from tests.faults.conftest import MakeWorld
from tests.faults.crashing import Call, Crash, Life
from tests.faults.judging import judge, right
from tests.faults.world import Worker, World

SEED = 4
FIRST_DEATHS = 4
SECOND_DEATHS = 12
"""Of each restart, where the store is slow."""

INTERLEAVED = 40

NOT_ASKED = ("adapt join", "resolve join", "resolver open", "publisher 0 write_markers", "publisher 1 write_markers")
"""What a process does before it begins, until it works, and what Kafka does by itself."""


async def test_undisturbed_everything_is_right(make_world: MakeWorld) -> None:
    async with make_world() as world:
        await world.live(Life())
        await judge(world, await right())


async def test_dying_after_any_call(make_world: MakeWorld) -> None:
    expected = await right()
    async with make_world() as world:
        calls = (await world.live(Life())).calls
    with Cases() as cases:
        for number in changes(calls):
            with cases.case(f"after {calls[number - 1].name}"):
                async with make_world() as world:
                    await world.live(Life(dies_after=number))
                    await world.live(Life())
                    await judge(world, expected)


async def test_dying_again_after_any_call_of_the_restart(make_world: MakeWorld, thorough: bool) -> None:
    expected, chance = await right(), random.Random(SEED)
    async with make_world() as world:
        calls = (await world.live(Life())).calls
    with Cases() as cases:
        for first in chance.sample(changes(calls), FIRST_DEATHS):
            async with make_world() as world:
                await world.live(Life(dies_after=first))
                again = (await world.live(Life())).calls
            seconds = changes(again) if thorough else chance.sample(changes(again), SECOND_DEATHS)
            for second in seconds:
                with cases.case(f"after {calls[first - 1].name}, then after {again[second - 1].name}"):
                    async with make_world() as world:
                        await world.live(Life(dies_after=first))
                        await world.live(Life(dies_after=second))
                        await world.live(Life())
                        await judge(world, expected)


async def test_any_answer_lost_while_the_worker_goes_on(make_world: MakeWorld, thorough: bool) -> None:
    expected = await right()
    async with make_world() as world:
        calls = (await world.live(Life())).calls
    with Cases() as cases:
        for number in changes(calls):
            call = calls[number - 1]
            if call.name.startswith(NOT_ASKED) or not (thorough or call.asks_the_store):
                continue
            with cases.case(f"no answer to {call.name}"):
                async with make_world() as world:
                    await world.live(Life(unanswered=number))
                    await judge(world, expected)


async def test_freezing_after_any_call_and_waking_when_a_successor_has_done_everything(make_world: MakeWorld, thorough: bool) -> None:
    expected = await right()
    async with make_world() as world:
        calls = (await world.live(Life())).calls
    with Cases() as cases:
        for number, call in enumerate(calls, 1):
            if not (thorough or call.changes or call.asks_the_store):
                continue
            with cases.case(f"after {call.name}"):
                async with make_world() as world:
                    await succeed(world, Life(freezes_after=number), wakes_at=None)
                    await judge(world, expected)


async def test_freezing_after_any_call_and_waking_at_any_call_of_a_successor(make_world: MakeWorld) -> None:
    expected, chance = await right(), random.Random(SEED)
    async with make_world() as world:
        calls = (await world.live(Life())).calls
    with Cases() as cases:
        for _ in range(INTERLEAVED):
            number, wakes_at = chance.randint(1, len(calls)), chance.randint(1, len(calls))
            with cases.case(f"after {calls[number - 1].name}, waking at call {wakes_at} of the successor"):
                async with make_world() as world:
                    await succeed(world, Life(freezes_after=number), wakes_at)
                    await judge(world, expected)


def changes(calls: Sequence[Call]) -> list[int]:
    """Give the numbers of the calls after which the outside is not what it was."""
    return [number for number, call in enumerate(calls, 1) if call.changes]


async def succeed(world: World, frozen: Life, wakes_at: int | None) -> None:
    """Let a successor take over from a worker that froze, which wakes in the end, or at a call of the successor."""
    async with world.worker(frozen) as zombie:
        sleeping = asyncio.create_task(until_done(zombie))
        await asyncio.wait([asyncio.create_task(frozen.frozen.wait()), sleeping], return_when=asyncio.FIRST_COMPLETED)

        async def wake(number: int | None) -> None:
            if number == wakes_at:
                frozen.thaw.set()
                await sleeping

        async with world.worker(Life(then=wake)) as successor:
            await successor.run()
            frozen.thaw.set()
            await sleeping
            await successor.run()


async def until_done(worker: Worker) -> None:
    """Run a worker that may be refused whatever it does."""
    with suppress(Crash, NexusError, KafkaError):
        await worker.run()
