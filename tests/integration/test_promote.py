"""A rule change taken live: the space is rebuilt beside the live one, promoted onto its topics, and taken back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from resolvers.errors import NexusError
from streams.cli.rebuild_live import Lines
from streams.graph import open_graph
from streams.promotion import _Moving, promote
from streams.rebuild import Plan, rebuild
from streams.settings import settings_from
from streams.stack import Addresses
from streams.topics import delete_topics
from streams.verify import verify
from tests.integration.desk import ALL, desk, nexus, people
from tests.integration.test_stages import Pipeline


@pytest.fixture
async def pipeline(stack: Addresses, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with desk(stack, tmp_path) as made:
        yield made


async def stop(pipeline: Pipeline) -> None:
    for worker in pipeline.workers:
        await worker.stop()
    pipeline.workers.clear()


def limited(pipeline: Pipeline, directory: Path) -> Pipeline:
    """Give the same pipeline under rules that allow one user id to a person."""
    directory.mkdir()
    changed: dict[str, Any] = pipeline.settings.model_dump(mode="json")
    changed["entities"]["person"]["identifiers"]["user_id"]["limit"] = 1
    changed["identity_key"] = pipeline.settings.identity_key.get_secret_value()
    other = Pipeline(settings_from(changed), directory)
    (directory / "nexus.yaml").write_text(other.settings.to_yaml(), encoding="utf-8")
    return other


def candidate(pipeline: Pipeline) -> str:
    """Name the space that is to be promoted: one of this test's own."""
    return f"{pipeline.settings.space}-new"


async def forget(pipeline: Pipeline, *spaces: str) -> None:
    """Delete spaces, and the topics of the rebuilt one."""
    for space in spaces:
        async with open_graph(pipeline.settings.model_copy(update={"space": space}), check=False) as graph:
            await graph.drop()
    await delete_topics(pipeline.settings.model_copy(update={"space": candidate(pipeline), "sources": {}}))


async def rebuilt(pipeline: Pipeline) -> None:
    """Replay the log into the space to be promoted, under the pipeline's rules."""
    with Lines() as watching:
        await rebuild(pipeline.settings, Plan(candidate(pipeline), 1, None), pipeline.directory / "rebuild", watching)


async def rising(pipeline: Pipeline) -> None:
    """Check that every record of a key has a higher version than the one before."""
    for word in ("entities", "identifiers"):
        versions: dict[bytes, int] = {}
        for record in await pipeline.read(word):
            if record.value is not None:
                version = json.loads(record.value)["version"]
                assert version > versions.get(record.key or b"", 0)
                versions[record.key or b""] = version


async def timeline(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    """Give the records of the timeline by their ids."""
    return {one["id"]: one for one in await pipeline.values("timeline")}


def check_split(told: list[dict[str, Any]], one: str, now: dict[str, set[str]]) -> None:
    """Check that it was told once of the entity what came of it, of each identifier that it left, and of each part that it lives."""
    assert {record["recovery"] for record in told} == {True}
    new = {entity_id: members for entity_id, members in now.items() if entity_id != one}
    assert sorted(record["entity_id"] for record in told if record["kind"] == "entity.created") == sorted(new)
    splits = [(record["entity_id"], record["data"]) for record in told if record["kind"] == "entity.split"]
    assert splits == [(one, {"parts": sorted(new)})]
    gone = [record["data"]["value"] for record in told if record["kind"] == "identifier.removed" and record["entity_id"] == one]
    assert sorted(gone) == sorted(set().union(*new.values()))
    came = [(record["entity_id"], record["data"]["value"]) for record in told if record["kind"] == "identifier.added"]
    assert sorted(came) == sorted((entity_id, value) for entity_id, members in new.items() for value in members)


def check_merged(told: list[dict[str, Any]], one: str, ended: dict[str, set[str]]) -> None:
    """Check that it was told once of each id that ended into which one it was merged, and once of that one what it got."""
    assert {record["recovery"] for record in told} == {True}
    merges = [record for record in told if record["kind"] == "entity.merged" and record["entity_id"] in ended]
    assert sorted((record["entity_id"], record["data"]["merged_into"]) for record in merges) == sorted((each, one) for each in ended)
    came = [(record["entity_id"], record["data"]["value"]) for record in told if record["kind"] == "identifier.added"]
    assert sorted(came) == sorted((one, value) for members in ended.values() for value in members)


async def check_refusals(pipeline: Pipeline, later: Pipeline) -> None:
    """Check that a space is promoted only while nobody works on it, if it is there, and under its rules. Stops the workers."""
    with pytest.raises(NexusError, match="workers are at work"):
        await nexus(later, "promote", candidate(pipeline), "--yes")
    await stop(pipeline)
    with pytest.raises(NexusError, match="there is no space nowhere"):
        await nexus(later, "promote", "nowhere", "--yes")
    with pytest.raises(NexusError, match="the rules of who is who have changed"):
        await nexus(pipeline, "promote", candidate(pipeline), "--yes")


async def right(pipeline: Pipeline) -> None:
    """Check versions, and the space and its topics against the log."""
    await rising(pipeline)
    report = await verify(pipeline.settings, wait_seconds=10)
    assert (report.differences, report.waiting) == ([], [])


async def test_a_rule_change_is_taken_live_and_back(pipeline: Pipeline, tmp_path: Path) -> None:
    (one,) = await people(pipeline)
    told = await timeline(pipeline)
    later, before = limited(pipeline, tmp_path / "later"), f"{pipeline.settings.space}-before"
    await rebuilt(later)
    seen = await nexus(later, "diff", pipeline.settings.space, candidate(pipeline))
    assert seen["changed"] == 1
    await check_refusals(pipeline, later)

    done = await nexus(later, "promote", candidate(pipeline), "--yes", "--keep-as", before)
    assert (done["into"], done["kept_as"], done["participants"]) == (pipeline.settings.space, before, 4)
    await later.worker()
    await later.drained()
    now = await people(later)
    assert sorted(map(sorted, now.values())) == [["front@desk.example", "u1"], ["tablet", "u2"], ["u3"]]
    assert "front@desk.example" in now[one]
    check_split([record for name, record in (await timeline(later)).items() if name not in told], one, now)
    await right(later)

    await later.write([json.dumps({"id": "9", "at": "2024-05-01T11:00:00Z", "user": "u3", "name": "Cy"}).encode()])
    await later.drained()
    known = await timeline(later)
    await stop(later)
    await nexus(pipeline, "promote", before, "--yes", "--keep-as", candidate(pipeline))
    await pipeline.worker()
    await pipeline.drained()
    assert await people(pipeline) == {one: ALL}
    ended = {entity_id: members for entity_id, members in now.items() if entity_id != one}
    check_merged([record for name, record in (await timeline(pipeline)).items() if name not in known], one, ended)
    await right(pipeline)
    await forget(pipeline, candidate(pipeline), before)


async def test_a_promotion_that_was_interrupted_goes_on(pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = limited(pipeline, tmp_path / "later")
    await rebuilt(later)
    await stop(pipeline)
    rename, left = _Moving._rename, 2

    async def failing(self: _Moving, keys: list[bytes], prefix: bytes, into: str) -> None:
        nonlocal left
        for at in range(0, len(keys), 3):
            if left == 0:
                raise ConnectionError("pulled the plug")
            left -= 1
            await rename(self, keys[at : at + 3], prefix, into)

    monkeypatch.setattr(_Moving, "_rename", failing)
    done, tries = None, 0
    while done is None:
        try:
            done = await promote(later.settings, candidate(pipeline), f"{later.settings.space}-before-{tries}", lambda _: None)
        except ConnectionError:
            tries, left = tries + 1, 2 + tries
            with pytest.raises(NexusError, match="was interrupted: finish it first"):
                await promote(later.settings, "another", "x", lambda _: None)
    assert tries > 3
    assert done.kept_as == f"{later.settings.space}-before-0"
    redis: Redis = Redis.from_url(later.settings.redis.url)
    assert [key async for key in redis.scan_iter(match=f"nexus:{{{candidate(pipeline)}}}:*")] == []
    await redis.aclose()
    await later.worker()
    await later.drained()
    assert len(await people(later)) == 3
    report = await verify(later.settings, wait_seconds=10)
    assert (report.differences, report.waiting) == ([], [])
    await forget(pipeline, done.kept_as)
