"""The lookout: asks Kafka and Redis now and then whether they answer, so that an idle worker knows it too.

Invariant: it only asks, and waits for nothing but the answer. Neighbours: `health` is told; the stages find out by
themselves when they have work, but a consumer of a Kafka that is gone only sees that nothing comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from mode import Service

from resolvers.errors import KafkaUnavailable, NexusError, Retryable
from streams import kafka
from streams.patience import Trouble
from streams.settings import Settings

EVERY_SECONDS = 2.0
ANSWER_SECONDS = 5.0


class Lookout(Service):
    """Asks each question again and again while the worker runs."""

    mundane_level = "debug"

    def __init__(
        self,
        trouble: Trouble,
        asks: Mapping[str, Callable[[], Awaitable[object]]],
        *,
        every_seconds: float = EVERY_SECONDS,
        **kwargs: Any,  # noqa: ANN401 - mode's own
    ) -> None:
        """`asks` are called by what they ask; they raise Retryable when there is no answer."""
        super().__init__(**kwargs)
        self._trouble = trouble
        self._asks = asks
        self._every_seconds = every_seconds

    async def on_start(self) -> None:
        """Begin to ask."""
        for what, ask in self._asks.items():
            self.add_future(self._look(what, ask))

    async def _look(self, what: str, ask: Callable[[], Awaitable[object]]) -> None:
        call = object()
        while not self.should_stop:
            try:
                await ask()
            except Retryable as error:
                self._trouble.fails(call, what, error)
            except NexusError:
                self._trouble.over(call)  # an answer that others have to make something of
            else:
                self._trouble.over(call)
            await self.sleep(self._every_seconds)


class KafkaAnswers:
    """Asks Kafka for its brokers, with a client of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: AIOKafkaAdminClient | None = None

    async def __call__(self) -> None:
        """Ask once. Raises KafkaUnavailable."""
        address = self._settings.kafka.bootstrap_servers
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                if self._client is None:
                    self._client = await self._connected()
                await self._client.describe_cluster()
        except (KafkaError, OSError) as error:
            raise KafkaUnavailable(f"Kafka at {address} does not answer: {error!r}") from error

    async def close(self) -> None:
        """Disconnect."""
        if self._client is not None:
            await self._client.close()

    async def _connected(self) -> AIOKafkaAdminClient:
        client = kafka.admin(self._settings, what="lookout")
        try:
            await client.start()
        except BaseException:
            await client.close()
            raise
        return client
