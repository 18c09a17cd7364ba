"""The past: what a merged id was at a time is what the events up to it alone would have made of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvers.correction import CorrectionBatch
from resolvers.entity import entity_document
from resolvers.erasure import Erasure
from resolvers.errors import NexusError
from resolvers.folds import World
from resolvers.identifier import founder_of
from resolvers.instant import read_instant
from resolvers.memory import MemoryResolver
from resolvers.port import Resolver
from resolvers.rules import Rules
from resolvers.sighting import Position
from streams.events import Event
from tests.histories import batch
from tests.looking_back import look_back, still
from tests.properties.depth import depth
from tests.properties.strategies import START_MS, STEP_MS, events
from tests.properties.test_guards_in_order import Erased, Said, corrections, erasures, rules_of

OWN = ("test_life", "test_plan", "test_seen")
"""States that no membership carries."""


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


async def knowing(rules: Rules, history: list[Event], said: list[Said | Erased], now: int) -> MemoryResolver:
    """Make a resolver that knows some events and commands."""
    resolver = MemoryResolver(rules, 2, clock=lambda: now)
    for at, event in enumerate(history):
        await resolver.apply(batch([event], at, rules=rules))
    await resolver.correct(CorrectionBatch("commands", 0, 0, Position(len(said), 1), tuple(one.under(rules) for one in said)))
    return resolver


def expected(then: World, today: World, entity_id: str) -> dict[str, Any]:
    """Write what the events up to then made of an id, by the ids that groups have today."""
    document = entity_document(then.entities[entity_id])
    found = {name: document[name] for name in ("entity_type", "first_seen", "identifier_count", "traits")}
    views = [view for (who, _), view in then.memberships.items() if who == entity_id]
    groups = {view.group_id: today.owner[founder_of(view.group_id)] for view in views} | {entity_id: entity_id}
    if len(set(groups.values())) == len(groups):  # else the latest sighting of all that are one today counts
        roles = [{"group_id": groups[view.group_id], "role": view.latest.value.decode() or None} for view in views if not view.ended]
        found["memberships"] = sorted(roles, key=lambda one: str(one["group_id"]))
    return found | {"states": {name: one for name, one in document["states"].items() if name in OWN}}


@depth(40)
@given(
    st.lists(events, min_size=4, max_size=14).map(lambda seen: sorted(seen, key=lambda one: one.occurred_at)),
    st.lists(corrections, max_size=2, unique_by=lambda one: one.number),
    st.lists(erasures, max_size=1),
    st.sampled_from([1, None, None]),
)
def test_a_merged_id_was_what_the_events_up_to_then_make_of_it(
    runner: asyncio.Runner, history: list[Event], said: list[Said], erased: list[Erased], limit: int | None
) -> None:
    async def run() -> None:
        rules, commands = rules_of((limit, 100, 1_000)), cast("list[Said | Erased]", [*said, *erased])
        now = await knowing(rules, history, commands, START_MS + 8 * STEP_MS)
        today, asking = now.world(), still(now)
        former = [one for one in sorted(now._issued) if one not in today.entities and founder_of(one) in today.owner]
        for at_ms in range(START_MS, START_MS + 8 * STEP_MS, STEP_MS) if former else ():
            until = [one for one in history if read_instant(one.occurred_at) <= at_ms]
            then = (await knowing(rules, until, commands, at_ms)).world()
            for entity_id in former:
                await check(asking, rules, entity_id, at_ms, history, [one.under(rules) for one in erased], then, today)

    runner.run(run())


async def check(
    now: Resolver, rules: Rules, entity_id: str, at_ms: int, history: list[Event], erased: list[Erasure], then: World, today: World
) -> None:
    """Check what an id was at a time."""
    try:
        found = await look_back(now, rules, entity_id, at_ms, history, erased)
    except NexusError:
        assert founder_of(entity_id) not in then.owner
        return
    if entity_id not in then.entities:
        assert (found["status"], found["merged_into"]) == ("merged", today.owner[founder_of(entity_id)])
        return
    found["states"] = {name: one for name, one in found["states"].items() if name in OWN}
    wanted = expected(then, today, entity_id)
    assert {name: found[name] for name in wanted} == wanted
