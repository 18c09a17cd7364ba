"""Patience: calls to the outside that are tried again while it does not answer, with a message, up to a bound.

Invariant: only Retryable errors are waited out; everything else passes at once. Neighbours: every stage that talks
to Redis or Kafka.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from resolvers.errors import Retryable

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
BETWEEN_MESSAGES_SECONDS = 4.0

Answer = TypeVar("Answer")


class Patience:
    """How long one call to the outside is tried again: pauses that grow, a message now and then, a bound."""

    def __init__(self, what: str, limit_seconds: float) -> None:
        """Start the clock."""
        self._what = what
        self._clock = asyncio.get_running_loop().time
        self._deadline = self._clock() + limit_seconds
        self._pause = FIRST_PAUSE_SECONDS
        self._told = float("-inf")

    async def after(self, error: Retryable) -> None:
        """Pause after a failed try. Raises the error instead once the time is over."""
        now = self._clock()
        left = self._deadline - now
        if left <= 0:
            raise error
        if now - self._told >= BETWEEN_MESSAGES_SECONDS:
            self._told = now
            log.warning("no answer, trying again", what=self._what, error=str(error), giving_up_in_seconds=round(left))
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        await asyncio.sleep(min(pause, left))


async def patiently(call: Callable[[], Awaitable[Answer]], what: str, limit_seconds: float) -> Answer:
    """Call until it works. The call must be harmless to repeat, since an answer can be lost.

    Raises the last Retryable error once `limit_seconds` are over.
    """
    patience = Patience(what, limit_seconds)
    while True:
        try:
            return await call()
        except Retryable as error:
            await patience.after(error)
