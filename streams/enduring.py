"""Tasks that last as long as their service does.

mode takes a task that was cancelled for one that was stopped. A client that is closed, or a timeout that fires late after a freeze,
may cancel what awaits it though nobody stopped the service; the task would be gone without a word, and what it does never be
done again.
Invariant: such a task ends its worker, which is started again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TypeVar

from mode import Service

AService = TypeVar("AService", bound=Service)


class CancelledByNobodyError(Exception):
    """A task was cancelled, and its service was not stopped."""


def enduring(method: Callable[[AService], Awaitable[None]]) -> Callable[[AService], Awaitable[None]]:
    """Make a service's task crash it where it would end without a word."""

    @wraps(method)
    async def lasting(service: AService) -> None:
        try:
            await method(service)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if service.should_stop or (task is not None and task.cancelling()):
                raise
            raise CancelledByNobodyError(f"{method.__qualname__} was cancelled though nobody stopped it") from error

    return lasting
