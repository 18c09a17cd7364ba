"""What the doctor says of a space that has outgrown its buckets."""

from __future__ import annotations

from uuid import uuid4

import pytest
from redis.asyncio import Redis

from streams.graph import open_graph
from streams.redis_checkup import examine_space
from streams.settings import settings_from


@pytest.mark.parametrize(("nodes", "wanted"), [(4 * 384, None), (4 * 384 + 1, "redis.buckets: 16"), (5_000, "redis.buckets: 64")])
async def test_too_few_buckets_are_said_before_it_is_late(redis_url: str, nodes: int, wanted: str | None) -> None:
    settings = settings_from({"space": f"crowded-{uuid4().hex}", "redis": {"url": redis_url, "buckets": 4}})
    async with open_graph(settings) as graph, Redis.from_url(redis_url) as redis:
        await graph.open()
        await redis.hset(f"nexus:{{{settings.space}}}:meta", "nodes", nodes)
        found = [(one.level, one.text) for one in await examine_space(settings) if one.what == "redis buckets"]
        await graph.drop()
    assert len(found) == (wanted is not None)
    for level, text in found:
        assert level == "warning"
        assert text.endswith(str(wanted))
