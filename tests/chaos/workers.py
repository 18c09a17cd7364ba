"""The workers: real worker processes, each started again when it ends, as Kubernetes would.

Invariant: every end of a process is kept with its exit code and last line. Neighbours: `faults` kills, freezes and
stops them, `rounds` counts how often they were started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from streams.crew import Worker, WorkerFailed
from streams.settings import Settings

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 3.0
LIVED_SECONDS = 10.0
"""A worker that lived so long is started again without a pause."""

GRACE_SECONDS = 30.0
"""What Kubernetes gives a process between SIGTERM and SIGKILL."""

State = Literal["down", "starting", "ready"]


@dataclass(frozen=True, slots=True)
class End:
    """One end of a worker process; the code is negative for a signal. `replaced` when another was started in its place."""

    code: int
    last_line: str
    log: str
    replaced: bool


class Slot:
    """A place in the crew, which one process at a time fills."""

    def __init__(self, name: str, settings: Settings, directory: Path, ends: list[End]) -> None:
        self.name = name
        self._settings = settings
        self._directory = directory
        self._ends = ends
        self._worker: Worker | None = None
        self._retired = asyncio.Event()
        self._keeping = asyncio.ensure_future(self._keep())

    @property
    def state(self) -> State:
        """Say whether a process runs, and whether it has said that it is ready."""
        if self._worker is None or self._worker.process.returncode is not None:
            return "down"
        return "ready" if any(line.startswith("ready:") for line in self._worker.lines()) else "starting"

    @property
    def pid(self) -> int | None:
        """Name the process, None where none runs."""
        return None if self._worker is None or self._worker.process.returncode is not None else self._worker.process.pid

    def signal(self, number: signal.Signals) -> bool:
        """Send the process a signal; gives whether there was one."""
        worker = self._worker
        if worker is None or worker.process.returncode is not None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.process.pid, number)
        return True

    async def terminate(self) -> float:
        """Ask the process to end, and kill it after Kubernetes's grace; gives the seconds that it took."""
        clock, worker = asyncio.get_running_loop().time, self._worker
        begin = clock()
        if worker is not None:
            await worker.stop(GRACE_SECONDS)
        return clock() - begin

    async def retire(self, *, kill: bool) -> None:
        """End the process and start none again."""
        self._retired.set()
        if kill:
            self.signal(signal.SIGKILL)
        else:
            await self.terminate()
        await self._keeping

    async def _keep(self) -> None:
        pause, number, clock = FIRST_PAUSE_SECONDS, 0, asyncio.get_running_loop().time
        while not self._retired.is_set():
            number, begin = number + 1, clock()
            self._worker = await Worker.start(self._settings, self._directory, f"{self.name}-{number:03}", tied=True)
            if self._retired.is_set():  # while it was being started
                self._worker.process.kill()
            await self._worker.process.wait()
            self._ends.append(_end(self._worker, replaced=not self._retired.is_set()))
            pause = FIRST_PAUSE_SECONDS if clock() - begin > LIVED_SECONDS else min(pause * 2, LONGEST_PAUSE_SECONDS)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._retired.wait(), pause)


class Crew:
    """The workers of one world."""

    def __init__(self, settings: Settings, directory: Path) -> None:
        self._settings = settings
        self._directory = directory
        self._named = 0
        self.slots: list[Slot] = []
        self.ends: list[End] = []

    def add(self) -> Slot:
        """Start one more worker."""
        self._named += 1
        slot = Slot(f"worker-{self._named}", self._settings, self._directory, self.ends)
        self.slots.append(slot)
        return slot

    async def remove(self, slot: Slot, *, kill: bool = False) -> None:
        """End one worker for good."""
        self.slots.remove(slot)
        await slot.retire(kill=kill)

    async def ready(self, seconds: float) -> None:
        """Wait until every worker is ready. Raises WorkerFailed."""
        try:
            async with asyncio.timeout(seconds):
                while any(slot.state != "ready" for slot in self.slots):  # noqa: ASYNC110 - other processes' state
                    await asyncio.sleep(0.1)
        except TimeoutError as error:
            states = ", ".join(f"{slot.name} is {slot.state}" for slot in self.slots)
            raise WorkerFailed(f"not every worker was ready after {seconds:g} s: {states}") from error

    async def stop(self) -> None:
        """End every worker at once."""
        await asyncio.gather(*(self.remove(slot, kill=True) for slot in list(self.slots)))


def _end(worker: Worker, *, replaced: bool) -> End:
    last = next((line for line in reversed(worker.lines()) if line.strip()), "")
    return End(worker.process.returncode or 0, last[:500], worker.log.name, replaced)
