"""A pipeline with one worker in which one desk has joined everybody, and how the command line is used on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from typer.testing import CliRunner

from resolvers.errors import NexusError
from streams.cli import build_app
from streams.preflight import make_missing_topics
from streams.settings import settings_from
from streams.stack import Addresses
from streams.topics import delete_topics
from tests.integration.test_stages import Pipeline

DESK = "email:front@desk.example"
RECORDS = [
    {"id": "1", "at": "2024-05-01T09:00:00Z", "user": "u1", "email": "front@desk.example", "name": "Ann"},
    {"id": "2", "at": "2024-05-01T09:05:00Z", "user": "u2", "email": "front@desk.example", "name": "Bob"},
    {"id": "3", "at": "2024-05-01T09:10:00Z", "user": "u2", "device": "tablet"},
    {"id": "4", "at": "2024-05-01T09:15:00Z", "user": "u3", "device": "tablet"},
]


ALL = {"u1", "u2", "u3", "front@desk.example", "tablet"}


SITES = {"group": {"identifiers": {"domain": {"normalise": "domain"}}}}


@asynccontextmanager
async def desk(stack: Addresses, directory: Path, *states: dict[str, Any], sites: bool = False) -> AsyncIterator[Pipeline]:
    """Give the pipeline, drained, with some states declared; gone afterwards. With `sites` records may name a site that somebody is of."""
    own = f"t{uuid4().hex[:8]}"
    identifiers = {"user_id": "user", "email": "email", "device": "device"}
    settings = settings_from(
        {
            "space": own,
            "partitions": 2,
            "topics": {"prefix": f"{own}."},
            "kafka": {"bootstrap_servers": stack.bootstrap_servers},
            "redis": {"url": stack.redis_url, "buckets": 16},
            "entities": {"person": {"identifiers": {"user_id": {}, "email": {"normalise": "email"}, "device": {}}}}
            | (SITES if sites else {}),
            "states": list(states),
            "sources": {
                "crm": {
                    "topic": f"{own}.raw",
                    "adapter": "mapping",
                    "event": {"id": "id", "name": "'seen'", "occurred_at": "at"},
                    "participants": [
                        {
                            "entity": "person",
                            "role": "guest",
                            "identifiers": identifiers,
                            "traits": {"name": "name"},
                            "states": {"plan": "plan"},
                        },
                        *([{"entity": "group", "identifiers": {"domain": "site"}}] if sites else []),
                    ],
                    "memberships": [{"member": 0, "group": 1, "role": "title"}] if sites else [],
                }
            },
        }
    )
    await make_missing_topics(settings)
    made = Pipeline(settings, directory)
    (directory / "nexus.yaml").write_text(settings.to_yaml(), encoding="utf-8")
    try:
        await made.worker()
        await made.write([json.dumps(one).encode() for one in RECORDS])
        await made.drained()
        yield made
    finally:
        for worker in made.workers:
            await worker.kill()
        await delete_topics(settings)


async def nexus(pipeline: Pipeline, *words: str, exits: int = 0) -> Any:
    """Run a command; gives its JSON, and checks with what it exits. Raises what it raises."""
    arguments = [*words, "--config", str(pipeline.directory / "nexus.yaml"), "--json"]
    result = await asyncio.to_thread(CliRunner().invoke, build_app(), arguments)
    if isinstance(result.exception, NexusError):
        raise result.exception
    assert result.exit_code == exits, result.output
    return json.loads(result.stdout)


async def people(pipeline: Pipeline) -> dict[str, set[str]]:
    """Give who is one by the entities topic: the last active document of each id."""
    last = {record.key: json.loads(record.value) for record in await pipeline.read("entities")}
    return {one["entity_id"]: {each["value"] for each in one["identifiers"]} for one in last.values() if one["status"] == "active"}
