"""A crew: workers as child processes, for bounded runs, the demo, benchmarks and tests.

Each is a real `nexus worker` with a settings file of its own, so that nothing about it differs from production but
who started it. A *tied* one, `python -m streams.crew worker ...`, also drains and ends when whoever started it is
gone, killed or not: its standard input is a pipe that nothing is written to, and that ends with the other process.
"""

from __future__ import annotations

import asyncio
import os
import runpy
import signal
import sys
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from resolvers.errors import NexusError
from streams.settings import Settings, write_settings

READY_SECONDS = 60.0
POLL_SECONDS = 0.05


class WorkerFailed(NexusError):  # noqa: N818 - what happened to the worker
    """A worker ended by itself; the message has its last line."""


class Worker:
    """One worker process. Its log is a file beside its settings."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        """Made by `start`."""
        self.process = process
        self.log = log

    @classmethod
    async def start(
        cls,
        settings: Settings,
        directory: Path,
        name: str,
        environment: Mapping[str, str] | None = None,
        *,
        tied: bool = False,
        options: Sequence[str] = (),
    ) -> Self:
        """Start a worker with these settings, and options of `nexus worker`; returns at once.

        A `tied` one does not outlive this process for longer than it drains, and is not interrupted with it from the
        terminal: whoever started it stops it.
        """
        await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
        config, log = directory / f"{name}.yaml", directory / f"{name}.log"
        write_settings(settings, config)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("NEXUS__")}
        with log.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "streams.crew" if tied else "streams", "worker", "--config", str(config), *options,
                stdin=asyncio.subprocess.PIPE if tied else asyncio.subprocess.DEVNULL, stdout=file, stderr=asyncio.subprocess.STDOUT,
                env={**inherited, **(environment or {})}, start_new_session=tied,
            )  # fmt: skip
        return cls(process, log)

    async def ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until the worker says that it is ready. Raises WorkerFailed."""
        for _ in range(round(seconds / POLL_SECONDS)):
            self.check()
            if any(line.startswith("ready:") for line in self.lines()):
                return
            await asyncio.sleep(POLL_SECONDS)
        raise WorkerFailed(f"a worker was not ready after {seconds:g} s; its log is {self.log}")

    def check(self) -> None:
        """Raise WorkerFailed if the process has ended."""
        if self.process.returncode is not None:
            last = next((line for line in reversed(self.lines()) if line.strip()), "no word")
            raise WorkerFailed(f"a worker ended with exit code {self.process.returncode}: {last} (log: {self.log})")

    def lines(self) -> list[str]:
        """Give the lines of its log so far."""
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()

    async def stop(self, seconds: float = 30.0) -> int:
        """Ask it to drain and end; gives its exit code. Killed if it does not end in time."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.process.wait(), seconds)
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        """End it at once, in the middle of whatever it does."""
        if self.process.returncode is None:
            self.process.kill()
        return await self.process.wait()


@asynccontextmanager
async def crew(settings: Settings, directory: Path, count: int, *, tied: bool = False) -> AsyncIterator[list[Worker]]:
    """Run so many workers, ready when the block begins and ended when it ends."""
    workers = [await Worker.start(settings, directory, f"worker-{number}", tied=tied) for number in range(1, count + 1)]
    try:
        for worker in workers:
            await worker.ready()
        yield workers
    finally:
        await asyncio.gather(*(worker.stop() for worker in workers))


def end_with_input() -> None:
    """Ask this process to drain and end when its standard input ends."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=end_with_input, daemon=True, name="end-with-input").start()
    runpy.run_module("streams", run_name="__main__", alter_sys=True)
