"""Identifiers that leave as digests: on a pipeline with merges, a guard that breaks, a block, and a Redis that forgets everything."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from resolvers.identifier import Identifier
from streams.graph import open_graph
from streams.settings import settings_from
from streams.stack import Addresses
from streams.topics import delete_topics
from streams.verify import verify
from tests.integration.test_stages import Pipeline, until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(360)]

AT = "quill.example"
"""In every address."""


def seen(number: int, user: str, email: str) -> bytes:
    """Make a record."""
    return json.dumps({"id": f"e{number}", "at": 1_700_000_000 + number, "user": user, "email": f"{email}@{AT}"}).encode()


RECORDS = [
    seen(0, "ann", "ann"),
    seen(1, "ann", "a.n"),
    seen(2, "bob", "bob"),
    seen(3, "bob", "ann"),
    *(seen(10 + number, f"u{number}", "desk") for number in range(3)),
    seen(20, "cy", "cy"),
]


@pytest.fixture
async def pipeline(stack: Addresses, tmp_path: Path) -> AsyncIterator[Pipeline]:
    """Give a pipeline in which addresses are hashed, and one user id is enough for an entity."""
    own = f"hashed-{uuid4().hex[:8]}"
    identifiers: dict[str, Any] = {"user_id": {"limit": 1}, "email": {"normalise": "email", "hashed": True}}
    participants = [{"entity": "person", "identifiers": {"user_id": "user", "email": "email"}}]
    event = {"id": "id", "name": "'seen'", "occurred_at": "at"}
    settings = settings_from(
        {
            "space": own,
            "partitions": 2,
            "kafka": {"bootstrap_servers": stack.bootstrap_servers},
            "redis": {"url": stack.redis_url, "buckets": 16},
            "topics": {"prefix": f"{own}."},
            "entities": {"person": {"identifiers": identifiers}},
            "sources": {"crm": {"topic": f"{own}.raw", "adapter": "mapping", "event": event, "participants": participants}},
        }
    )
    pipeline = Pipeline(settings, tmp_path)
    await pipeline.worker()
    yield pipeline
    for worker in pipeline.workers:
        await worker.kill()
    await delete_topics(settings)


async def test_no_value_of_a_hashed_type_is_on_the_output_topics(pipeline: Pipeline) -> None:
    await pipeline.write(RECORDS)
    await pipeline.drained()
    async with open_graph(pipeline.settings) as graph:
        assert await graph.identifier(Identifier("person", "email", f"ann@{AT}")) is not None  # who asks the graph is told
    blocked = [{"entity": "person", "type": "email", "value": f"a.n@{AT}"}]
    command = {"command_id": "c", "issued_at": "2024-05-01T00:00:00Z", "command": "block", "identifiers": blocked}
    await pipeline.write(
        [json.dumps({"command_id": "c", "issued_at": "2024-05-01T00:00:00Z", **command}).encode()],
        pipeline.settings.topic("commands"),
        b"c",
    )
    await pipeline.drained()
    await _hidden(pipeline)

    redis: Any = Redis.from_url(pipeline.settings.redis.url)
    await redis.delete(*[key async for key in redis.scan_iter(match=f"nexus:{{{pipeline.settings.space}}}:*")])
    await redis.aclose()
    await pipeline.write([seen(30, "cy", "c.y")])

    async def known() -> bool:
        return any(line["event_id"] == "e30" for line in await pipeline.values("timeline"))

    await until(known)
    await pipeline.drained()
    await _hidden(pipeline)


async def _hidden(pipeline: Pipeline) -> None:
    report = await verify(pipeline.settings)
    assert report.ok, "\n".join(report.lines(20))
    records = [record for word in ("entities", "identifiers", "memberships", "timeline") for record in await pipeline.read(word)]
    assert not [record for record in records if AT in f"{record.key!r} {record.value!r}"]
    refused = [line["data"] for line in await pipeline.values("timeline") if line["kind"] == "merge.refused"]
    assert refused
    assert all(len(one["value"]) == 32 for line in refused for one in line["identifiers"] if one["type"] == "email")
