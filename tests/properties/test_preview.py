"""The preview of a correction or an erasure: what it says is what becomes of the graph when the command is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvers.correction import CorrectionBatch
from resolvers.identifier import Identifier
from resolvers.instant import read_instant
from resolvers.memory import MemoryResolver
from resolvers.port import Resolver
from resolvers.preview import Picture, Preview, difference, picture, surroundings, until
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.scripts import Bounds
from resolvers.sighting import Position
from streams.erasing import erased_pictures, spanning
from streams.events import Event
from tests.histories import batch, documents, read_again
from tests.properties.depth import depth
from tests.properties.strategies import START_MS, STEP_MS, events
from tests.properties.test_guards_in_order import Erased, Said, corrections, covered, cutoffs, erasures, guards, rules_of


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


async def living(resolver: Resolver) -> dict[str, set[Identifier]]:
    """Give who is one, as the resolver says."""
    found: dict[str, set[Identifier]] = {}
    for (topic, _), document in (await documents(resolver)).items():
        if topic == "identifiers":
            named = Identifier(document["entity_type"], document["type"], document["value"])
            found.setdefault(document["entity_id"], set()).add(named)
    return found


def check(pictured: Picture, found: dict[str, set[Identifier]]) -> None:
    """Check that every entity of a picture is as the resolver says."""
    for entity_id, members in pictured.members.items():
        assert found.get(entity_id) == set(members)


async def foretold(resolver: Resolver, rules: Rules, history: list[Event], said: list[Said], last: Said) -> None:
    """Send some corrections, look at what another would change, send it, and compare."""
    await resolver.apply(batch(history, rules=rules))
    end = Position(len(said), 1)
    await resolver.correct(CorrectionBatch("commands", 0, 0, end, tuple(one.under(rules) for one in said)))
    now = await living(resolver)
    correction = last.under(rules)
    around = await surroundings(resolver, [usable.identifier for usable in correction.identifiers])
    before, after = picture(rules, around), picture(rules, around, [correction])
    check(before, now)
    await resolver.correct(CorrectionBatch("commands", 0, len(said), Position(len(said) + 1, 1), (correction,)))
    then = await living(resolver)
    check(after, then)
    check_told(difference(before, after), now, then)


def check_told(told: Preview, now: dict[str, set[Identifier]], then: dict[str, set[Identifier]]) -> None:
    """Check that what is said to change is what has changed."""
    assert set(told.ended) == now.keys() - then.keys()
    assert set(told.new) == then.keys() - now.keys()
    was, becomes = ({one for members in found.values() for one in members} for found in (now, then))
    moved = [{one for move in told.moves if getattr(move, side) is None for one in move.identifiers} for side in ("after", "before")]
    assert moved == [was - becomes, becomes - was]


async def erasure_foretold(resolver: Resolver, rules: Rules, history: list[Event], said: list[Said | Erased], last: Erased) -> None:
    """Send some commands, look at what an erasure would take away, send it, and compare.

    Where a link was seen before and after the cutoff, what is left of it is in the log alone: only what there is before is checked then.
    """
    await resolver.apply(batch(history, rules=rules))
    await resolver.correct(CorrectionBatch("commands", 0, 0, Position(len(said), 1), tuple(one.under(rules) for one in said)))
    await read_again(resolver, {0: history}, rules)
    now = await living(resolver)
    erasure = last.under(rules)
    around = await surroundings(resolver, [Identifier(*named) for named in last.identifiers])
    before, after = erased_pictures(rules, around, erasure)
    check(before, now)
    await resolver.correct(CorrectionBatch("commands", 0, len(said), Position(len(said) + 1, 1), (erasure,)))
    await read_again(resolver, {0: history}, rules)
    then = await living(resolver)
    if not spanning(rules, around, erasure):
        check(after, then)
        check_told(difference(before, after), now, then)


histories = st.lists(events, min_size=1, max_size=10)
earlier = st.lists(corrections, max_size=4, unique_by=lambda one: one.number)


def lately(one: Said) -> Said:
    """Make a correction the latest about its subject."""
    return Said(99, one.kind, one.holds, one.identifiers, 9)


@depth(150)
@given(histories, earlier, corrections.map(lately), guards)
def test_what_is_foretold_comes_true_in_memory(
    runner: asyncio.Runner, history: list[Event], said: list[Said], last: Said, guards: tuple[int | None, int, int]
) -> None:
    rules = rules_of(guards)
    runner.run(foretold(MemoryResolver(rules, 2), rules, history, said, last))


@depth(60)
@given(histories, earlier, corrections.map(lately), guards)
def test_what_is_foretold_comes_true_in_redis(
    redis_url: str, runner: asyncio.Runner, history: list[Event], said: list[Said], last: Said, guards: tuple[int | None, int, int]
) -> None:
    async def run() -> None:
        rules = rules_of(guards)
        resolver = RedisResolver(redis_url, rules, f"preview-{uuid4().hex}", 2, 16, Bounds(patience=0))
        await resolver.open()
        try:
            await foretold(resolver, rules, history, said, last)
        finally:
            await resolver.drop()
            await resolver.close()

    runner.run(run())


commands = st.lists(corrections | erasures, max_size=4, unique_by=lambda one: one.number)
last_erasures = st.builds(Erased, st.just(99), covered, cutoffs | st.just(START_MS + 100 * STEP_MS))


@depth(150)
@given(histories, commands, last_erasures, guards)
def test_what_is_foretold_of_an_erasure_comes_true_in_memory(
    runner: asyncio.Runner, history: list[Event], said: list[Said | Erased], last: Erased, guards: tuple[int | None, int, int]
) -> None:
    rules = rules_of(guards)
    runner.run(erasure_foretold(MemoryResolver(rules, 2), rules, history, said, last))


@depth(60)
@given(histories, commands, last_erasures, guards)
def test_what_is_foretold_of_an_erasure_comes_true_in_redis(
    redis_url: str,
    runner: asyncio.Runner,
    history: list[Event],
    said: list[Said | Erased],
    last: Erased,
    guards: tuple[int | None, int, int],
) -> None:
    async def run() -> None:
        rules = rules_of(guards)
        resolver = RedisResolver(redis_url, rules, f"preview-{uuid4().hex}", 2, 16, Bounds(patience=0))
        await resolver.open()
        try:
            await erasure_foretold(resolver, rules, history, said, last)
        finally:
            await resolver.drop()
            await resolver.close()

    runner.run(run())


@depth(150)
@given(histories, st.integers(0, 7), guards)
def test_as_of_a_time_is_what_the_events_up_to_it_give(
    runner: asyncio.Runner, history: list[Event], step: int, guards: tuple[int | None, int, int]
) -> None:
    async def run() -> None:
        rules, at_ms = rules_of(guards), START_MS + step * STEP_MS
        now, then = MemoryResolver(rules, 2), MemoryResolver(rules, 2)
        await now.apply(batch(history, rules=rules))
        await then.apply(batch([one for one in history if read_instant(one.occurred_at) <= at_ms], rules=rules))
        was = await living(then)
        for identifier in sorted({one for members in was.values() for one in members}):
            around = until(await surroundings(now, [identifier], over_all=True), at_ms)
            found = picture(rules, around)
            check(found, was)
            assert identifier in found.members[found.entity_of[identifier]]

    runner.run(run())
