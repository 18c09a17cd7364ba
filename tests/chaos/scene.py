"""The scene of a fault: what it may touch, its chance, and what it notes.

Invariant: everything a fault chooses comes from `pick`; when it returns, the trouble is over and what it broke works
again, though the pipeline may still have to find back. Neighbours: the faults `on_workers`, `on_servers`, `on_network`
and `on_records`, and their table `faults`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.chaos.workers import Slot
from tests.chaos.world import World

FIRST_RECORDS_SECONDS = 8.0
"""How long a fault waits for records to be in flight."""

Target = Literal["workers", "kafka", "redis", "network", "records"]

_ORDER = {"ready": 0, "starting": 1, "down": 2}


@dataclass(slots=True)
class Scene:
    """Where one fault strikes: its world and its chance, its hits in words, and the records in flight at the first."""

    world: World
    pick: random.Random
    in_flight: int | None = None
    hits: list[str] = field(default_factory=list)

    async def hit(self, what: str) -> None:
        """Note that the fault strikes now; before the first time, wait until records are in flight."""
        if not self.hits:
            self.in_flight = await self.world.gauge.in_flight(FIRST_RECORDS_SECONDS)
        self.hits.append(what)

    async def moment(self, least: float, most: float) -> None:
        """Wait for a random time."""
        await asyncio.sleep(self.pick.uniform(least, most))

    def workers(self, count: int = 1) -> list[Slot]:
        """Choose so many workers, ready ones first."""
        slots = self.pick.sample(self.world.crew.slots, len(self.world.crew.slots))
        return sorted(slots, key=lambda slot: _ORDER[slot.state])[:count]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault. Two that strike together have different targets.

    `loses_writes` when Redis may lose some; `needs_copy` when an older copy of Redis's data must be there.
    """

    target: Target
    strike: Callable[[Scene], Awaitable[None]]
    loses_writes: bool = False
    needs_copy: bool = False
