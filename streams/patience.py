"""Patience: calls to the outside that are tried again while it does not answer, with a message, up to a bound.

Invariant: only Retryable errors are waited out; everything else passes at once. The bound is one of silence: a Redis
that answers, but is full, loading or read-only for now, is waited for as long as that lasts, since another worker would find it no
better. Neighbours: every stage that talks to Redis or Kafka; `health` is told what does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import structlog

from resolvers.errors import RedisRefuses, Retryable

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
BETWEEN_MESSAGES_SECONDS = 4.0

Answer = TypeVar("Answer")


class Trouble(Protocol):
    """Whoever is told that something outside does not answer. `call` is one and the same object until it is over."""

    def fails(self, call: object, what: str, error: Exception) -> None:
        """Note that a call has failed, perhaps again, and will be tried again."""

    def over(self, call: object) -> None:
        """Note that nobody waits for the call any more; harmless when it never failed."""


class Patience:
    """How long one call to the outside is tried again: pauses that grow, a message now and then, a bound."""

    def __init__(self, what: str, limit_seconds: float, trouble: Trouble | None = None) -> None:
        """Wait for a first failure; its moment starts the clock. Whoever passes `trouble` calls `over` in the end."""
        self._what = what
        self._trouble = trouble
        self._clock = asyncio.get_running_loop().time
        self._limit_seconds = limit_seconds
        self._pause = FIRST_PAUSE_SECONDS
        self._told = float("-inf")
        self._failing_since: float | None = None
        self._silent_since: float | None = None

    async def after(self, error: Retryable) -> None:
        """Pause after a failed try. Raises the error instead once it has been silent for the time; a refusal is an answer."""
        now = self._clock()
        if self._failing_since is None:
            self._failing_since = now
        if self._silent_since is None or isinstance(error, RedisRefuses):
            self._silent_since = now
        if self._trouble is not None:
            self._trouble.fails(self, self._what, error)
        left = self._silent_since + self._limit_seconds - now
        if left <= 0:
            raise error
        if now - self._told >= BETWEEN_MESSAGES_SECONDS:
            self._told = now
            self._say(error, left)
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        await asyncio.sleep(min(pause, left))

    def _say(self, error: Retryable, left: float) -> None:
        if isinstance(error, RedisRefuses):
            log.warning("refused for now, waiting until it is over", what=self._what, error=str(error))
        else:
            log.warning("no answer, trying again", what=self._what, error=str(error), giving_up_in_seconds=round(left))

    def answered(self) -> None:
        """Say that it goes on, if it had stopped."""
        if self._failing_since is not None:
            log.info("it answers again", what=self._what, after_seconds=round(self._clock() - self._failing_since, 1))
            self._failing_since = self._silent_since = None

    def over(self) -> None:
        """Say that nobody tries this any more, whatever became of it."""
        if self._trouble is not None:
            self._trouble.over(self)


async def patiently(call: Callable[[], Awaitable[Answer]], what: str, limit_seconds: float, trouble: Trouble | None = None) -> Answer:
    """Call until it works, and tell `trouble` while it does not. The call must be harmless to repeat: an answer can be lost.

    Raises the last Retryable error once there was no answer for `limit_seconds`.
    """
    patience = Patience(what, limit_seconds, trouble)
    try:
        while True:
            try:
                answer = await call()
            except Retryable as error:
                await patience.after(error)
            else:
                patience.answered()
                return answer
    finally:
        patience.over()
