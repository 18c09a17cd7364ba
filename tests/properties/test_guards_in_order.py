"""Guards and corrections in any order: whatever breaks, is blocked, forbidden or linked, the graph ends as the specification says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvers.correction import Correction, CorrectionBatch, Kind
from resolvers.erasure import Erasure
from resolvers.errors import NexusError
from resolvers.memory import MemoryResolver
from resolvers.port import Resolver
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.scripts import Bounds
from resolvers.sighting import Position
from streams.events import Event
from streams.settings import EntitySettings, HubSettings, IdentifierSettings, StateSettings, TraitSettings
from tests.batch_states import check_histories
from tests.histories import KEY, Documents, batch, documents, read_again, written
from tests.looking_back import Recomputed, look_back, still
from tests.properties.depth import depth
from tests.properties.strategies import START_MS, STEP_MS, events
from tests.telling import Topics, check_told, drain, publish

SHARDS = 3
NOW = START_MS + 12 * STEP_MS

TRAITS = {
    "person": {
        "name": TraitSettings(keep="longest"),
        "plan": TraitSettings(keep="all"),
        "1": TraitSettings(keep="source", sources=["crm"]),
    },
    "group": {"name": TraitSettings(keep="earliest")},
}

STATES = [
    StateSettings.model_validate(one)
    for one in (
        {
            "name": "test_life",
            "entity": "person",
            "participant": "life",
            "values": ["new", "on", "off", "gone"],
            "initial": "new",
            "lapses": [{"value": "on", "becomes": "off", "after": "1h"}, {"value": "off", "becomes": "gone", "after": "100m"}],
        },
        {"name": "test_plan", "entity": "person", "participant": "plan", "values": ["on"]},
        {
            "name": "test_seen",
            "entity": "person",
            "rules": [
                {"source": "web", "when": "length(participants) > `1` && participants[0].traits", "value": "web"},
                {"event": "seen", "source": "crm", "role": "r", "value_of": "memberships[0].role"},
            ],
        },
        {
            "name": "test_busy",
            "entity": "group",
            "derived": {
                "components": {
                    "some": {"state": "test_life", "of": "members", "any": "value == 'on'"},
                    "each": {"state": "test_both", "of": "members", "all": "value == 'true'", "most": 2},
                    "shop": "test_shop",
                },
                "value": "each == null && 'crowd' || each && 'full' || some && join('-', ['some', shop]) || null",
            },
        },
        {
            "name": "test_lit",
            "entity": "person",
            "initial": "dark",
            "derived": {
                "components": {
                    "busy": {"state": "test_busy", "of": "groups", "any": "value != null && value != 'crowd'"},
                    "plan": "test_plan",
                },
                "value": "busy && (plan || 'lit') || null",
            },
        },
        {"name": "test_shop", "entity": "group", "initial": "open", "lapses": [{"value": "open", "becomes": "shut", "after": "2h"}]},
        {
            "name": "test_both",
            "entity": "person",
            "derived": {
                "components": {"life": "test_life", "plan": {"state": "test_plan", "when": "value == 'on'"}},
                "value": "life == 'on' && plan",
            },
        },
        {
            "name": "test_chain",
            "entity": "person",
            "initial": "calm",
            "values": ["calm", "both", "web"],
            "derived": {"components": {"both": "test_both", "seen": "test_seen"}, "value": "both == 'true' && 'both' || seen"},
        },
    )
]

Guards = tuple[int | None, int, int]
"""(limit, over, size)."""


def rules_of(guards: Guards) -> Rules:
    """Make rules that are broken all the time."""
    limit, over, size = guards
    hub = HubSettings(of="user_id", over=over)
    group_hub = HubSettings(of="domain", over=over)
    settings = {
        "person": EntitySettings(
            identifiers={
                "user_id": IdentifierSettings(limit=limit),
                "email": IdentifierSettings(normalise="email", hub=hub),
                "device": IdentifierSettings(hub=hub),
            },
            size=size,
            traits=TRAITS["person"],
        ),
        "group": EntitySettings(
            identifiers={"domain": IdentifierSettings(normalise="domain", limit=limit), "shop": IdentifierSettings(hub=group_hub)},
            size=size,
            traits=TRAITS["group"],
        ),
    }
    return Rules.from_settings(settings, KEY, STATES)


@dataclass(frozen=True, slots=True)
class Said:
    """A correction, before rules make its identifiers usable."""

    number: int
    kind: Kind
    holds: bool
    identifiers: tuple[tuple[str, str, str], ...]
    issued_at: int

    def under(self, rules: Rules) -> Correction:
        """Make the correction."""
        found = [rules.usable(*one) for one in self.identifiers]
        usable = tuple(one for one in found if one is not None)
        assert len(usable) == len(found)
        return Correction(f"c{self.number}", self.kind, self.holds, usable, self.issued_at)


@dataclass(frozen=True, slots=True)
class Erased:
    """An erasure, before rules make its identifiers usable."""

    number: int
    identifiers: tuple[tuple[str, str, str], ...]
    cutoff: int

    def under(self, rules: Rules) -> Erasure:
        """Make the erasure, as a command says it: without values."""
        found = [rules.usable(*one) for one in self.identifiers]
        usable = [replace(one, identifier=replace(one.identifier, value="")) for one in found if one is not None]
        assert len(usable) == len(found)
        return Erasure(f"e{self.number}", tuple(usable), self.cutoff)


Item = Event | Said | Erased

named = st.sampled_from(
    [
        *(("person", "user_id", f"u{n}") for n in range(6)),
        *(("person", "device", f"d{n}") for n in range(7)),
        *(("person", "email", f"{name}@x.example") for name in ("ann", "bob", "cy", "shared")),
    ]
)
groups = st.sampled_from([*(("group", "shop", f"s{n}") for n in range(4)), *(("group", "domain", f"{n}.example") for n in "abc")])
pairs = st.tuples(named, named) | st.tuples(groups, groups)
corrections = st.builds(
    Said, st.integers(0, 9), st.just(Kind.BLOCK), st.booleans(), (named | groups).map(lambda one: (one,)), st.integers(1, 4)
) | st.builds(
    Said,
    st.integers(0, 9),
    st.sampled_from([Kind.FORBID, Kind.LINK]),
    st.booleans(),
    pairs.filter(lambda pair: pair[0] != pair[1]),
    st.integers(1, 4),
)
covered = st.lists(named | groups, min_size=1, max_size=3, unique=True).map(tuple)
cutoffs = st.integers(0, 15).map(lambda n: START_MS + n * STEP_MS // 2)
erasures = st.builds(Erased, st.integers(0, 9), covered, cutoffs)
guards = st.tuples(st.sampled_from([1, 2, None]), st.integers(1, 3), st.sampled_from([2, 4, 1_000]))
bounds = st.builds(
    Bounds,
    inline=st.sampled_from([1, 2, 64]),
    listed=st.sampled_from([1, 3, 1_000]),
    steps=st.sampled_from([1, 2, 50]),
    moved=st.sampled_from([0, 1, 50]),
    portion=st.sampled_from([1, 2, 250]),
    patience=st.just(0),
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One way in which events and corrections arrive, and what is done between their batches: (sweep, settle, rounds)."""

    batches: list[list[Item]]
    between: list[tuple[int, int, int]]


@st.composite
def arrivals(draw: st.DrawFn, history: Sequence[Item]) -> Arrival:
    """Draw a way for these to arrive."""
    repeats = draw(st.lists(st.sampled_from(history), max_size=4))
    order = draw(st.permutations([*history, *repeats]))
    cuts = sorted(draw(st.sets(st.integers(1, len(order)), max_size=6)))
    batches = [order[start:end] for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    count = len(batches)
    between = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 3)), min_size=count, max_size=count)
    return Arrival(batches, draw(between))


@st.composite
def twice(draw: st.DrawFn) -> tuple[Guards, Arrival, Arrival]:
    """Draw one history and two ways for it to arrive."""
    history: list[Item] = [
        *draw(st.lists(events, min_size=1, max_size=14)),
        *draw(st.lists(corrections, max_size=5, unique_by=lambda one: one.number)),
        *draw(st.lists(erasures, max_size=3, unique_by=lambda one: one.number)),
    ]
    return draw(guards), draw(arrivals(history)), draw(arrivals(history))


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


async def arrive(
    resolver: Resolver, rules: Rules, arrival: Arrival, move: Callable[[], None] = lambda: None
) -> tuple[Documents, Topics, set[str]]:
    """Apply an arrival, publishing, sweeping and settling a little on the way, and everything at the end.

    Time may `move` on after each batch, before there are rounds.
    """
    topics, said, issued = Topics(), 0, set()
    log: list[Event] = []
    for chunk, (sweep, settle, rounds) in zip(arrival.batches, arrival.between, strict=True):
        seen = [one for one in chunk if isinstance(one, Event)]
        applied = await resolver.apply(batch(seen, len(log), rules=rules))
        log += seen
        issued |= {entity_id for ids in applied.entity_ids for entity_id in ids if entity_id}
        spoken = tuple(one.under(rules) for one in chunk if not isinstance(one, Event))
        end = Position(said + len(spoken), 1)
        await resolver.correct(CorrectionBatch("commands", 0, said, end, spoken))
        said = end.offset
        move()
        if sweep:
            await resolver.sweep(sweep)
        for _ in range(settle):
            await resolver.settle()
        await read_again(resolver, {0: log}, rules, 2, sweep)
        for shard in range(rounds):
            await publish(resolver, topics, shard, limit=3)
    await read_again(resolver, {0: log}, rules)
    await drain(resolver, topics, SHARDS)  # what memberships carry is known of what was told
    return await documents(resolver), topics, issued


async def looked_back(resolver: Resolver, rules: Rules, topics: Topics, arrival: Arrival) -> dict[str, Any]:
    """Ask what some entities were at some times; where the specification answers, check it with all of the evidence until then."""
    log = [one for chunk in arrival.batches for one in chunk if isinstance(one, Event)]
    erased = [one.under(rules) for chunk in arrival.batches for one in chunk if isinstance(one, Erased)]
    found, asking = dict[str, Any](), still(resolver)
    for at in (START_MS + 2 * STEP_MS, START_MS + 5 * STEP_MS, NOW):
        plain = Recomputed(resolver, rules, at, log, erased) if isinstance(resolver, MemoryResolver) else None
        for key in sorted(key for topic, key in topics.living() if topic == "entities")[:2]:
            try:
                one = found[f"{key} at {at}"] = await look_back(asking, rules, key, at, log, erased)
            except NexusError as error:
                found[f"{key} at {at}"] = str(error)
                assert plain is None or not plain.traits[key]
                continue
            if plain is not None:
                assert (one["memberships"], one["members"]) == (plain.groups(key), plain.members(key))
                assert one["traits"] == plain.traits[key]
    return found


async def in_redis(
    url: str, rules: Rules, arrival: Arrival, bound: Bounds, *, looking: bool = False
) -> tuple[Documents, Topics, dict[str, Any]]:
    """Let an arrival come to a space of its own."""
    resolver = RedisResolver(url, rules, f"guards-{uuid4().hex}", SHARDS, 16, bound, lambda: NOW)
    await resolver.open()
    try:
        found, topics, issued = await arrive(resolver, rules, arrival)
        looked = await looked_back(resolver, rules, topics, arrival) if looking else {}
        for entity_id in issued:
            assert topics.documents["entities", entity_id]["status"] in {"active", "merged", "split", "erased"}
            assert await resolver.entity(entity_id) is not None
        return found, topics, looked
    finally:
        await resolver.drop()
        await resolver.close()


@depth(200)
@given(twice(), bounds)
def test_memory_and_redis_keep_the_same_apart_in_any_order(
    redis_url: str, runner: asyncio.Runner, ways: tuple[Guards, Arrival, Arrival], bound: Bounds
) -> None:
    rules, first, second = rules_of(ways[0]), ways[1], ways[2]
    resolver = MemoryResolver(rules, SHARDS, bound.listed, lambda: NOW)
    memory, told_memory, _ = runner.run(arrive(resolver, rules, first))
    before = runner.run(looked_back(resolver, rules, told_memory, first))
    redis, told_redis, after = runner.run(in_redis(redis_url, rules, second, bound, looking=True))
    assert written(memory) == written(redis)
    check_told(memory, told_memory, bound.listed)
    check_told(redis, told_redis, bound.listed)
    check_histories(resolver, rules, NOW, told_memory, told_redis)
    assert before == after


def without(history: list[Event | Said], blocked: tuple[str, str, str], rules: Rules) -> list[Event | Said]:
    """Take every mention of an identifier out of events, and commands that name it too."""
    usable = rules.usable(*blocked)
    found: list[Event | Said] = []
    for one in history:
        if isinstance(one, Said):
            if usable not in one.under(rules).identifiers:
                found.append(one)
            continue
        people = [
            msgspec.structs.replace(
                person, identifiers=[each for each in person.identifiers if rules.usable(person.entity, each.type, each.value) != usable]
            )
            for person in one.participants
        ]
        found.append(msgspec.structs.replace(one, participants=people))
    return found


@depth(150)
@given(
    st.lists(events, min_size=1, max_size=10), st.lists(corrections, max_size=4, unique_by=lambda one: one.number), named, guards, st.data()
)
def test_a_block_gives_what_would_be_without_the_identifier_and_its_end_brings_the_merge_back(
    redis_url: str,
    runner: asyncio.Runner,
    seen: list[Event],
    said: list[Said],
    blocked: tuple[str, str, str],
    drawn: Guards,
    data: st.DataObject,
) -> None:
    rules = rules_of(drawn)
    history: list[Event | Said] = [*seen, *(one for one in said if one.kind is not Kind.BLOCK or one.identifiers != (blocked,))]
    block, unblock = (Said(90 + at, Kind.BLOCK, holds, (blocked,), at) for at, holds in ((8, True), (9, False)))
    ways = (history, [*history, block, unblock], [*history, block], without(history, blocked, rules))
    arrived = [data.draw(arrivals(way)) for way in ways if way]
    found = [runner.run(in_redis(redis_url, rules, way, Bounds(inline=2, patience=0, observed=1)))[0] for way in arrived]
    assert written(found[0]) == written(found[1])
    assert written(found[2]) == written(found[3] if len(found) > 3 else {})
