"""`nexus entity --as-of` on a pipeline: late roles, an undo, a group's members, what was erased, and a log that was cut."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import RecordsToDelete
from typer.testing import CliRunner

from resolvers.errors import NexusError
from streams import kafka
from streams.cli import build_app
from streams.stack import Addresses
from streams.topics import places_of
from tests.integration.desk import DESK, desk, nexus
from tests.integration.test_stages import Pipeline

pytestmark = [pytest.mark.stack, pytest.mark.timeout(360)]

SITE = "quill.example"
IN_TIME = [
    {"id": "5", "at": "2024-05-02T09:00:00Z", "user": "u1", "site": SITE, "title": "editor"},
    {"id": "6", "at": "2024-05-04T09:00:00Z", "user": "u1", "site": SITE, "title": "owner", "name": "Ann B."},
]
LATE = {"id": "7", "at": "2024-05-03T09:00:00Z", "user": "u1", "site": SITE, "title": "admin"}


async def cut(pipeline: Pipeline) -> None:
    """Remove from the event log all that is in it."""
    client = await kafka.started(kafka.admin(pipeline.settings), pipeline.settings.kafka, "admin")
    try:
        places = await places_of(client, [pipeline.settings.topic("events")])
        await client.delete_records({place: RecordsToDelete(before_offset=-1) for place in places})
    finally:
        await client.close()


def roles(document: dict[str, Any], side: str = "memberships") -> list[str]:
    return [one["role"] for one in document[side]]


async def test_what_was_true_at_a_time_by_all_that_is_known(stack: Addresses, tmp_path: Path) -> None:
    async with desk(stack, tmp_path, sites=True) as pipeline:
        for records in (IN_TIME, [LATE]):
            await pipeline.write([json.dumps(one).encode() for one in records])
            await pipeline.drained()
        who = (await nexus(pipeline, "resolve", "user_id", "u1"))["entity_id"]
        site = (await nexus(pipeline, "resolve", "domain", SITE))["entity_id"]
        days = [await nexus(pipeline, "entity", who, "--as-of", f"2024-05-0{day}T12:00:00Z") for day in (1, 2, 3, 4)]
        assert [roles(day) for day in days] == [[], ["editor"], ["admin"], ["owner"]]
        assert [day["traits"]["name"] for day in days] == ["Bob", "Bob", "Bob", "Ann B."]
        assert "log_begins" not in days[0]
        then = await nexus(pipeline, "entity", site, "--as-of", "2024-05-03T12:00:00Z")
        assert (then["members"], then["member_count"]) == ([{"person_id": who, "role": "admin"}], 1)
        words = ["entity", site, "--as-of", "2024-05-03T12:00:00Z", "--config", str(tmp_path / "nexus.yaml")]
        shown = await asyncio.to_thread(CliRunner(env={"COLUMNS": "80"}).invoke, build_app(), words)
        assert f"1 member:\n    {who}  admin\n" in shown.stdout

        await nexus(pipeline, "block", DESK)
        await pipeline.drained()
        apart = await nexus(pipeline, "entity", who, "--as-of", "2024-05-03T12:00:00Z")
        assert (apart["traits"], roles(apart)) == ({"name": "Ann"}, ["admin"])

        await nexus(pipeline, "erase", site)
        await pipeline.drained()
        assert roles(await nexus(pipeline, "entity", who, "--as-of", "2024-05-03T12:00:00Z")) == []
        with pytest.raises(NexusError, match="was erased"):
            await nexus(pipeline, "entity", site, "--as-of", "2024-05-03T12:00:00Z")

        await cut(pipeline)
        rest = await nexus(pipeline, "entity", who, "--as-of", "2024-05-05T12:00:00Z")
        assert rest["log_begins"] > "2024-05-05"
        assert rest["traits"] == {"name": "Ann B."}  # the latest is known without the log
        assert {one["value"] for one in rest["identifiers"]} == {"u1"}
