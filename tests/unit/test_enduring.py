from __future__ import annotations

import asyncio

import pytest
from mode import Service

from streams import kafka
from streams.enduring import CancelledByNobodyError, enduring


class Watching(Service):
    """Awaits something that others may cancel."""

    abstract = False

    def __init__(self) -> None:
        super().__init__()
        self.watched: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @Service.task
    @enduring
    async def _watch(self) -> None:
        await self.watched


async def test_a_task_that_is_cancelled_by_nobody_crashes_its_service() -> None:
    service = Watching()
    await service.start()
    await asyncio.sleep(0)
    service.watched.cancel()
    async with asyncio.timeout(5):
        while not service.crashed:  # noqa: ASYNC110 - of a crash there is no event
            await asyncio.sleep(0.01)
    assert isinstance(service.crash_reason, CancelledByNobodyError)
    assert "Watching._watch" in str(service.crash_reason)


async def test_a_service_that_is_stopped_ends_its_tasks() -> None:
    service = Watching()
    await service.start()
    await asyncio.sleep(0)
    await service.stop()
    assert not service.crashed


class Ended:
    """A client that cancels its own ending."""

    async def start(self) -> None: ...

    async def stop(self) -> None:
        raise asyncio.CancelledError


async def test_a_client_that_cancels_its_own_ending_has_ended() -> None:
    await kafka.stop(Ended())


async def test_what_a_client_raises_when_it_ends_is_raised() -> None:
    class Broken(Ended):
        async def stop(self) -> None:
            raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        await kafka.stop(Broken())
