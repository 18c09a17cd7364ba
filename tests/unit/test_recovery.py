from __future__ import annotations

from typing import Any

from streams.recovery import Recovery


class Store:
    """Says once that a recovery has begun, and then that one is under way."""

    def __init__(self) -> None:
        self.asked = 0

    async def recover(self, ends: Any, shard: int | None, told: int) -> bool:
        self.asked += 1
        return self.asked == 1


async def ends() -> dict[tuple[str, int], int]:
    return {("events", 0): 7}


async def test_only_who_begins_a_recovery_counts_it() -> None:
    begun: list[str] = []
    store: Any = Store()
    topics: Any = None
    recovery = Recovery(store, ends, topics, 1.0, lambda: begun.append("here"))
    await recovery.begin("redis went back")
    await recovery.begin("redis went back")
    assert (store.asked, begun) == (2, ["here"])
