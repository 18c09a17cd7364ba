"""A space rebuilt beside the live one: the same bytes, however often it was interrupted; and nothing of the live one touched."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from resolvers.errors import NexusError
from streams.discard import discard, output_topics
from streams.drain import Drain
from streams.dump import dump
from streams.graph import open_graph
from streams.kafka import admin, started
from streams.publishing import publish_files
from streams.rebuild import Plan, beside
from streams.settings import Settings, write_settings
from streams.stack import Addresses
from streams.topics import look
from streams.verify import verify
from tests.crowd import records
from tests.integration.test_any_order import final, pipeline, settings_for

pytestmark = [pytest.mark.stack, pytest.mark.timeout(480)]

COUNT = 2_000
POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Place:
    """A live space with a crowd in it, its worker still at work, and the settings of a space beside it."""

    live: Settings
    other: Settings
    directory: Path
    drain: Drain

    async def publish(self, seed: int = 1, many: int = COUNT) -> None:
        """Write a crowd's records to the live space."""
        crowd = self.directory / f"crowd-{seed}.jsonl"
        crowd.write_bytes(b"".join(line.replace(b"\n", b" ") + b"\n" for line in records(many, seed)))
        await publish_files(self.live, "crowd", [crowd])

    async def command(self, *options: str) -> asyncio.subprocess.Process:
        """Start the rebuild as a process of its own."""
        pipe = asyncio.subprocess.PIPE
        arguments = ["-m", "streams", "rebuild", "--into", self.other.space, "--config", str(self.directory / "nexus.yaml"), *options]
        environment = {**os.environ, "TMPDIR": str(self.directory)}
        return await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=pipe, stderr=pipe, env=environment)

    async def rebuilt(self, *options: str) -> dict[str, Any]:
        """Run the rebuild to its end, and give its summary."""
        process = await self.command("--json", *options)
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        summary: dict[str, Any] = json.loads(out)
        return summary

    async def begun(self) -> asyncio.subprocess.Process:
        """Start a rebuild in small batches, and give it when the first of the events are applied."""
        process = await self.command("--batch-records", "20")
        while not await self.applied() > 0:
            assert process.returncode is None, await process.communicate()
            await asyncio.sleep(POLL_SECONDS)
        return process

    async def applied(self) -> int:
        """Count the events applied in the other space."""
        async with open_graph(self.other, check=False) as graph:
            return sum([(await graph.position("events", partition)).offset for partition in range(self.other.partitions)])

    async def out(self, settings: Settings, name: str) -> dict[str, list[bytes]]:
        """Verify a space and read it."""
        report = await verify(settings)
        assert report.ok, "\n".join(report.lines(10))
        await dump(settings, self.directory / name)
        return final(self.directory / name)


@asynccontextmanager
async def place(stack: Addresses, directory: Path, name: str) -> AsyncIterator[Place]:
    live = settings_for(stack, name, 2)
    other = beside(live, Plan(f"{name}-other"))
    write_settings(live, directory / "nexus.yaml")
    async with pipeline(live, directory / "live", [500]) as (_, drain):
        here = Place(live, other, directory, drain)
        await here.publish()
        assert (await drain.wait(60)).nothing
        yield here
        await discard(other)


async def test_an_interrupted_rebuild_goes_on_and_ends_as_the_live_space(stack: Addresses, tmp_path: Path) -> None:
    async with place(stack, tmp_path, "rebuild-resumed") as here:
        process = await here.begun()
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
        assert process.returncode == 130
        assert "the same command, without --fresh, goes on from there" in err.decode()
        came = await here.applied()
        assert 0 < came < COUNT

        summary = await here.rebuilt()
        assert summary["events_before"] == came
        assert (summary["events_waiting"], summary["events"] > came) == (0, True)

        live, other = await here.out(here.live, "out-live"), await here.out(here.other, "out-other")
        assert other == live
        assert {word: len(rows) for word, rows in other.items()} == {word: summary[word] for word in other}

        again = await here.rebuilt()
        assert (again["events_before"], again["seconds"]) == (summary["events"], 0)


async def test_a_space_is_rebuilt_while_records_flow_into_the_live_one(stack: Addresses, tmp_path: Path) -> None:
    async with place(stack, tmp_path, "rebuild-live") as here:
        flowing = asyncio.create_task(_again_and_again(here))
        try:
            first = await here.rebuilt()
        finally:
            flowing.cancel()
            await asyncio.gather(flowing, return_exceptions=True)
        assert first["events"] >= COUNT * 0.9  # some records are no events
        assert (await here.drain.wait(60)).nothing

        rest = await here.rebuilt()
        assert (rest["events_before"], rest["events"] > first["events"]) == (first["events"], True)
        assert await here.out(here.other, "out-other") == await here.out(here.live, "out-live")


async def _again_and_again(here: Place) -> None:
    """Write a few hundred records a second until nobody wants more."""
    for seed in count(2):
        await here.publish(seed, 100)
        await asyncio.sleep(0.2)


async def test_workers_end_with_a_command_that_was_killed_and_a_fresh_rebuild_starts_over(stack: Addresses, tmp_path: Path) -> None:
    async with place(stack, tmp_path, "rebuild-fresh") as here:
        before = await here.out(here.live, "out-before")
        process = await here.begun()
        worker = worker_of(tmp_path)
        process.kill()
        await process.communicate()
        while alive(worker):  # noqa: ASYNC110 - another process's end, so there is no event to wait for
            await asyncio.sleep(POLL_SECONDS)
        assert 0 < await here.applied() < COUNT

        summary = await here.rebuilt("--fresh", "--yes", "--workers", "2")
        assert summary["events_before"] == 0
        assert await here.out(here.other, "out-other") == before
        assert await here.out(here.live, "out-live") == before

        with pytest.raises(NexusError, match="workers are at work on space rebuild-fresh "):
            await discard(here.live)
        assert await discard(here.other) == sorted(output_topics(here.other))
        assert await here.applied() == 0
        assert await there(here.live, [*output_topics(here.live), *output_topics(here.other)]) == sorted(output_topics(here.live))


def worker_of(directory: Path) -> int:
    """Find the process id that the rebuild's worker said when it was ready."""
    (log,) = directory.glob("nexus-rebuild-*/resolve/worker-1.log")
    (ready,) = [line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("ready:")]
    return int(ready.rpartition(" ")[2])


def alive(process: int) -> bool:
    """Say whether a process that is nobody's child any more is there."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


async def there(settings: Settings, topics: Sequence[str]) -> list[str]:
    """Name those of the topics that exist."""
    client = await started(admin(settings), settings.kafka, "test")
    try:
        return sorted(await look(client, topics))
    finally:
        await client.close()
