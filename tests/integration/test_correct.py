"""Commands from the command line to the topics: a merge is looked at, undone, looked up, and done again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from resolvers.errors import NexusError
from streams.cli import build_app
from streams.preflight import make_missing_topics
from streams.settings import settings_from
from streams.stack import Addresses
from streams.topics import delete_topics
from streams.verify import verify
from tests.integration.test_stages import Pipeline

DESK = "email:front@desk.example"
RECORDS = [
    {"id": "1", "at": "2024-05-01T09:00:00Z", "user": "u1", "email": "front@desk.example", "name": "Ann"},
    {"id": "2", "at": "2024-05-01T09:05:00Z", "user": "u2", "email": "front@desk.example", "name": "Bob"},
    {"id": "3", "at": "2024-05-01T09:10:00Z", "user": "u2", "device": "tablet"},
    {"id": "4", "at": "2024-05-01T09:15:00Z", "user": "u3", "device": "tablet"},
]


@pytest.fixture
async def pipeline(stack: Addresses, tmp_path: Path) -> AsyncIterator[Pipeline]:
    """Give a pipeline with one worker, in which one desk has joined everybody."""
    own = uuid4().hex[:8]
    identifiers = {"user_id": "user", "email": "email", "device": "device"}
    settings = settings_from(
        {
            "space": own,
            "partitions": 2,
            "topics": {"prefix": f"{own}."},
            "kafka": {"bootstrap_servers": stack.bootstrap_servers},
            "redis": {"url": stack.redis_url, "buckets": 16},
            "entities": {"person": {"identifiers": {"user_id": {}, "email": {"normalise": "email"}, "device": {}}}},
            "sources": {
                "crm": {
                    "topic": f"{own}.raw",
                    "adapter": "mapping",
                    "event": {"id": "id", "name": "'seen'", "occurred_at": "at"},
                    "participants": [{"entity": "person", "role": "guest", "identifiers": identifiers, "traits": {"name": "name"}}],
                }
            },
        }
    )
    await make_missing_topics(settings)
    made = Pipeline(settings, tmp_path)
    (tmp_path / "nexus.yaml").write_text(settings.to_yaml(), encoding="utf-8")
    try:
        await made.worker()
        await made.write([json.dumps(one).encode() for one in RECORDS])
        await made.drained()
        yield made
    finally:
        for worker in made.workers:
            await worker.kill()
        await delete_topics(settings)


async def nexus(pipeline: Pipeline, *words: str) -> Any:
    """Run a command; gives its JSON. Raises what it raises."""
    arguments = [*words, "--config", str(pipeline.directory / "nexus.yaml"), "--json"]
    result = await asyncio.to_thread(CliRunner().invoke, build_app(), arguments)
    if isinstance(result.exception, NexusError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def people(pipeline: Pipeline) -> dict[str, set[str]]:
    """Give who is one by the entities topic: the last active document of each id."""
    last = {record.key: json.loads(record.value) for record in await pipeline.read("entities")}
    return {one["entity_id"]: {each["value"] for each in one["identifiers"]} for one in last.values() if one["status"] == "active"}


ALL = {"u1", "u2", "u3", "front@desk.example", "tablet"}


async def test_a_merge_is_undone_and_done_again(pipeline: Pipeline) -> None:
    (one,) = await people(pipeline)
    assert (await people(pipeline))[one] == ALL

    looked = await nexus(pipeline, "block", DESK, "--dry-run")
    assert not looked["sent"]
    (split,) = looked["changes"]["split"].values()
    assert await people(pipeline) == {one: ALL}

    sent = await nexus(pipeline, "block", DESK, "--reason", "a hotel")
    assert (sent["sent"], sent["changes"]) == (True, looked["changes"])
    await pipeline.drained()
    now = await people(pipeline)
    assert sorted(map(sorted, now.values())) == [["tablet", "u2", "u3"], ["u1"]]
    assert set(split) == now.keys() | ({one} & set(split))
    with pytest.raises(NexusError, match="a command blocks it"):
        await nexus(pipeline, "explain", "user_id:u1", DESK)
    with pytest.raises(NexusError, match="they are kept apart:\n"):
        await nexus(pipeline, "explain", "user_id:u1", "user_id:u2")
    assert (await nexus(pipeline, "resolve", "user_id", "u3"))["entity_id"] in now

    await nexus(pipeline, "unblock", DESK)
    await pipeline.drained()
    assert await people(pipeline) == {one: ALL}

    await nexus(pipeline, "forbid", "user_id:u2", "user_id:u3")
    await nexus(pipeline, "link", "user_id:u1", "device:laptop")
    await pipeline.write([json.dumps({"id": "5", "at": "2024-05-01T10:00:00Z", "device": "laptop"}).encode()])
    await pipeline.drained()
    assert sorted(map(sorted, (await people(pipeline)).values())) == [["front@desk.example", "laptop", "tablet", "u1", "u2"], ["u3"]]
    chain = await nexus(pipeline, "explain", "user_id:u1", "device:laptop")
    assert [step["source"] for step in chain["links"]] == [""]
    report = await verify(pipeline.settings, wait_seconds=10)
    assert (report.differences, report.waiting, report.checked["commands"]) == ([], [], 4)
    assert await pipeline.read("dead-letters") == []
    kinds = {json.loads(record.value)["kind"] for record in await pipeline.read("timeline")}
    assert {"entity.split", "entity.merged", "identifier.removed", "merge.refused"} <= kinds


async def test_what_could_not_be_taken_in_is_not_sent(pipeline: Pipeline) -> None:
    for words, reason in (
        (("block", "shoe_size:43"), "declare no identifier type"),
        (("forbid", "user_id:u1", "user_id:u1"), "names the same identifier twice"),
        (("block", "email:null"), "is blocked for person"),
    ):
        with pytest.raises(NexusError, match=reason):
            await nexus(pipeline, *words)
    assert await pipeline.read("commands") == []
    unseen = await nexus(pipeline, "block", "device:new", "--dry-run")
    assert unseen["changes"]["moves"] == []


async def test_an_entity_as_of_a_time(pipeline: Pipeline) -> None:
    then = await nexus(pipeline, "resolve", "user_id", "u2", "--as-of", "2024-05-01T09:12:00Z")
    assert {one["value"] for one in then["identifiers"]} == ALL - {"u3"}
    with pytest.raises(NexusError, match="was not seen by"):
        await nexus(pipeline, "resolve", "user_id", "u3", "--as-of", "2024-05-01T09:12:00Z")


async def test_two_spaces_are_compared(pipeline: Pipeline) -> None:
    space = pipeline.settings.space
    same = await nexus(pipeline, "diff", space, space)
    assert (same["before"], same["changed"]) == ({"unchanged": 1}, 0)
    with pytest.raises(NexusError, match="has no space 'nowhere'"):
        await nexus(pipeline, "diff", space, "nowhere")
