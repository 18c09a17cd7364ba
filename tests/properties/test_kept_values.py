"""Traits that keep all values: what stays where not all have room is a function of the set, in whatever pieces and order it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvers.entity import Fact, entity_document
from resolvers.memory import MemoryResolver
from resolvers.port import Resolver
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.trait_rules import within_bounds
from streams.events import Event, encode_event
from streams.settings import EntitySettings, IdentifierSettings, Settings, TraitSettings
from streams.verify.recompute import recompute
from tests.histories import Documents, batch, documents, event, person, written
from tests.properties.depth import depth
from tests.telling import Topics, check_told, drain, publish

SHARDS = 2
TRAITS = {"tags": TraitSettings(keep="all"), "tag": TraitSettings(keep="all")}
PERSON = {"person": EntitySettings(identifiers={"user_id": IdentifierSettings(), "device": IdentifierSettings()}, traits=TRAITS)}
SETTINGS = Settings(entities=PERSON)
RULES = Rules.from_settings(SETTINGS.entities, SETTINGS.identity_key.get_secret_value().encode())
SIZES = (3, 4, 20_000, 20_001, 45_000, 64_000, 70_000, 131_070, 131_071)
values = st.builds(lambda name, size: name * (size // len(name.encode())), st.sampled_from(["a", "b", "\u00e9"]), st.sampled_from(SIZES))
traits = st.dictionaries(st.sampled_from(["tags", "tag", "name"]), st.lists(values, max_size=4), max_size=2)
named = st.lists(st.sampled_from(["user_id:u", "device:d", "device:e"]), min_size=1, max_size=2, unique=True)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Event], list[Event], list[int], list[int]]:
    """Draw a history in two orders, and where either is cut into batches."""
    said = draw(st.lists(st.tuples(named, traits), min_size=1, max_size=8))
    known = [event(f"e{at}", f"{9 + at % 3}:00", person(*who, traits=what)) for at, (who, what) in enumerate(said)]
    cuts = st.lists(st.integers(0, len(known)), max_size=4).map(sorted)
    return draw(st.permutations(known)), draw(st.permutations([*known, known[0]])), draw(cuts), draw(cuts)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


async def arrive(resolver: Resolver, order: list[Event], cuts: list[int]) -> Documents:
    """Apply events in batches, with a round after each; the timeline must tell what the documents say."""
    topics, offset = Topics(), 0
    for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True):
        await resolver.apply(batch(order[start:end], offset, rules=RULES))
        offset += end - start
        await publish(resolver, topics, 0)
    found = await documents(resolver)
    await drain(resolver, topics, SHARDS)
    check_told(found, topics, 1_000)
    return found


async def in_redis(url: str, order: list[Event], cuts: list[int]) -> Documents:
    resolver = RedisResolver(url, RULES, f"kept-{uuid4().hex}", SHARDS, 16)
    await resolver.open()
    try:
        return await arrive(resolver, order, cuts)
    finally:
        await resolver.drop()
        await resolver.close()


@depth(60)
@given(histories())
def test_memory_and_redis_keep_the_same_values_in_any_order(
    redis_url: str, runner: asyncio.Runner, ways: tuple[list[Event], list[Event], list[int], list[int]]
) -> None:
    one, other, cuts, other_cuts = ways
    memory = runner.run(arrive(MemoryResolver(RULES, SHARDS), one, cuts))
    assert written(memory) == written(runner.run(in_redis(redis_url, one, cuts)))
    assert written(memory) == written(runner.run(in_redis(redis_url, other, other_cuts)))


@depth(60)
@given(histories())
def test_the_verification_keeps_the_same_values(ways: tuple[list[Event], list[Event], list[int], list[int]]) -> None:
    seen = ways[0]
    expected = recompute([encode_event(one) for one in seen], SETTINGS)
    resolver = MemoryResolver(RULES, SHARDS)
    asyncio.run(resolver.apply(batch(seen, rules=RULES)))
    assert {key: entity_document(view) for key, view in resolver.world().entities.items()} == dict(expected.entity_documents())


facts = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(SIZES), max_size=8).map(
    lambda sizes: {f"tags\0{name}{size}": Fact(0, "", "", name.encode() * size) for name, size in sizes.items()}
)


@given(facts, facts)
def test_cutting_a_part_of_a_set_first_changes_nothing(one: dict[str, Fact], other: dict[str, Fact]) -> None:
    assert within_bounds(within_bounds(one) | other) == within_bounds(one | other)
    assert within_bounds(within_bounds(one)) == within_bounds(one)
