"""A commit that comes late: kept in the network while who sent it dies, delivered when a successor begins.

Kafka may get a dead worker's last bytes at any time until its connection ends. The worst moment is just before the successor
of its transactional id fences it: what the successor asked before that is no longer true.

Neighbours: `proxy` shows every request before it passes it on; `on_network` asks for it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from tests.chaos.kafka_requests import END_TXN, INIT_PRODUCER_ID, Request

HANDLED_SECONDS = 0.2
"""By then Kafka has begun to handle what was delivered."""


@dataclass(slots=True)
class LateCommit:
    """One commit to be caught: of the first transaction that ends once `armed`."""

    armed: bool = False
    caught: asyncio.Event = field(default_factory=asyncio.Event)
    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    delivered: asyncio.Event = field(default_factory=asyncio.Event)
    transactional_id: str | None = None
    port: int = 0
    succeeded: bool = False

    async def pass_on(self, request: Request, port: int) -> None:
        """Wait as long as a request of a client's port has to."""
        if request.transactional_id is None:
            return
        if request.api_key == END_TXN and self.armed and not self.caught.is_set():
            self.transactional_id, self.port = request.transactional_id, port
            self.caught.set()
            await self.wanted.wait()
        elif request.api_key == INIT_PRODUCER_ID and request.transactional_id == self.transactional_id and not self.delivered.is_set():
            self.succeeded = True
            self.wanted.set()
            await self.delivered.wait()
            await asyncio.sleep(HANDLED_SECONDS)

    def written(self, port: int) -> None:
        """Note that everything of a port up to now is with Kafka."""
        if self.wanted.is_set() and port == self.port:
            self.delivered.set()
