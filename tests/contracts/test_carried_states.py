"""Carried states: what every resolver derives, over memberships, of the states of others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from resolvers.correction import Kind
from resolvers.port import Resolver
from resolvers.rules import Rules
from resolvers.scripts import Bounds
from streams.events import Event, Membership
from streams.settings import StateSettings
from tests.contracts.conftest import opened
from tests.contracts.test_resolver_corrections import say
from tests.contracts.test_resolver_erasures import erase
from tests.contracts.test_resolver_recovery import read_all
from tests.contracts.test_resolver_states import Clock, changed, interval
from tests.histories import ENTITIES, KEY, at, batch, documents, event, group, person
from tests.telling import Topics, check_told, drain

SHARDS = 2
STATES: list[dict[str, Any]] = [
    {
        "name": "app_use",
        "entity": "person",
        "participant": "use",
        "lapses": [{"value": "active", "becomes": "idle", "after": "30d"}],
    },
    {
        "name": "app_account",
        "entity": "group",
        "derived": {
            "components": {
                "some": {"state": "app_use", "of": "members", "any": "value == 'active'"},
                "each": {"state": "app_use", "of": "members", "all": "value == 'active'", "most": 3},
            },
            "value": "each == null && 'large' || each && 'full' || some && 'live' || 'quiet'",
        },
    },
    {
        "name": "app_place",
        "entity": "person",
        "derived": {
            "components": {"on": {"state": "app_account", "of": "groups", "any": "value == 'live' || value == 'full'"}},
            "value": "on",
        },
    },
]
RULES = Rules.from_settings(ENTITIES, KEY, [StateSettings.model_validate(one) for one in STATES])
SHOP = "domain:a.example"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "redis", "redis, piece by piece"])
async def resolver(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[Resolver]:
    """Give a resolver under these rules."""
    chosen: dict[str, Any] = {"bounds": Bounds(inline=0, observed=1)} if "," in request.param else {}
    request.param = request.param.partition(",")[0]
    async with opened(request, RULES, SHARDS, clock=clock, **chosen) as found:
        yield found


def uses(event_id: str, when: str, who: str, use: str | None = None) -> Event:
    """Make a sighting of somebody, with how they use the product."""
    return event(event_id, when, person(f"user_id:{who}", states={"use": use} if use else {}))


def joins(event_id: str, when: str, who: str, *, ended: bool = False, shop: str = SHOP) -> Event:
    """Make somebody a member of a group, or end that."""
    seen = (person(f"user_id:{who}"), group(shop))
    return event(event_id, when, *seen, memberships=[Membership(0, 1, "", ended)])


async def tell(resolver: Resolver, topics: Topics, *seen: Event) -> list[tuple[str, dict[str, Any]]]:
    """Apply events and publish, as often as something follows; gives what the timeline told of carried states."""
    before = len(topics.lines)
    position = await resolver.position("events", 0)
    await resolver.apply(batch(seen, position.offset, rules=RULES))
    await drain(resolver, topics, SHARDS)
    lines = [one for one in topics.lines[before:] if one["kind"].startswith("state.") and one["data"]["state"] != "app_use"]
    return sorted(((one["kind"], one["data"]) for one in lines), key=lambda one: str(one[1]["state"]))


async def held(resolver: Resolver, topics: Topics) -> list[str]:
    """Give the present values of carried states, of the groups first; all that is told must be so."""
    found = await documents(resolver)
    check_told(found, topics, 1_000)
    values = [one["states"] for (topic, _), one in found.items() if topic == "entities" and one["status"] == "active"]
    of_groups = sorted(one["app_account"]["value"] for one in values if "app_account" in one)
    return of_groups + sorted(one["app_place"]["value"] for one in values if "app_place" in one)


async def carried_since(resolver: Resolver) -> dict[str, tuple[str, str]]:
    """Give the present values of carried states, each with its time of the day."""
    found = await documents(resolver)
    states = [
        state for (topic, _), one in found.items() if topic == "entities" and one["status"] == "active" for state in one["states"].items()
    ]
    return {name: (one["value"], f"{int(one['since'][11:13])}{one['since'][13:16]}") for name, one in states if name != "app_use"}


async def test_a_group_has_what_its_members_do_and_they_what_it_has(resolver: Resolver) -> None:
    topics = Topics()
    await tell(resolver, topics, joins("e1", "9:00", "u1"), joins("e2", "9:00", "u2"))
    assert await held(resolver, topics) == ["quiet", "false", "false"]
    assert await tell(resolver, topics, uses("e3", "10:00", "u1", "active")) == [
        changed("app_account", "quiet", "live", "10:00"),
        changed("app_place", "false", "true", "10:00"),
        changed("app_place", "false", "true", "10:00"),
    ]
    assert {(one["source"], one["event_id"]) for one in topics.lines[-3:]} == {("test", "e3")}
    assert await tell(resolver, topics, uses("e4", "11:00", "u2", "active")) == [changed("app_account", "live", "full", "11:00")]
    assert await held(resolver, topics) == ["full", "true", "true"]


async def test_a_late_event_corrects_what_is_carried(resolver: Resolver) -> None:
    topics = Topics()
    await tell(resolver, topics, joins("e1", "9:00", "u1"), uses("e2", "12:00", "u1", "active"), uses("e3", "13:00", "u1", "away"))
    assert await held(resolver, topics) == ["quiet", "false"]
    assert await tell(resolver, topics, uses("e4", "12:30", "u1", "away")) == [
        (
            "state.corrected",
            {
                "state": state,
                "old": [interval(on, "12:00", "13:00"), interval(off, "13:00", None)],
                "new": [interval(on, "12:00", "12:30"), interval(off, "12:30", None)],
            },
        )
        for state, on, off in (("app_account", "full", "quiet"), ("app_place", "true", "false"))
    ]
    named = {one["data"]["state"]: one["event_id"] for one in topics.lines if one["kind"] == "state.corrected"}
    assert named == {"app_use": "e4", "app_account": None, "app_place": None}  # the member's own names the event


async def test_a_membership_that_ended_carries_what_was_before(resolver: Resolver) -> None:
    topics = Topics()
    await tell(resolver, topics, joins("e1", "9:00", "u1"), uses("e2", "10:00", "u1", "active"))
    assert await tell(resolver, topics, joins("e3", "11:00", "u1", ended=True)) == [
        changed("app_account", "full", "quiet", "11:00"),
        changed("app_place", "true", "false", "11:00"),
    ]
    assert await tell(resolver, topics, uses("e4", "12:00", "u1", "away"), uses("e5", "13:00", "u1", "active")) == []
    assert await tell(resolver, topics, joins("e6", "14:00", "u1")) != []
    assert await held(resolver, topics) == ["full", "true"]


async def test_what_was_before_a_membership_is_not_carried(resolver: Resolver) -> None:
    topics = Topics()
    await tell(resolver, topics, uses("e1", "8:00", "u1", "active"), event("e2", "8:30", group(SHOP)))
    assert await tell(resolver, topics, joins("e3", "11:00", "u1"), joins("e4", "12:00", "u1")) == [
        changed("app_account", "quiet", "full", "11:00"),
        changed("app_place", "false", "true", "11:00"),
    ]
    named = {one["data"]["state"]: one["event_id"] for one in topics.lines if one["kind"] == "state.changed" and one["data"]["from"]}
    assert named == {"app_account": "e3", "app_place": "e3"}
    assert await held(resolver, topics) == ["full", "true"]


async def test_a_late_first_sighting_moves_the_begin(resolver: Resolver) -> None:
    topics = Topics()
    await tell(resolver, topics, uses("e1", "8:00", "u1", "active"), event("e2", "8:30", group(SHOP)), joins("e3", "11:00", "u1"))
    assert await tell(resolver, topics, joins("e4", "10:00", "u1"), joins("e5", "9:00", "u1", ended=True)) == [
        (
            "state.corrected",
            {
                "state": state,
                "old": [interval(off, begins, "11:00"), interval(on, "11:00", None)],
                "new": [interval(off, begins, "10:00"), interval(on, "10:00", None)],
            },
        )
        for state, on, off, begins in (("app_account", "full", "quiet", "8:30"), ("app_place", "true", "false", "8:00"))
    ]
    assert await held(resolver, topics) == ["full", "true"]
    assert await tell(resolver, topics, joins("e4", "10:00", "u1"), joins("e6", "10:00", "u1")) == []


async def test_of_a_membership_of_which_only_the_end_was_seen_nothing_is_carried(resolver: Resolver) -> None:
    topics = Topics()
    await tell(resolver, topics, uses("e1", "8:00", "u1", "active"), joins("e2", "9:00", "u1", ended=True))
    assert await held(resolver, topics) == ["quiet", "false"]
    assert await tell(resolver, topics, joins("e3", "8:30", "u1")) != []
    assert await carried_since(resolver) == {"app_account": ("quiet", "9:00"), "app_place": ("false", "9:00")}


async def test_a_membership_begins_with_the_first_sighting_that_still_counts(resolver: Resolver) -> None:
    topics = Topics()
    log = [
        event("e1", "8:00", group(SHOP)),
        event("e2", "8:00", person("user_id:u1", "email:a@x.example"), person("user_id:u1", states={"use": "active"})),
        event("e3", "9:00", person("email:a@x.example"), group(SHOP), memberships=[Membership(0, 1, "")]),
        event("e4", "10:00", person("user_id:u1", "device:d"), group(SHOP), memberships=[Membership(0, 1, "")]),
        joins("e5", "11:00", "u1"),
    ]
    await tell(resolver, topics, *log)
    assert await carried_since(resolver) == {"app_account": ("full", "9:00"), "app_place": ("true", "9:00")}
    await say(resolver, Kind.BLOCK, "email:a@x.example")
    await drain(resolver, topics, SHARDS)
    assert await carried_since(resolver) == {"app_account": ("full", "10:00"), "app_place": ("true", "10:00")}
    await erase(resolver, "23:00", "device:d", log=log)
    await drain(resolver, topics, SHARDS)
    assert await carried_since(resolver) == {"app_account": ("full", "11:00"), "app_place": ("true", "11:00")}
    await say(resolver, Kind.BLOCK, "email:a@x.example", holds=False, at=2)
    await drain(resolver, topics, SHARDS)
    assert await carried_since(resolver) == {"app_account": ("full", "9:00"), "app_place": ("true", "9:00")}
    await held(resolver, topics)


async def test_of_two_who_become_one_the_first_sighting_counts(resolver: Resolver) -> None:
    topics = Topics()
    seen = event("e1", "8:00", group(SHOP)), uses("e2", "8:00", "u1", "active"), joins("e3", "11:00", "u1"), joins("e4", "9:00", "u2")
    await tell(resolver, topics, *seen)
    together = [person(f"user_id:u{n}", "email:a@x.example") for n in (1, 2)]
    await tell(resolver, topics, event("e5", "12:00", *together))
    assert await carried_since(resolver) == {"app_account": ("full", "9:00"), "app_place": ("true", "9:00")}
    await say(resolver, Kind.BLOCK, "email:a@x.example")
    await drain(resolver, topics, SHARDS)
    assert (await carried_since(resolver))["app_account"] == ("live", "11:00")
    await held(resolver, topics)


async def test_a_begin_that_was_not_told_before_a_loss_is_told_after_it(resolver: Resolver) -> None:
    topics = Topics()
    await tell(resolver, topics, uses("e1", "8:00", "u1", "active"), event("e2", "8:30", group(SHOP)), joins("e3", "11:00", "u1"))
    assert await resolver.recover({})
    await resolver.apply(batch([joins("e4", "10:00", "u1")], 3, rules=RULES))
    await read_all(resolver, topics)
    await drain(resolver, topics, SHARDS)
    assert await carried_since(resolver) == {"app_account": ("full", "10:00"), "app_place": ("true", "10:00")}
    await held(resolver, topics)


async def test_of_too_many_nothing_is_carried_in_whatever_order_they_came(resolver: Resolver) -> None:
    topics = Topics()
    await tell(
        resolver,
        topics,
        *(joins(f"e{at}", "9:00", f"u{at}") for at in range(3)),
        *(uses(f"a{at}", "10:00", f"u{at}", "active") for at in range(3)),
    )
    assert (await held(resolver, topics))[0] == "full"
    await tell(resolver, topics, joins("e4", "9:30", "u4"))
    assert (await held(resolver, topics))[0] == "large"
    await say(resolver, Kind.BLOCK, "user_id:u4")
    await drain(resolver, topics, SHARDS)
    assert (await held(resolver, topics))[0] == "full"


async def test_who_merges_brings_what_is_carried_along(resolver: Resolver) -> None:
    topics = Topics()
    await tell(resolver, topics, joins("e1", "9:00", "u1"), uses("e2", "8:00", "u2", "active"))
    assert await held(resolver, topics) == ["quiet", "false", "false"]
    await tell(resolver, topics, event("e3", "10:00", person("user_id:u1", "email:a@x.example"), person("user_id:u2", "email:a@x.example")))
    assert await held(resolver, topics) == ["full", "true"]
    await say(resolver, Kind.BLOCK, "email:a@x.example")
    await drain(resolver, topics, SHARDS)
    assert await held(resolver, topics) == ["quiet", "false", "false"]


async def test_a_value_that_lapses_is_carried(resolver: Resolver, clock: Clock) -> None:
    topics = Topics()
    await tell(resolver, topics, joins("e1", "9:00", "u1"), uses("e2", "10:00", "u1", "active"))
    clock.now = "31T10:00"
    assert await tell(resolver, topics) == [
        changed("app_account", "full", "quiet", "31T10:00"),
        changed("app_place", "true", "false", "31T10:00"),
    ]


async def test_what_was_before_the_group_counts_from_its_beginning(resolver: Resolver) -> None:
    topics = Topics()
    await tell(resolver, topics, uses("e1", "8:00", "u1", "active"), joins("e2", "9:00", "u1"))
    (found,) = [one for (topic, _), one in (await documents(resolver)).items() if topic == "entities" and one["entity_type"] == "group"]
    assert found["states"]["app_account"] == {"value": "full", "since": at("9:00")}
