"""`nexus timeline` and `nexus entity --as-of` on a pipeline: a merge, a late event, a former id, and what was true at a time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resolvers.errors import NexusError
from streams.stack import Addresses
from tests.integration.desk import desk, nexus

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

STATES = [
    {"id": "5", "at": "2024-05-02T09:00:00Z", "user": "u1", "plan": "free"},
    {"id": "6", "at": "2024-05-04T09:00:00Z", "user": "u1", "plan": "paid", "name": "Ann B."},
]
LATE = {"id": "7", "at": "2024-05-03T09:00:00Z", "user": "u3", "plan": "trial"}
EARLIER = {"id": "8", "at": "2024-04-30T09:00:00Z", "user": "u9", "device": "tablet"}


async def test_a_life_and_what_was_true_at_a_time(stack: Addresses, tmp_path: Path) -> None:
    async with desk(stack, tmp_path) as pipeline:
        former = ""
        for record in (*STATES, LATE, EARLIER):
            former = (await nexus(pipeline, "resolve", "user_id", "u1"))["entity_id"]
            await pipeline.write([json.dumps(record).encode()])
            await pipeline.drained()
        found = await nexus(pipeline, "resolve", "user_id", "u9")
        living = found["entity_id"]
        assert living != former
        assert found["states"] == {"plan": {"value": "paid", "since": "2024-05-04T09:00:00.000Z"}}
        lines = await nexus(pipeline, "timeline", living, "--absorbed")
        assert {living, former} <= {line["entity_id"] for line in lines}

        told = await nexus(pipeline, "timeline", former)
        assert [line["version"] for line in told] == sorted(line["version"] for line in told)
        assert told[-1]["data"] == {"merged_into": living}
        (corrected,) = await nexus(pipeline, "timeline", former, "--kind", "state.corrected")
        assert corrected["data"] == {
            "state": "plan",
            "old": [{"value": "free", "since": "2024-05-02T09:00:00.000Z", "until": "2024-05-04T09:00:00.000Z"}],
            "new": [
                {"value": "free", "since": "2024-05-02T09:00:00.000Z", "until": "2024-05-03T09:00:00.000Z"},
                {"value": "trial", "since": "2024-05-03T09:00:00.000Z", "until": "2024-05-04T09:00:00.000Z"},
            ],
        }
        days = "--from", "2024-05-03T00:00:00Z", "--to", "2024-05-04T00:00:00Z"
        assert [line["event_id"] for line in await nexus(pipeline, "timeline", former, "--kind", "state", *days)] == ["7"]

        then = await nexus(pipeline, "entity", living, "--as-of", "2024-05-03T12:00:00Z")
        assert then["states"] == {"plan": {"value": "trial", "since": "2024-05-03T09:00:00.000Z"}}
        assert then["identifier_count"] == 6
        before = await nexus(pipeline, "entity", living, "--as-of", "2024-04-30T12:00:00Z")
        assert {one["value"] for one in before["identifiers"]} == {"u9", "tablet"}
        assert (before["states"], before["traits"]) == ({}, {})

        ended = await nexus(pipeline, "entity", former, "--as-of", "2024-05-02T12:00:00Z")  # by what events had shown by then
        assert (ended["status"], ended["merged_into"]) == ("merged", living)
        was = await nexus(pipeline, "entity", former, "--as-of", "2024-05-01T09:07:00Z")
        assert ({one["value"] for one in was["identifiers"]}, was["traits"]) == ({"u1", "u2", "front@desk.example"}, {"name": "Bob"})

        recent = datetime.now(UTC)
        await pipeline.write([json.dumps({"id": "9", "at": recent.isoformat(), "user": "u1", "plan": "gone"}).encode()])
        await pipeline.drained()
        (line,) = await nexus(pipeline, "timeline", living, "--kind", "state", "--from", (recent - timedelta(hours=1)).isoformat())
        assert (line["event_id"], line["data"]["to"]) == ("9", "gone")

        for words, said in (
            (("timeline", living[:-1] + ("a" if living[-1] != "a" else "b")), "tells nothing of"),
            (("timeline", "nobody"), "entity id"),
            (("timeline", living, "--from", "yesterday"), "--from 'yesterday' is not an RFC 3339 time"),
            (("timeline", living, "--kind", "states"), "has no kind 'states'; did you mean 'state'"),
            (("entity", living, "--as-of", "2020-01-01T00:00:00Z"), "nothing tells of"),
        ):
            with pytest.raises(NexusError, match=said):
                await nexus(pipeline, *words)
