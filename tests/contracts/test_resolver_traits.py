"""Traits: which of the values that were seen every resolver tells."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import permutations
from typing import Any

import pytest

from resolvers.errors import Rejected
from resolvers.evidence import evidence_of
from resolvers.port import Resolver
from resolvers.rules import Rules
from streams.events import Event
from streams.settings import EntitySettings, IdentifierSettings, TraitSettings
from tests.contracts.conftest import opened
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
    assert (last["every"]["data"]["old"], last["every"]["data"]["new"]) == (["Annie"], ["Ann", "Annie"])
    assert last["long"]["event_id"] == "e4"


async def test_a_list_counts_one_by_one_where_all_are_kept(resolver: Resolver) -> None:
    await resolver.apply(batch([said(1, "9:00", ["b", "a", None, "b"], "crm"), said(2, "8:00", 7, "crm")], rules=RULES))
    assert (await traits_of(resolver))["every"] == ["a", "b", 7]


def test_too_many_values_at_once_and_a_nul_in_a_name_are_rejected() -> None:
    with pytest.raises(Rejected, match="501 values"):
        evidence_of(RULES, event("e1", "9:00", person("user_id:u", traits={"every": list(range(501))})))
    with pytest.raises(Rejected, match="NUL"):
        evidence_of(RULES, event("e1", "9:00", person("user_id:u", traits={"every\0x": 1})))
