"""Commands from the command line to the topics: a merge is looked at, undone, looked up, and done again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from resolvers.errors import NexusError
from streams.stack import Addresses
from streams.verify import verify
from tests.integration.desk import ALL, DESK, desk, nexus, people
from tests.integration.test_stages import Pipeline


@pytest.fixture
async def pipeline(stack: Addresses, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with desk(stack, tmp_path) as made:
        yield made


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
    assert (await nexus(pipeline, "explain", "user_id:u1", DESK, exits=1))["off"]["guard"] == "blocked"
    apart = (await nexus(pipeline, "explain", "user_id:u1", "user_id:u2", exits=1))["apart"]
    assert [[guard["guard"] for guard in link["guards"]] for link in apart["links"]] == [["blocked"]] * 2
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
