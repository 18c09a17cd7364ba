"""Redis's memory: what the worker's Redis says of it, asked seldom, so that no exporter is needed beside it.

Invariant: a Redis that does not answer, or may not be asked, is no trouble here; what it said last is forgotten.
Neighbours: `gauges` shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mode import Service
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

EVERY_SECONDS = 10.0
ANSWER_SECONDS = 5.0
SECTIONS = ("memory", "stats")


class RedisMemory(Service):
    """Asks again and again while the worker runs."""

    mundane_level = "debug"

    def __init__(self, url: str, *, every_seconds: float = EVERY_SECONDS, **kwargs: Any) -> None:  # noqa: ANN401 - mode's own
        super().__init__(**kwargs)
        self._url = url
        self._every_seconds = every_seconds
        self._said: Mapping[str, Any] = {}

    def value(self, name: str) -> list[tuple[tuple[str, ...], float]]:
        """Give a number that Redis said, without labels; nothing where it did not."""
        said = self._said.get(name)
        return [((), float(said))] if isinstance(said, int | float) else []

    @Service.task
    async def _look(self) -> None:
        """Ask until the worker stops."""
        once = Retry(NoBackoff(), 0)
        client: Redis = Redis.from_url(self._url, socket_connect_timeout=ANSWER_SECONDS, socket_timeout=ANSWER_SECONDS, retry=once)
        try:
            while not self.should_stop:
                self._said = await _asked(client)
                await self.sleep(self._every_seconds)
        finally:
            await client.aclose()


async def _asked(client: Redis) -> Mapping[str, Any]:
    said: dict[str, Any] = {}
    for section in SECTIONS:
        try:
            said |= await client.info(section)
        except (RedisError, OSError):
            return {}
    return said
