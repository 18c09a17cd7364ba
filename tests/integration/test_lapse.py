"""A value lapses on a running worker to which nothing comes any more."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from streams.stack import Addresses
from streams.times import format_time
from tests.integration.desk import desk, nexus

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

PLAN = {
    "name": "crm_plan",
    "entity": "person",
    "participant": "plan",
    "lapses": [{"value": "trial", "becomes": "over", "after": "5s"}],
}


async def test_a_value_lapses_while_nothing_comes(stack: Addresses, tmp_path: Path) -> None:
    async with desk(stack, tmp_path, PLAN) as pipeline:
        began = int(time.time() * 1000)
        await pipeline.write([json.dumps({"id": "5", "at": format_time(began), "user": "u7", "plan": "trial"}).encode()])
        await pipeline.drained()
        found = await nexus(pipeline, "resolve", "user_id", "u7")
        assert found["states"]["crm_plan"] == {"value": "trial", "since": format_time(began)}
        told: list[dict[str, object]] = []
        async with asyncio.timeout(30):
            while len(told) < 2:
                await asyncio.sleep(0.5)
                told = [line["data"] for line in await nexus(pipeline, "timeline", found["entity_id"], "--kind", "state")]
        ends = format_time(began + 5_000)
        assert told == [
            {"state": "crm_plan", "from": None, "to": "trial", "entered_at": format_time(began)},
            {"state": "crm_plan", "from": "trial", "to": "over", "entered_at": ends},
        ]
        now = await nexus(pipeline, "entity", found["entity_id"])
        assert now["states"]["crm_plan"] == {"value": "over", "since": ends}
