"""The machine with guards that break all the time and an operator who corrects: memory and Redis side by side."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test

from resolvers.correction import CorrectionBatch
from resolvers.identifier import founder_of
from resolvers.memory import MemoryResolver
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.scripts import Bounds
from resolvers.sighting import Position
from streams.events import Event
from tests.histories import Documents, batch, read_again, written
from tests.properties.depth import depth
from tests.properties.test_guards_in_order import STATES, Erased, Guards, Said, corrections, erasures, guards, rules_of
from tests.properties.test_resolver_machine import SHARDS, Machine, _all
from tests.telling import check_told, drain

CARRIED = {one.name for one in STATES if one.derived and any(part.of for part in one.derived.components.values())}


def without_carried(found: Documents) -> Documents:
    """Leave states out that memberships carry: they follow what was told of others."""
    return {
        key: {**one, "states": {name: state for name, state in one["states"].items() if name not in CARRIED}} if "states" in one else one
        for key, one in found.items()
    }


class Corrected(Machine):
    """While cases are open Redis says what was before; whenever none is, both must say the same."""

    _rules: Rules

    @initialize(inline=st.sampled_from([1, 2, 64]), listed=st.sampled_from([1, 4, 1_000]), drawn=guards)
    def open(self, inline: int, listed: int, drawn: Guards) -> None:
        self._rules = rules_of(drawn)
        self._bounds = Bounds(inline, listed, patience=0, observed=listed)
        self._memory = MemoryResolver(self._rules, SHARDS, listed)
        self._redis = self._opened()
        self._said: list[Said | Erased] = []
        self._spoken = 0
        self._logs: dict[int, list[Event]] = {0: [], 1: []}

    def _opened(self) -> RedisResolver:
        resolver = RedisResolver(self._url, self._rules, self._space, SHARDS, 16, self._bounds)
        self._run(resolver.open())
        return resolver

    def _apply(self, seen: list[Event], partition: int) -> None:
        arriving = batch(seen, self._ends[partition], partition, self._rules)
        memory, redis = self._run(self._memory.apply(arriving)), self._run(self._redis.apply(arriving))
        assert [len(ids) for ids in memory.entity_ids] == [len(ids) for ids in redis.entity_ids]
        self._ends[partition] += len(seen)
        self._logs[partition] += seen
        self._issue(redis)

    @rule(said=st.lists(corrections | erasures, min_size=1, max_size=3))
    def an_operator_speaks(self, said: list[Said | Erased]) -> None:
        end = Position(self._spoken + len(said), 1)
        arriving = CorrectionBatch("commands", 0, self._spoken, end, tuple(one.under(self._rules) for one in said))
        for resolver, _ in self._both():
            self._run(resolver.correct(arriving))
        self._spoken = end.offset
        self._said += said

    @precondition(lambda self: self._said)
    @rule(data=st.data())
    def the_same_is_said_again(self, data: st.DataObject) -> None:
        self.an_operator_speaks(data.draw(st.lists(st.sampled_from(self._said), min_size=1, max_size=3)))

    @rule(at_once=st.integers(1, 3))
    def read_again_a_little(self, at_once: int) -> None:
        self._run(read_again(self._redis, self._logs, self._rules, at_once, 1))

    @rule()
    def settle(self) -> None:
        self._run(self._redis.settle())

    @rule()
    def drain(self) -> None:
        self._run(read_again(self._redis, self._logs, self._rules))
        for resolver, topics in self._both():
            self._run(drain(resolver, topics, SHARDS))
        memory, redis = self._topics["memory"], self._topics["redis"]
        check_told(self._run(_all(self._redis)), redis, self._bounds.listed)
        assert written(memory.living()) == written(redis.living())
        assert self._issued <= redis.survivors().keys()

    def _settled(self) -> bool:
        left = self._run(self._redis.backlog())
        return not (left.cases or left.sweeps or left.rereads)

    @invariant()
    def both_say_the_same(self) -> None:
        if self._settled():
            told = self._run(self._redis.backlog()).empty
            memory, redis = (self._run(_all(one)) for one in (self._memory, self._redis))
            assert written(memory if told else without_carried(memory)) == written(redis if told else without_carried(redis))

    @invariant()
    def every_id_ever_issued_leads_to_the_entity_of_its_founding_identifier(self) -> None:
        if not self._settled():
            return
        living_in = self._memory.world().owner
        for entity_id in self._issued | {key for topic, key in self._topics["redis"].documents if topic == "entities"}:
            redis = self._run(self._redis.entity(entity_id))
            assert redis is not None
            founding = living_in.get(founder_of(entity_id))
            if founding is None:
                assert redis == self._run(self._memory.entity(entity_id))
                assert redis["status"] in {"split", "erased"}
            else:
                assert redis.get("merged_into", redis["entity_id"]) == founding


def test_memory_and_redis_answer_alike_under_guards_and_corrections(redis_url: str) -> None:
    class Here(Corrected):
        def __init__(self) -> None:
            super().__init__(redis_url)

    run_state_machine_as_test(Here, settings=depth(100))
