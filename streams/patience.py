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

Answer = TypeVar("Answer")


async def patiently(call: Callable[[], Awaitable[Answer]], what: str, limit_seconds: float) -> Answer:
    """Call until it works. The call must be harmless to repeat, since an answer can be lost.

    Raises the last Retryable error once `limit_seconds` are over.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_seconds
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            return await call()
        except Retryable as error:
            left = deadline - loop.time()
            if left <= 0:
                raise
            log.warning("no answer, trying again", what=what, error=str(error), giving_up_in_seconds=round(left))
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
