"""Faults of workers: killed, frozen, asked to end, added and removed.

Neighbours: `faults` names them; `workers` starts again what they end.
"""

from __future__ import annotations

import asyncio
import signal

from tests.chaos.scene import Scene
from tests.chaos.world import SESSION_TIMEOUT_MS


async def kill_one(scene: Scene) -> None:
    """Kill one worker, and then another one or the same again: now while it works, now while others take over."""
    for number in range(scene.pick.randint(2, 3)):
        if number:
            await scene.moment(0, scene.pick.choice([0.5, 4.0]))
        (slot,) = scene.workers()
        await scene.hit(f"{slot.name} killed while {slot.state}")
        slot.signal(signal.SIGKILL)


async def kill_several(scene: Scene) -> None:
    """Kill several workers, sometimes all, within moments."""
    for slot in scene.workers(scene.pick.randint(2, len(scene.world.crew.slots))):
        await scene.hit(f"{slot.name} killed while {slot.state}")
        slot.signal(signal.SIGKILL)
        await scene.moment(0, 0.1)


async def freeze(scene: Scene) -> None:
    """Stop workers for longer than the session timeout, so that others take over, and let them go on."""
    slots, seconds = scene.workers(scene.pick.choice([1, 1, 2])), SESSION_TIMEOUT_MS / 1000 + scene.pick.uniform(0.5, 3.0)
    for slot in slots:
        await scene.hit(f"{slot.name} frozen for {seconds:.1f} s while {slot.state}")
        slot.signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        for slot in slots:
            slot.signal(signal.SIGCONT)


async def freeze_in_slow_network(scene: Scene) -> None:
    """Freeze a worker while Kafka is far away for all, and wake it while others take over: what takes moments takes seconds."""
    servers, away = scene.world.servers, scene.pick.uniform(0.1, 0.4)
    (slot,), seconds = scene.workers(), SESSION_TIMEOUT_MS / 1000 + scene.pick.uniform(-1.0, 5.0)
    try:
        await servers.do(servers.kafka_proxy.delay(away))
        await scene.moment(0.5, 2.0)
        await scene.hit(f"{slot.name} frozen for {seconds:.1f} s while {slot.state}, Kafka {away * 1000:.0f} ms away")
        slot.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            slot.signal(signal.SIGCONT)
        await scene.moment(2.0, 5.0)
    finally:
        await servers.do(servers.kafka_proxy.heal())


async def terminate(scene: Scene) -> None:
    """Ask workers to end; they are started again."""
    slots = scene.workers(scene.pick.choice([1, 1, 2]))
    for slot in slots:
        await scene.hit(f"{slot.name} asked to end while {slot.state}")
    took = await asyncio.gather(*(slot.terminate() for slot in slots))
    scene.hits[-1] += f"; it took {max(took):.1f} s"


async def worker_added_removed(scene: Scene) -> None:
    """Add a worker and take it away again, sometimes before it is ready."""
    clock = asyncio.get_running_loop().time
    await scene.hit("a worker added")
    slot, deadline = scene.world.crew.add(), clock() + scene.pick.uniform(1, 8)
    while slot.state != "ready" and clock() < deadline:  # noqa: ASYNC110 - another process's state
        await asyncio.sleep(0.05)
    await scene.moment(0, 1.5)
    await scene.hit(f"{slot.name} removed while {slot.state}")
    await scene.world.crew.remove(slot)
