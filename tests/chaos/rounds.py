"""A round: records flow, faults strike while some are in flight, the pipeline finds back, and the judge looks.

Invariant: the judge looks only when nothing is behind, so what it finds is not on its way. Neighbours: `faults`
strike, `gauge` tells when nothing is behind, `judge` says what is wrong.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from streams.crew import WorkerFailed
from tests.chaos.faults import FAULTS
from tests.chaos.judge import judge
from tests.chaos.report import Round
from tests.chaos.scene import Scene
from tests.chaos.schedule import Plan
from tests.chaos.world import READY_SECONDS, World

LEAD_SECONDS = (1.0, 2.5)
TAIL_SECONDS = (0.5, 1.5)
APART_SECONDS = (0.0, 3.0)
RECOVER_SECONDS = 60.0


async def hold(world: World, plan: Plan, number: int, world_number: int) -> Round:
    """Hold a round; whether it counts is for the caller to see."""
    pick, clock = random.Random(plan.seed), asyncio.get_running_loop().time
    begin, sent, ended = clock(), len(world.feed.sent), len(world.crew.ends)
    world.lost_writes |= plan.loses_writes
    async with world.feed.flowing(random.Random(pick.random())):
        await asyncio.sleep(pick.uniform(*LEAD_SECONDS))
        await world.copy_redis()
        await asyncio.sleep(pick.uniform(*LEAD_SECONDS))
        scenes = await _strike(world, plan, pick)
        over = clock()
        await asyncio.sleep(pick.uniform(*TAIL_SECONDS))
    behind = await world.gauge.drained(RECOVER_SECONDS)
    took = clock() - over
    drained = clock()
    violations = await _judged(world) if behind is None else [f"not right again after {took:.0f} s, still to do: {behind}"]
    judged = clock() - drained
    violations += await _ready(world)
    world.violated |= bool(violations)
    ends = world.crew.ends[ended:]
    return Round(
        number=number,
        world=world_number,
        seed=plan.seed,
        kinds=plan.kinds,
        records=len(world.feed.sent) - sent,
        in_flight=tuple(scene.in_flight for scene in scenes),
        hits=tuple(tuple(scene.hits) for scene in scenes),
        restarts=sum(1 for end in ends if end.replaced),
        ends=tuple(f"{end.log} ended with {end.code}: {end.last_line}" for end in ends),
        seconds=round(clock() - begin, 2),
        judge_seconds=round(judged, 2),
        recovered_seconds=round(took, 2) if behind is None else None,
        violations=tuple(violations),
    )


async def _strike(world: World, plan: Plan, pick: random.Random) -> Sequence[Scene]:
    """Let the faults strike, a second one some moments after the first."""
    scenes = [Scene(world, random.Random(pick.random())) for _ in plan.kinds]
    apart = pick.uniform(*APART_SECONDS)

    async def strike(place: int) -> None:
        await asyncio.sleep(place * apart)
        await FAULTS[plan.kinds[place]].strike(scenes[place])

    async with asyncio.TaskGroup() as together:
        for place in range(len(scenes)):
            together.create_task(strike(place))
    return scenes


async def _judged(world: World) -> list[str]:
    """Ask the judge, in a thread with a loop of its own: its work is long, and workers are to be minded meanwhile."""
    try:
        return await asyncio.to_thread(asyncio.run, judge(world.settings, list(world.feed.sent), redis_lost_writes=world.lost_writes))
    except Exception as error:  # noqa: BLE001 - whatever the judge stumbles over is in what the pipeline left
        return [f"the judge came to no judgement: {error!r}"]


async def _ready(world: World) -> list[str]:
    try:
        await world.crew.ready(READY_SECONDS)
    except WorkerFailed as error:
        return [str(error)]
    return []
