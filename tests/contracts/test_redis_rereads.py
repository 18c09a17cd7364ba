"""A recovery tells nothing before what erasures ask for was read again: until then the graph does not know ids that the topics hold."""

from __future__ import annotations

from uuid import uuid4

import pytest

from resolvers.port import Waiting
from resolvers.redis_graph import RedisResolver
from resolvers.scripts import Bounds
from tests.contracts.test_resolver_erasures import erase
from tests.histories import RULES, apply, documents, event, person, read_again


@pytest.mark.parametrize(("settled_ms", "first"), [(600_000, Waiting.CATCHING_UP), (0, Waiting.UNREAD)])
async def test_the_topics_are_read_once_erasures_have_had_their_events_read_again(redis_url: str, settled_ms: int, first: Waiting) -> None:
    graph = RedisResolver(redis_url, RULES, f"rereads-{uuid4().hex}", 1, 16, Bounds(settled_ms=settled_ms))
    await graph.open()
    try:
        log = [event("e1", "9:00", person("user_id:u", "device:d")), event("e2", "9:30", person("user_id:u", "device:d"))]
        await apply(graph, *log)
        await graph.recover({})
        await erase(graph, "9:15", "user_id:u")
        await documents(graph)  # settled and swept
        assert await graph.rereads()
        await graph.take(0, 10, 0)  # from the first look on the time is counted
        assert await graph.take(0, 10, 0) is first
        await read_again(graph, {0: log}, RULES)
        await documents(graph)
        assert await graph.take(0, 10, 0) is Waiting.UNREAD
    finally:
        await graph.drop()
        await graph.close()
