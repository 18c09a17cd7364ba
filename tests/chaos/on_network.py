"""Faults of the network between the workers and one server, made by its proxy.

Neighbours: `faults` names them; `proxy` does what they ask.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.chaos.proxy import Proxy
from tests.chaos.scene import Scene
from tests.chaos.sockets import owner_of

CAUGHT_SECONDS = 6.0
DELIVERED_SECONDS = 10.0
"""Longer than a takeover, and less than Kafka waits before it aborts a transaction."""


async def cut(scene: Scene) -> None:
    """Reset connections, several times, sometimes refusing new ones for a while."""
    name, proxy = _server(scene)
    for _ in range(scene.pick.randint(1, 4)):
        seconds = scene.pick.choice([0.0, scene.pick.uniform(0.2, 2.5)])
        await scene.hit(f"connections to {name} cut and refused for {seconds:.1f} s")
        async with _healed(scene, proxy):
            await scene.world.servers.do(proxy.cut(refuse=seconds > 0))
            await asyncio.sleep(seconds)
        await scene.moment(0.1, 1.5)


async def delay(scene: Scene) -> None:
    """Let everything to and from a server take its time."""
    (name, proxy), away, seconds = _server(scene), scene.pick.uniform(0.05, 0.8), scene.pick.uniform(3, 6)
    await scene.hit(f"{name} {away * 1000:.0f} ms away for {seconds:.1f} s")
    async with _healed(scene, proxy):
        await scene.world.servers.do(proxy.delay(away))
        await asyncio.sleep(seconds)


async def half_open(scene: Scene) -> None:
    """Let connections stay open while bytes go nowhere: kept until the network is back, or lost for good."""
    (name, proxy), lost, seconds = _server(scene), scene.pick.choice([True, False]), scene.pick.uniform(2, 9)
    await scene.hit(f"bytes to and from {name} {'lost' if lost else 'held'} for {seconds:.1f} s")
    async with _healed(scene, proxy):
        await (scene.world.servers.do(proxy.lose()) if lost else scene.world.servers.do(proxy.hold()))
        await asyncio.sleep(seconds)


async def late_commit(scene: Scene) -> None:
    """Keep a commit back, kill or freeze the worker that sent it, and deliver it just before its successor is made known to Kafka."""
    proxy, kill = scene.world.servers.kafka_proxy, scene.pick.choice([True, True, False])
    await scene.hit("a commit kept back")
    async with _healed(scene, proxy):
        port = await scene.world.servers.do(proxy.catch_commit(CAUGHT_SECONDS))
        slots = {slot.pid: slot for slot in scene.world.crew.slots if slot.pid is not None}
        pid = owner_of(port, slots) if port else None
        if pid is None:
            scene.hits.clear()  # nothing was committed meanwhile: this round does not count
            scene.in_flight = None
            return
        slots[pid].signal(signal.SIGKILL if kill else signal.SIGSTOP)
        try:
            succeeded = await scene.world.servers.do(proxy.delivered(DELIVERED_SECONDS))
            await scene.moment(0.0, 1.0)
        finally:
            slots[pid].signal(signal.SIGCONT)
    when = "when its successor began" if succeeded else f"after {DELIVERED_SECONDS:g} s"
    scene.hits[-1] += f", {slots[pid].name} {'killed' if kill else 'frozen'}, the commit delivered {when}"


def _server(scene: Scene) -> tuple[str, Proxy]:
    servers = scene.world.servers
    return scene.pick.choice([("Kafka", servers.kafka_proxy), ("Redis", servers.redis_proxy)])


@asynccontextmanager
async def _healed(scene: Scene, proxy: Proxy) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await scene.world.servers.do(proxy.heal())
