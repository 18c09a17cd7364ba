"""What keeps two apart: every pair of different entities that links lead between has guards named, and what is said of each is so."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvers.apart import Reason, Why
from resolvers.correction import CorrectionBatch
from resolvers.explanation import Connected, NotConnected
from resolvers.identifier import Identifier
from resolvers.memory import MemoryResolver
from resolvers.port import Resolver
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.scripts import Bounds
from resolvers.sighting import Position
from streams.events import Event
from streams.explaining import KeptApart, answer
from tests.histories import batch
from tests.properties.depth import depth
from tests.properties.strategies import events
from tests.properties.test_guards_in_order import Guards, Said, corrections, guards, rules_of
from tests.properties.test_preview import living

Owned = dict[Identifier, set[Identifier]]
"""Each identifier that belongs to somebody, with those that it is one with."""


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


async def check(resolver: Resolver, rules: Rules, history: list[Event], said: list[Said], asked: list[tuple[int, int]]) -> None:
    """Let a history come, and ask about some pairs."""
    await resolver.apply(batch(history, rules=rules))
    await resolver.correct(CorrectionBatch("commands", 0, 0, Position(len(said), 1), tuple(one.under(rules) for one in said)))
    owned: Owned = {one: members for members in (await living(resolver)).values() for one in members}
    known = sorted(owned)
    for one, other in {(known[at % len(known)], known[to % len(known)]) for at, to in asked} if known else ():
        found = await answer(resolver, rules, one, other)
        if other in owned[one]:
            assert isinstance(found, Connected)
        elif one.entity_type != other.entity_type:
            assert isinstance(found, NotConnected)
        elif not isinstance(found, NotConnected):
            assert isinstance(found, KeptApart)
            await check_guards(resolver, rules, owned, found)


async def check_guards(resolver: Resolver, rules: Rules, owned: Owned, found: KeptApart) -> None:
    """Check that each link at which it comes apart has a reason, and that every reason is so."""
    assert not found.apart.cut
    assert any(reasons for _, reasons in found.apart.steps)
    for step, reasons in found.apart.steps:
        assert reasons or step.end in owned[step.start]
        for reason in reasons:
            assert await holds(resolver, rules, owned, reason)


async def holds(resolver: Resolver, rules: Rules, owned: Owned, reason: Reason) -> bool:
    """Say whether what a reason says is so."""
    one = reason.identifiers[0]
    rule = rules.entities[one.entity_type]
    if reason.why in {Why.BLOCKED, Why.HUB}:
        standing = await resolver.standing(one)
        return one not in owned and (standing.blocked if reason.why is Why.BLOCKED else standing.hub)
    both = [owned[end] for end in reason.identifiers]
    if reason.why is Why.FORBIDDEN:
        return (
            reason.pair[0] in both[0]
            and reason.pair[1] in both[1]
            and reason.pair[1] in (await resolver.standing(reason.pair[0])).forbidden
        )
    if reason.why is Why.LIMIT:
        counts = Counter(member.type for member in both[0] | both[1])
        return counts[reason.of] > reason.most == rule.identifiers[reason.of].limit
    return both[0] is not both[1] and reason.most == rule.size


histories = st.lists(events, min_size=1, max_size=10)
asked = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=6, max_size=6)
spoken = st.lists(corrections, max_size=4, unique_by=lambda one: one.number)


@depth(100)
@given(histories, spoken, guards, asked)
def test_what_keeps_two_apart_is_named_in_memory(
    runner: asyncio.Runner, history: list[Event], said: list[Said], guarded: Guards, pairs: list[tuple[int, int]]
) -> None:
    rules = rules_of(guarded)
    runner.run(check(MemoryResolver(rules, 2), rules, history, said, pairs))


@depth(20)
@given(histories, spoken, guards, asked)
def test_what_keeps_two_apart_is_named_in_redis(
    redis_url: str, runner: asyncio.Runner, history: list[Event], said: list[Said], guarded: Guards, pairs: list[tuple[int, int]]
) -> None:
    async def run() -> None:
        rules = rules_of(guarded)
        resolver = RedisResolver(redis_url, rules, f"apart-{uuid4().hex}", 2, 16, Bounds(patience=0))
        await resolver.open()
        try:
            await check(resolver, rules, history, said, pairs)
        finally:
            await resolver.drop()
            await resolver.close()

    runner.run(run())
