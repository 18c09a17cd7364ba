"""The same records, however they arrive: byte-identical entities, identifiers and memberships at the end of the pipeline."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from resolvers.entity import ENDED
from streams.crew import Worker
from streams.drain import Drain, measuring
from streams.dump import dump
from streams.graph import open_graph
from streams.publishing import publish_files
from streams.run import isolated
from streams.settings import Settings, settings_from
from streams.stack import Addresses
from streams.topics import delete_topics, ensure_topics
from streams.verify import verify
from tests.crowd import SETTINGS, records

pytestmark = [pytest.mark.stack, pytest.mark.timeout(360)]

COUNT = 3_000


def settings_for(stack: Addresses, name: str, partitions: int) -> Settings:
    addresses = {"kafka": {"bootstrap_servers": stack.bootstrap_servers}, "redis": {"url": stack.redis_url}}
    return isolated(settings_from({**SETTINGS, **addresses, "partitions": partitions}), name)


@asynccontextmanager
async def pipeline(settings: Settings, directory: Path, batch_records: Sequence[int]) -> AsyncIterator[tuple[list[Worker], Drain]]:
    """Run one worker for each batch size, on a space and topics that are gone afterwards."""
    await ensure_topics(settings)
    async with open_graph(settings) as resolver, measuring(settings, resolver) as drain:
        workers = []
        try:
            for number, size in enumerate(batch_records):
                own = settings.model_copy(update={"worker": settings.worker.model_copy(update={"batch_records": size})})
                workers.append(await Worker.start(own, directory, f"worker-{number}"))
            for worker in workers:
                await worker.ready()
            yield workers, drain
        finally:
            for worker in workers:
                await worker.stop()
            await delete_topics(settings)
            await resolver.drop()


def final(out: Path) -> dict[str, list[bytes]]:
    """Read what P1 promises: living entities, identifiers and memberships without version, sorted."""
    found = {}
    for word in ("entities", "identifiers", "memberships"):
        documents = [orjson.loads(line) for line in (out / f"{word}.ndjson").read_bytes().splitlines()]
        kept = [{key: value for key, value in one.items() if key != "version"} for one in documents if one.get("status") not in ENDED]
        found[word] = sorted(orjson.dumps(one, option=orjson.OPT_SORT_KEYS) for one in kept)
    return found


async def outcome(
    settings: Settings, lines: Sequence[bytes], directory: Path, batch_records: Sequence[int], *, restart: bool = False
) -> dict[str, list[bytes]]:
    """Publish lines through a pipeline, verify what came out, and give it."""
    directory.mkdir()
    halves = [directory / "first.jsonl", directory / "second.jsonl"]
    middle = len(lines) // 2
    for file, part in zip(halves, (lines[:middle], lines[middle:]), strict=True):
        file.write_bytes(b"".join(line.replace(b"\n", b" ") + b"\n" for line in part))
    async with pipeline(settings, directory, batch_records) as (workers, drain):
        await publish_files(settings, "crowd", halves[:1])
        if restart:
            await workers[0].kill()
            workers[0] = await Worker.start(settings, directory, "worker-again")
        await publish_files(settings, "crowd", halves[1:])
        behind = await drain.wait(60)
        assert behind.nothing, str(behind)
        report = await verify(settings)
        assert report.ok, "\n".join(report.lines(10))
        await dump(settings, directory / "out")
    return final(directory / "out")


@pytest.mark.timeout(800)
async def test_shuffled_and_repeated_records_over_two_workers_give_the_same_bytes(stack: Addresses, tmp_path: Path) -> None:
    lines = records(COUNT)
    plain = await outcome(settings_for(stack, "order-plain", 1), lines, tmp_path / "plain", [500])

    pick = random.Random(7)
    again = [*lines, *pick.sample(lines, len(lines) // 5)]
    pick.shuffle(again)
    sizes = [pick.randrange(1, 40), pick.randrange(40, 400)]
    shuffled = await outcome(settings_for(stack, "order-shuffled", 4), again, tmp_path / "shuffled", sizes)

    assert shuffled == plain
    assert len(plain["entities"]) > 100
    assert len(plain["memberships"]) > 100


async def test_a_worker_killed_in_the_middle_changes_nothing(stack: Addresses, tmp_path: Path) -> None:
    lines = records(COUNT)
    plain = await outcome(settings_for(stack, "kill-plain", 2), lines, tmp_path / "plain", [500])
    killed = await outcome(settings_for(stack, "kill-killed", 2), lines, tmp_path / "killed", [100, 100], restart=True)
    assert killed == plain
