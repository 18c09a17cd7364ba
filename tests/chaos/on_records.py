"""Faults of records: bad ones in bursts, on the raw topic and where only workers write.

Neighbours: `faults` names it; `stream` makes bad source records, `junk` the others.
"""

from __future__ import annotations

from tests.chaos import junk
from tests.chaos.scene import Scene


async def poison(scene: Scene) -> None:
    """Write bad records in bursts."""
    settings, feed = scene.world.settings, scene.world.feed
    for _ in range(scene.pick.randint(2, 4)):
        count = scene.pick.randint(20, 120)
        await scene.hit(f"{count} bad source records, and junk as events and commands")
        await feed.poison(count)
        for word in ("events", "commands"):
            await feed.junk(junk.records(settings.topic(word), scene.pick))
        await scene.moment(0.1, 1)
