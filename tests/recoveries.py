"""A recovery that only remembers what it was asked for."""

from __future__ import annotations


class Asked:
    """Begins nothing and reads nothing."""

    def __init__(self) -> None:
        self.begun: list[tuple[int | None, int]] = []
        self.reasons: list[str] = []
        self.read_shards: list[int] = []
        self.read_ahead_shards: list[int] = []
        self.forgotten: list[int] = []

    async def begin(self, reason: str, shard: int | None = None, told: int = 0) -> None:
        self.reasons.append(reason)
        self.begun.append((shard, told))

    async def read(self, shard: int) -> None:
        self.read_shards.append(shard)

    async def read_ahead(self, shard: int) -> None:
        self.read_ahead_shards.append(shard)

    def forget(self, shard: int) -> None:
        self.forgotten.append(shard)
