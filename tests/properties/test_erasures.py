"""Erasures: what they cover is as if it had never been seen, and nothing of it is left in Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from resolvers.instant import read_instant
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.scripts import Bounds
from streams.events import Event, Participant
from tests.histories import Documents, written
from tests.properties.depth import depth
from tests.properties.strategies import START_MS, STEP_MS, events
from tests.properties.test_guards_in_order import (
    SHARDS,
    Arrival,
    Erased,
    Guards,
    Item,
    Said,
    arrivals,
    arrive,
    corrections,
    covered,
    erasures,
    guards,
    rules_of,
)
from tests.telling import check_told

AFTER_ALL = START_MS + 100 * STEP_MS


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


def uncovered(history: Sequence[Item], rules: Rules) -> list[Item]:
    """Leave the sightings out of events that erasures of the history cover; rules over events still see what else is said there."""
    cutoffs: dict[bytes, int] = {}
    for erased in (one for one in history if isinstance(one, Erased)):
        for usable in erased.under(rules).covered:
            cutoffs[usable.digest] = max(erased.cutoff, cutoffs.get(usable.digest, 0))

    def counts(participant: Participant, at: int) -> bool:
        found = [rules.usable(participant.entity, one.type, one.value) for one in participant.identifiers]
        return all(usable is None or cutoffs.get(usable.digest, at) <= at for usable in found)

    def left(event: Event) -> Event:
        at = read_instant(event.occurred_at)
        return msgspec.structs.replace(
            event, participants=[one if counts(one, at) else msgspec.structs.replace(one, identifiers=[]) for one in event.participants]
        )

    return [left(one) if isinstance(one, Event) else one for one in history]


async def in_redis(url: str, rules: Rules, arrival: Arrival) -> tuple[Documents, dict[str, set[bytes]]]:
    """Let an arrival come to a space of its own; gives the documents, and the values and sources of names that lie in Redis then."""
    space = f"erased-{uuid4().hex}"
    resolver = RedisResolver(url, rules, space, SHARDS, 16, Bounds(inline=2, patience=0, observed=1))
    redis: Any = Redis.from_url(url)
    await resolver.open()
    try:
        found, topics, issued = await arrive(resolver, rules, arrival)
        check_told(found, topics, 1_000)
        for entity_id in issued:
            assert await resolver.entity(entity_id) is not None
        kept: dict[str, set[bytes]] = {"values": set(), "states": set()}
        async for key in redis.scan_iter(match=f"nexus:{{{space}}}:*"):
            kind = key.split(b"}:")[1].split(b":")[0]
            if kind in {b"v", b"V"}:
                kept["values"] |= set((await redis.hgetall(key)).values())
            elif kind == b"o":
                kept["states"] |= set(await redis.zrange(key, 0, -1))
            else:
                assert kind not in {b"dirty", b"inflight", b"note", b"fresh", b"freshq", b"walkq", b"rereads", b"Hn"}
        return found, kept
    finally:
        await resolver.drop()
        await resolver.close()
        await redis.aclose()


histories = st.tuples(
    st.lists(events, min_size=1, max_size=10),
    st.lists(corrections, max_size=3, unique_by=lambda one: one.number),
    st.lists(erasures, max_size=3, unique_by=lambda one: one.number),
)


@depth(150)
@given(histories, guards, st.data())
def test_an_erasure_gives_what_would_be_without_the_sightings_that_it_covers(
    redis_url: str,
    runner: asyncio.Runner,
    drawn: tuple[list[Event], list[Said], list[Erased]],
    guarded: Guards,
    data: st.DataObject,
) -> None:
    rules = rules_of(guarded)
    history: list[Item] = [*drawn[0], *drawn[1], *drawn[2]]
    (whole, kept), (less, left) = (
        runner.run(in_redis(redis_url, rules, data.draw(arrivals(way)))) for way in (history, uncovered(history, rules))
    )
    assert written(whole) == written(less)
    assert kept == left


@depth(100)
@given(st.lists(events, min_size=1, max_size=10), covered, guards, st.data())
def test_what_is_erased_for_all_times_was_never_there(
    redis_url: str,
    runner: asyncio.Runner,
    seen: list[Event],
    erased: tuple[tuple[str, str, str], ...],
    guarded: Guards,
    data: st.DataObject,
) -> None:
    rules = rules_of(guarded)
    history: list[Item] = [*seen, Erased(1, erased, AFTER_ALL)]
    never = [one for one in uncovered(history, rules) if isinstance(one, Event)]
    (whole, kept), (less, left) = (runner.run(in_redis(redis_url, rules, data.draw(arrivals(way)))) for way in (history, never))
    assert written(whole) == written(less)
    assert kept == left
