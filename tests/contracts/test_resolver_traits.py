"""Traits: which of the values that were seen every resolver tells."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import permutations
from typing import Any

import pytest

from resolvers.correction import Kind
from resolvers.errors import Rejected
from resolvers.evidence import evidence_of
from resolvers.port import Resolver
from resolvers.rules import Rules
from resolvers.trait_rules import MOST_KEPT
from streams.events import Event
from streams.settings import EntitySettings, IdentifierSettings, TraitSettings
from tests.contracts.conftest import opened
from tests.contracts.test_resolver_corrections import say
from tests.contracts.test_resolver_recovery import read_all
from tests.histories import KEY, batch, documents, event, person
from tests.telling import Topics, check_told, drain

SHARDS = 2
TRAITS = {
    "first": TraitSettings(keep="earliest"),
    "long": TraitSettings(keep="longest"),
    "best": TraitSettings(keep="source", sources=["crm", "app"]),
    "every": TraitSettings(keep="all"),
}
RULES = Rules.from_settings(
    {"person": EntitySettings(identifiers={"user_id": IdentifierSettings(), "device": IdentifierSettings()}, traits=TRAITS)}, KEY
)


@pytest.fixture(params=["memory", "redis"])
async def resolver(request: pytest.FixtureRequest) -> AsyncIterator[Resolver]:
    """Give a resolver under these rules."""
    async with opened(request, RULES) as found:
        yield found


def said(number: int, when: str, value: object, source: str, *identifiers: str) -> Event:
    """Make an event that says one value of every trait."""
    traits = dict.fromkeys((*TRAITS, "latest"), value)
    return event(f"e{number}", when, person(*(identifiers or ("user_id:u",)), traits=traits), source=source)


SEEN = [
    said(1, "9:00", "Ann", "mail"),
    said(2, "10:00", "Ann Archer", "crm", "user_id:u", "device:d"),
    said(3, "11:00", "A. A.", "app", "device:d"),
    said(4, "12:00", "Annie", "mail"),
]
EXPECTED = {"first": "Ann", "long": "Ann Archer", "best": "Ann Archer", "every": ["A. A.", "Ann Archer", "Ann", "Annie"], "latest": "Annie"}


async def traits_of(resolver: Resolver) -> dict[str, Any]:
    (found,) = [one for (topic, _), one in (await documents(resolver)).items() if topic == "entities"]
    traits: dict[str, Any] = found["traits"]
    return traits


@pytest.mark.parametrize("order", list(permutations(range(4)))[::5])
async def test_each_trait_keeps_what_it_is_told_to_in_any_order(resolver: Resolver, order: tuple[int, ...]) -> None:
    topics = Topics()
    for number, place in enumerate(order):
        await resolver.apply(batch([SEEN[place]], number, rules=RULES))
        await drain(resolver, topics, SHARDS)
    assert await traits_of(resolver) == EXPECTED
    check_told(await documents(resolver), topics, 1_000)


async def test_the_timeline_names_the_event_that_brought_a_value(resolver: Resolver) -> None:
    topics = Topics()
    for number, place in enumerate((3, 0)):
        await resolver.apply(batch([SEEN[place]], number, rules=RULES))
        await drain(resolver, topics, SHARDS)
    last = {one["data"]["trait"]: one for one in topics.lines if one["kind"] == "trait.changed"}
    assert (last["first"]["event_id"], last["first"]["occurred_at"]) == ("e1", "2024-05-01T09:00:00.000Z")
    assert last["every"]["data"] == {"trait": "every", "added": ["Ann"], "removed": []}
    assert (last["every"]["event_id"], last["every"]["occurred_at"]) == ("e1", "2024-05-01T09:00:00.000Z")
    assert last["long"]["event_id"] == "e4"


async def test_a_list_counts_one_by_one_where_all_are_kept(resolver: Resolver) -> None:
    await resolver.apply(batch([said(1, "9:00", ["b", "a", None, "b"], "crm"), said(2, "8:00", 7, "crm")], rules=RULES))
    assert (await traits_of(resolver))["every"] == ["a", "b", 7]


def test_too_many_values_at_once_and_a_nul_in_a_name_are_rejected() -> None:
    with pytest.raises(Rejected, match="501 values"):
        evidence_of(RULES, event("e1", "9:00", person("user_id:u", traits={"every": list(range(501))})))
    with pytest.raises(Rejected, match="NUL"):
        evidence_of(RULES, event("e1", "9:00", person("user_id:u", traits={"every\0x": 1})))


async def keep_telling(resolver: Resolver, topics: Topics, values: Sequence[Sequence[object]]) -> None:
    """Let one event after the other say these values, with a round after each."""
    for number, said_at_once in enumerate(values):
        told = event(f"v{number:03}", f"{9 + number // 60}:{number % 60:02}", person("user_id:u", traits={"every": said_at_once}))
        await resolver.apply(batch([told], number, rules=RULES))
        await drain(resolver, topics, SHARDS)


LONG = [[f"{name}{size:06}".ljust(size, "-")] for name, size in (("a", 60_000), ("b", 50_000), ("c", 40_000), ("d", 30_000), ("e", 20))]


@pytest.mark.parametrize("order", list(permutations(range(5)))[::13])
async def test_the_shortest_values_stay_where_there_is_room_for_no_more(resolver: Resolver, order: tuple[int, ...]) -> None:
    topics = Topics()
    await keep_telling(resolver, topics, [LONG[place] for place in order])
    assert (await traits_of(resolver))["every"] == [LONG[place][0] for place in (1, 2, 3, 4)]
    check_told(await documents(resolver), topics, 1_000)


async def test_so_many_values_stay_and_what_came_and_went_is_told_in_pieces(resolver: Resolver) -> None:
    topics, values = Topics(), [f"{number:04}" for number in range(2 * MOST_KEPT)]
    await keep_telling(resolver, topics, [values[MOST_KEPT:], ["0400"], values[:MOST_KEPT]])
    assert (await traits_of(resolver))["every"] == values[:MOST_KEPT]
    check_told(await documents(resolver), topics, 1_000)
    changed = [one["data"] for one in topics.lines if one["kind"] == "trait.changed"]
    assert [(len(one["added"]), len(one["removed"])) for one in changed] == [(500, 0), (1, 1), (1, 499), (498, 0)]


async def test_values_come_back_when_what_had_taken_their_room_goes(resolver: Resolver) -> None:
    topics, values = Topics(), [f"{number:04}" for number in range(2 * MOST_KEPT)]
    shown = [(["device:d"], values[:250]), (["user_id:u", "device:d"], values[250:500]), (["user_id:u"], values[500:])]
    for number, (named, some) in enumerate(shown):
        told = event(f"v{number}", f"9:0{number}", person(*named, traits={"every": some}))
        await resolver.apply(batch([told], number, rules=RULES))
    await drain(resolver, topics, SHARDS)
    assert (await traits_of(resolver))["every"] == values[:500]
    await say(resolver, Kind.BLOCK, "device:d")
    await documents(resolver)
    await drain(resolver, topics, SHARDS)
    assert (await traits_of(resolver))["every"] == values[250:750]
    check_told(await documents(resolver), topics, 1_000)


async def test_a_value_that_has_no_room_tells_nothing(resolver: Resolver) -> None:
    topics, values = Topics(), [f"{number:04}" for number in range(MOST_KEPT)]
    await keep_telling(resolver, topics, [values])
    told = len(topics.lines)
    late = event("late", "23:00", person("user_id:u", traits={"every": ["99999"]}))
    await resolver.apply(batch([late], 1, rules=RULES))
    await drain(resolver, topics, SHARDS)
    assert len(topics.lines) == told


async def test_a_value_that_no_document_holds_is_not_on_the_timeline(resolver: Resolver) -> None:
    topics = Topics()
    for number, name in enumerate(("Ann", "A" * 600_000, "B" * 600_000, "Anna")):
        await resolver.apply(batch([event(f"n{number}", f"9:0{number}", person("user_id:u", traits={"name": name}))], number, rules=RULES))
        await drain(resolver, topics, SHARDS)
    changed = [(one["data"]["old"], one["data"]["new"]) for one in topics.lines if one["kind"] == "trait.changed"]
    assert changed == [(None, "Ann"), ("Ann", None), (None, "Anna")]
    check_told(await documents(resolver), topics, 1_000)


async def test_after_a_recovery_only_the_values_that_were_not_told_are(resolver: Resolver) -> None:
    topics = Topics()
    await keep_telling(resolver, topics, [["a", {"z": 1, "b": [2.0]}, "\u00e9"]])
    told = len(topics.lines)
    await resolver.recover({})
    await read_all(resolver, topics)
    assert (await resolver.backlog()).empty
    more = event("more", "23:00", person("user_id:u", traits={"every": ["b", "a"]}))
    await resolver.apply(batch([more], 1, rules=RULES))
    await drain(resolver, topics, SHARDS)
    assert [one["data"] for one in topics.lines[told:]] == [{"trait": "every", "added": ["b"], "removed": []}]
    check_told(await documents(resolver), topics, 1_000)
