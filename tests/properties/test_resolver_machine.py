"""The machine: memory and Redis side by side through batches, repeats, rounds, crashes and restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from resolvers.errors import Fenced, PositionGap
from resolvers.identifier import Identifier, founder_of, identifier_digest
from resolvers.memory import MemoryResolver
from resolvers.port import Applied, Resolver, Round
from resolvers.redis_graph import RedisResolver
from resolvers.scripts import Bounds
from streams.events import Event
from tests.histories import KEY, RULES, Documents, batch, written
from tests.properties.depth import depth
from tests.properties.strategies import events
from tests.telling import Topics, check_told, drain, payload_of, publish, take_round

SHARDS = 2
T = TypeVar("T")
shards = st.integers(0, SHARDS - 1)
limits = st.integers(1, 6)


class Machine(RuleBasedStateMachine):
    """Drives both resolvers alike. Only their answers are compared, never how they keep them."""

    def __init__(self, redis_url: str) -> None:
        super().__init__()
        self._url = redis_url
        self._space = f"machine-{uuid4().hex}"
        self._runner = asyncio.Runner()
        self._topics = {"memory": Topics(), "redis": Topics()}
        self._applied: list[Event] = []
        self._ends = {0: 0, 1: 0}
        self._issued: set[str] = set()

    @initialize(inline=st.sampled_from([1, 2, 64]), listed=st.sampled_from([1, 2, 4, 1_000]))
    def open(self, inline: int, listed: int) -> None:
        self._bounds = Bounds(inline, listed, observed=listed)
        self._memory = MemoryResolver(RULES, SHARDS, listed)
        self._redis = self._opened()

    def _opened(self) -> RedisResolver:
        resolver = RedisResolver(self._url, RULES, self._space, SHARDS, 16, self._bounds)
        self._run(resolver.open())
        return resolver

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def _both(self) -> list[tuple[Resolver, Topics]]:
        return [(self._memory, self._topics["memory"]), (self._redis, self._topics["redis"])]

    def _apply(self, seen: list[Event], partition: int) -> None:
        arriving = batch(seen, self._ends[partition], partition)
        memory, redis = self._run(self._memory.apply(arriving)), self._run(self._redis.apply(arriving))
        assert memory == redis
        self._ends[partition] += len(seen)
        self._issue(redis)

    def _issue(self, applied: Applied) -> None:
        self._issued |= {entity_id for ids in applied.entity_ids for entity_id in ids if entity_id}

    @rule(seen=st.lists(events, min_size=1, max_size=4))
    def new_events_arrive(self, seen: list[Event]) -> None:
        self._apply(seen, 0)
        self._applied += seen

    @precondition(lambda self: self._applied)
    @rule(data=st.data())
    def the_same_events_arrive_again(self, data: st.DataObject) -> None:
        self._apply(data.draw(st.lists(st.sampled_from(self._applied), min_size=1, max_size=6)), 1)

    @rule(seen=st.lists(events, min_size=1, max_size=2), off=st.sampled_from([-1, 1, 7]))
    def a_batch_out_of_turn_is_refused(self, seen: list[Event], off: int) -> None:
        for resolver, _ in self._both():
            with pytest.raises(PositionGap):
                self._run(resolver.apply(batch(seen, self._ends[0] + off)))

    @rule(shard=shards, limit=limits)
    def publish_a_round(self, shard: int, limit: int) -> None:
        for resolver, topics in self._both():
            self._run(publish(resolver, topics, shard, limit))

    @rule(shard=shards, limit=limits)
    def crash_before_the_bytes_are_kept(self, shard: int, limit: int) -> None:
        for resolver, _ in self._both():
            round_ = self._run(take_round(resolver, shard, limit, 0))
            assert self._run(resolver.pending(shard, 0)) is None
            if round_ is not None:
                with pytest.raises(Fenced):
                    self._run(resolver.keep(round_, b"woke up"))

    @rule(shard=shards, limit=limits, seen=st.lists(events, max_size=2), sent=st.booleans())
    def crash_after_the_bytes_are_kept(self, shard: int, limit: int, seen: list[Event], sent: bool) -> None:
        kept = [self._take_and_keep(resolver, shard, limit) for resolver, _ in self._both()]
        if sent:
            self._write(kept)
        self.new_events_arrive(seen)
        self._restart()
        left = []
        for (resolver, _), round_ in zip(self._both(), kept, strict=True):
            found = self._run(resolver.pending(shard, 0))
            assert (found and (found.number, found.payload)) == (round_ and (round_.number, round_.payload))
            left.append(found)
        if not sent:
            self._write(kept)
        for (resolver, _), found in zip(self._both(), left, strict=True):
            if found is not None:
                self._run(resolver.finish(found))
                self._run(resolver.finish(found))

    def _take_and_keep(self, resolver: Resolver, shard: int, limit: int) -> Round | None:
        round_ = self._run(take_round(resolver, shard, limit, 0))
        if round_ is None:
            return None
        payload = payload_of(round_)
        self._run(resolver.keep(round_, payload))
        return Round(shard, round_.number, payload=payload)

    def _write(self, kept: list[Round | None]) -> None:
        for (_, topics), round_ in zip(self._both(), kept, strict=True):
            if round_ is not None:
                assert round_.payload is not None
                topics.write(round_.number, round_.payload)

    @rule(limit=st.integers(1, 5))
    def sweep(self, limit: int) -> None:
        self._run(self._redis.sweep(limit))

    @rule()
    def restart(self) -> None:
        self._restart()

    def _restart(self) -> None:
        self._run(self._redis.close())
        self._redis = self._opened()

    @rule()
    def drain(self) -> None:
        for resolver, topics in self._both():
            self._run(drain(resolver, topics, SHARDS))
        memory, redis = self._topics["memory"], self._topics["redis"]
        check_told(self._run(_all(self._redis)), redis, self._bounds.listed)
        assert written(memory.living()) == written(redis.living())
        assert memory.survivors() == redis.survivors()
        assert self._issued <= redis.survivors().keys()

    @invariant()
    def both_say_the_same(self) -> None:
        memory, redis = self._run(_all(self._memory)), self._run(_all(self._redis))
        if self._run(self._redis.backlog()).sweeps:  # memberships follow with the sweeps
            memory, redis = ({key: one for key, one in found.items() if key[0] != "memberships"} for found in (memory, redis))
        assert written(memory) == written(redis)

    @invariant()
    def every_id_ever_issued_leads_to_the_entity_of_its_founding_identifier(self) -> None:
        known = [one for (topic, _), one in self._run(_all(self._redis)).items() if topic == "identifiers"]
        living_in = {digest_of(one): one["entity_id"] for one in known}
        for entity_id in self._issued | {key for topic, key in self._topics["redis"].documents if topic == "entities"}:
            memory, redis = self._run(self._memory.entity(entity_id)), self._run(self._redis.entity(entity_id))
            assert memory == redis
            assert redis is not None
            founding = living_in[founder_of(entity_id)]
            assert redis.get("merged_into", redis["entity_id"]) == founding

    def teardown(self) -> None:
        try:
            if hasattr(self, "_redis"):
                self.drain()
        finally:
            if hasattr(self, "_redis"):
                self._run(self._redis.drop())
                self._run(self._redis.close())
            self._runner.close()


def digest_of(document: dict[str, Any]) -> bytes:
    """Digest the identifier that a document is about."""
    return identifier_digest(KEY, Identifier(document["entity_type"], document["type"], document["value"]))


async def _all(resolver: Resolver) -> Documents:
    return {(topic, key): document async for topic, key, document in resolver.documents()}


def test_memory_and_redis_answer_alike_through_crashes_and_restarts(redis_url: str) -> None:
    class Here(Machine):
        def __init__(self) -> None:
            super().__init__(redis_url)

    run_state_machine_as_test(Here, settings=depth(100))
