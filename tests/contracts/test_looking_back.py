"""Looking back: what an id was at an event time, whatever came first and however it came, by both resolvers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from resolvers.correction import CorrectionBatch, Kind
from resolvers.erasure import Erasure
from resolvers.errors import NexusError
from resolvers.identifier import Identifier
from resolvers.instant import read_instant, write_instant
from resolvers.port import Resolver
from resolvers.rules import Rules
from resolvers.sighting import Position
from streams.events import Event, Membership
from streams.past import LISTED_MEMBERS, Asked, as_of
from streams.settings import EntitySettings, StateSettings, TraitSettings
from tests.contracts.conftest import opened
from tests.contracts.test_resolver_corrections import say, usable
from tests.histories import ENTITIES, KEY, at, batch, event, group, person, read_again
from tests.looking_back import ListLog
from tests.telling import Topics, drain

SHARDS = 2
SHOP = "domain:a.example"
KEPT = {"tags": TraitSettings(keep="all"), "long": TraitSettings(keep="longest"), "first": TraitSettings(keep="earliest")}
STATES = [
    StateSettings.model_validate(one)
    for one in (
        {"name": "app_use", "entity": "person", "participant": "use", "values": ["active", "idle"]},
        {
            "name": "app_live",
            "entity": "person",
            "derived": {
                "components": {"live": {"state": "app_open", "of": "groups", "any": "value == 'open'"}},
                "value": "live && 'yes' || null",
            },
        },
        {"name": "app_open", "entity": "group", "initial": "open"},
    )
]
RULES = Rules.from_settings({**ENTITIES, "person": EntitySettings(identifiers=ENTITIES["person"].identifiers, traits=KEPT)}, KEY, STATES)


class Past:
    """A resolver, and all events and erasures that came to it."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self.log: list[Event] = []
        self.erasures: list[Erasure] = []
        self.begins: int | None = None
        self.topics = Topics()

    async def tell(self, *seen: Event) -> None:
        """Apply events as a batch, and publish what came of it."""
        await self.resolver.apply(batch(seen, len(self.log), rules=RULES))
        self.log += seen
        await drain(self.resolver, self.topics, SHARDS)

    async def erase(self, named: str, entity: str) -> None:
        """Erase what was seen of an identifier before noon."""
        one = usable(named, entity)
        erasure = Erasure("x", (replace(one, identifier=replace(one.identifier, value="")),), read_instant(at("12:00")))
        position = await self.resolver.position("commands", 0)
        await self.resolver.correct(CorrectionBatch("commands", 0, position.offset, Position(position.offset + 1, 1), (erasure,)))
        await read_again(self.resolver, {0: self.log}, RULES)
        await drain(self.resolver, self.topics, SHARDS)
        self.erasures.append(erasure)

    async def id_of(self, named: str) -> str:
        """Give the id of who has an identifier."""
        kind, value = named.split(":")
        found = await self.resolver.identifier(Identifier("group" if kind in {"domain", "shop"} else "person", kind, value))
        assert found is not None
        return str(found["entity_id"])

    async def at(self, when: str, entity_id: str) -> dict[str, Any]:
        """Ask what an id was."""
        log = ListLog(self.log, self.erasures, self.begins)
        return await as_of(Asked(RULES, self.resolver, log, entity_id, read_instant(at(when))))


@pytest.fixture(params=["memory", "redis"])
async def past(request: pytest.FixtureRequest) -> AsyncIterator[Past]:
    async with opened(request, RULES, SHARDS, clock=lambda: read_instant(at("02T0:00"))) as found:
        yield Past(found)


def joins(event_id: str, when: str, who: str, role: str = "", *, ended: bool = False) -> Event:
    return event(event_id, when, person(f"user_id:{who}"), group(SHOP), memberships=[Membership(0, 1, role, ended)])


def roles(document: dict[str, Any]) -> list[str]:
    return [one["role"] for one in document["memberships"]]


ORDERS = [(0, 1, 2), (0, 2, 1), (2, 0, 1), (2, 1, 0)]
ROLES = [joins("e1", "9:00", "u1", "editor"), joins("e2", "10:00", "u1", "admin"), joins("e3", "11:00", "u1", "owner")]
REJOINED = [joins("e1", "9:00", "u1", "editor"), joins("e2", "10:00", "u1", ended=True), joins("e3", "11:00", "u1", "owner")]


@pytest.mark.parametrize("order", ORDERS)
async def test_a_role_is_that_of_the_time_in_any_order(past: Past, order: tuple[int, ...]) -> None:
    for number in order:
        await past.tell(ROLES[number])
    who = await past.id_of("user_id:u1")
    assert [roles(await past.at(when, who)) for when in ("9:30", "10:30", "11:30")] == [["editor"], ["admin"], ["owner"]]


async def test_a_role_is_that_of_the_time_after_one_batch(past: Past) -> None:
    await past.tell(*ROLES)
    who = await past.id_of("user_id:u1")
    assert [roles(await past.at(when, who)) for when in ("9:30", "10:30", "11:30")] == [["editor"], ["admin"], ["owner"]]


@pytest.mark.parametrize("order", ORDERS)
async def test_between_an_end_and_a_new_beginning_nobody_belongs(past: Past, order: tuple[int, ...]) -> None:
    for number in order:
        await past.tell(REJOINED[number])
    who = await past.id_of("user_id:u1")
    assert [roles(await past.at(when, who)) for when in ("9:30", "10:30", "11:30")] == [["editor"], [], ["owner"]]


WANTED: dict[str, list[Any]] = {
    "name": ["x", "xx", "xxx"],
    "long": ["x", "xx", "xxx"],
    "first": ["x", "x", "x"],
    "tags": [["x"], ["x", "xx"], ["x", "xx", "xxx"]],
}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
async def test_a_trait_is_what_its_rule_says_of_the_events_until_then(past: Past, order: tuple[int, ...]) -> None:
    for number in order:
        await past.tell(event(f"e{number}", f"{9 + number}:00", person("user_id:a", traits=dict.fromkeys(WANTED, "x" * (number + 1)))))
    who = await past.id_of("user_id:a")
    found = [(await past.at(when, who))["traits"] for when in ("9:30", "10:30", "11:30")]
    assert {name: [one[name] for one in found] for name in WANTED} == WANTED


async def test_after_an_undo_no_trait_of_the_other_is_told(past: Past) -> None:
    await past.tell(
        event("l", "7:00", person("user_id:a", "email:x@x.example")), event("a1", "8:00", person("user_id:a", traits={"name": "Ann"}))
    )
    await past.tell(event("b1", "10:00", person("user_id:b", "email:x@x.example", traits={"name": "Bob"})))
    await past.tell(event("a2", "12:00", person("user_id:a", traits={"name": "Anna"})))
    who = await past.id_of("user_id:a")
    assert (await past.at("11:00", who))["traits"] == {"name": "Bob"}
    await say(past.resolver, Kind.BLOCK, "email:x@x.example")
    await drain(past.resolver, past.topics, SHARDS)
    other = await past.id_of("user_id:b")
    assert [(await past.at("11:00", one))["traits"] for one in (who, other)] == [{"name": "Ann"}, {"name": "Bob"}]


async def test_a_survivor_has_the_memberships_of_whom_it_absorbed(past: Past) -> None:
    await past.tell(event("a", "8:00", person("user_id:u0")))
    await past.tell(joins("e1", "9:00", "u1", "editor"))
    await past.tell(joins("e2", "11:00", "u1", "editor"))
    await past.tell(event("m", "12:00", person("user_id:u0", "user_id:u1")))
    then = await past.at("10:00", await past.id_of("user_id:u0"))
    assert {one["value"] for one in then["identifiers"]} == {"u0", "u1"}
    assert roles(then) == ["editor"]


async def test_a_merged_id_was_what_it_was_and_then_another(past: Past) -> None:
    await past.tell(event("a", "8:00", person("user_id:u0")))
    said = person("user_id:u1", traits={"name": "Ann"}, states={"use": "active"})
    await past.tell(event("t", "9:00", said), joins("e1", "9:00", "u1", "editor"))
    old = await past.id_of("user_id:u1")
    before = await past.at("10:00", old)
    assert before["states"].keys() == {"app_use", "app_live"}
    await past.tell(event("m", "12:00", person("user_id:u0", "user_id:u1", states={"use": "idle"})))
    assert await past.at("10:00", old) == before
    after = await past.at("13:00", old)
    assert (after["status"], after["merged_into"]) == ("merged", await past.id_of("user_id:u0"))
    with pytest.raises(NexusError, match="nothing tells of"):
        await past.at("8:30", old)


async def test_an_id_that_was_split_was_nobody_at_any_time(past: Past) -> None:
    await past.tell(event("a", "8:00", person("email:x@x.example")), event("b", "9:00", person("user_id:b", "email:x@x.example")))
    old = await past.id_of("email:x@x.example")
    await say(past.resolver, Kind.BLOCK, "email:x@x.example")
    await drain(past.resolver, past.topics, SHARDS)
    with pytest.raises(NexusError, match=f"was split.*of it came {await past.id_of('user_id:b')}"):
        await past.at("10:00", old)


async def test_nothing_of_an_erased_group_is_told(past: Past) -> None:
    await past.tell(joins("e1", "9:00", "u1", "editor"))
    who, shop = await past.id_of("user_id:u1"), await past.id_of(SHOP)
    assert (await past.at("10:00", who))["memberships"] == [{"group_id": shop, "role": "editor"}]
    await past.erase(SHOP, "group")
    assert (await past.at("10:00", who))["memberships"] == []
    with pytest.raises(NexusError, match="was erased"):
        await past.at("10:00", shop)


async def test_a_group_has_the_members_of_the_time(past: Past) -> None:
    await past.tell(joins("e1", "9:00", "u1", "editor"), joins("e2", "10:00", "u2"), joins("e3", "11:00", "u1", ended=True))
    one, two, shop = [await past.id_of(named) for named in ("user_id:u1", "user_id:u2", SHOP)]
    members = {
        when: {found["person_id"]: found["role"] for found in (await past.at(when, shop))["members"]} for when in ("9:30", "10:30", "11:30")
    }
    assert members == {"9:30": {one: "editor"}, "10:30": {one: "editor", two: None}, "11:30": {two: None}}
    assert (await past.at("10:30", shop))["member_count"] == 2 <= LISTED_MEMBERS


async def test_a_merged_id_had_what_its_memberships_carried_since_they_began(past: Past) -> None:
    await past.tell(event("e0", "8:00", person("user_id:u1"), group(SHOP)), event("e1", "8:30", person("user_id:u2")))
    await past.tell(joins("e2", "11:00", "u2"), joins("e3", "10:00", "u2"), joins("e4", "9:00", "u2", ended=True))
    former = await past.id_of("user_id:u2")
    await past.tell(*(event(f"m{n}", "12:00", person(f"user_id:u{n}", "email:a@x.example")) for n in (1, 2)))
    assert former != await past.id_of("user_id:u2")
    assert (await past.at("9:30", former))["states"] == {}
    assert (await past.at("10:30", former))["states"] == {"app_live": {"value": "yes", "since": at("10:00")}}
    assert (await past.at("11:30", former))["states"] == {"app_live": {"value": "yes", "since": at("10:00")}}


async def test_a_log_that_was_cut_says_since_when_it_is_whole(past: Past) -> None:
    await past.tell(event("e1", "9:00", person("user_id:a", traits={"name": "Ann", "plan": "free"})))
    await past.tell(event("e2", "10:00", person("user_id:a", traits={"plan": "paid"})))
    del past.log[0]
    past.begins = read_instant(at("9:30"))
    then = await past.at("10:30", await past.id_of("user_id:a"))
    assert then["log_begins"] == write_instant(past.begins)
    assert then["traits"] == {"name": "Ann", "plan": "paid"}
    assert [one["value"] for one in then["identifiers"]] == ["a"]


async def test_an_id_that_nobody_issued_is_told_apart(past: Past) -> None:
    with pytest.raises(NexusError, match="nothing tells of"):
        await past.at("9:00", "per_aaaaaaaaaaaaaaaaaaaaaaaaaa")
    with pytest.raises(NexusError, match="entity id"):
        await past.at("9:00", "nobody")
