"""States: what every resolver tells of the values that entities hold, and since when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from resolvers.correction import Kind
from resolvers.instant import read_instant
from resolvers.port import Resolver
from resolvers.rules import Rules
from streams.events import Event
from streams.settings import StateSettings
from tests.contracts.conftest import opened
from tests.contracts.test_resolver_corrections import say
from tests.histories import ENTITIES, KEY, at, batch, documents, event, person
from tests.telling import Topics, check_told, drain

SHARDS = 2
STATES: list[dict[str, Any]] = [
    {
        "name": "billing_subscription",
        "entity": "person",
        "participant": "subscription",
        "values": ["trial", "active", "past_due", "churned"],
        "lapses": [{"value": "trial", "becomes": "churned", "after": "14d"}],
    },
    {"name": "app_login", "entity": "person", "rules": [{"event": "seen", "source": "app", "value": "yes"}]},
    {
        "name": "customer_stage",
        "entity": "person",
        "initial": "lead",
        "derived": {
            "components": {"pays": {"state": "billing_subscription", "when": "value == 'active'"}, "login": "app_login"},
            "value": "pays && (login && 'engaged' || 'paying') || null",
        },
    },
]
RULES = Rules.from_settings(ENTITIES, KEY, [StateSettings.model_validate(one) for one in STATES])


@dataclass(slots=True)
class Clock:
    """The present, which a test may move."""

    now: str = "02T0:00"

    def __call__(self) -> int:
        return read_instant(at(self.now))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "redis"])
async def resolver(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[Resolver]:
    """Give a resolver under these rules."""
    async with opened(request, RULES, clock=clock) as found:
        yield found


def billed(event_id: str, when: str, value: str, *identifiers: str) -> Event:
    """Make a sighting of a subscription."""
    return event(event_id, when, person(*(identifiers or ("user_id:u",)), states={"subscription": value}), source="stripe")


async def tell(resolver: Resolver, topics: Topics, *seen: Event) -> list[tuple[str, dict[str, Any]]]:
    """Apply events in a batch of its own and publish; gives what the timeline told of states then."""
    before = len(topics.lines)
    position = await resolver.position("events", 0)
    await resolver.apply(batch(seen, position.offset, rules=RULES))
    await drain(resolver, topics, SHARDS)
    return [(one["kind"], one["data"]) for one in topics.lines[before:] if one["kind"].startswith("state.")]


def changed(state: str, before: str | None, after: str | None, when: str) -> tuple[str, dict[str, Any]]:
    return "state.changed", {"state": state, "from": before, "to": after, "entered_at": at(when)}


def interval(value: str | None, since: str, until: str | None) -> dict[str, Any]:
    return {"value": value, "since": at(since), "until": until and at(until)}


def event_of(line: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    return line["source"], line["event_id"], line["occurred_at"]


async def of_person(resolver: Resolver) -> dict[str, Any]:
    (found,) = [one for (topic, _), one in (await documents(resolver)).items() if topic == "entities"]
    states: dict[str, Any] = found["states"]
    return states


async def test_a_state_holds_until_another_value_is_seen(resolver: Resolver) -> None:
    topics = Topics()
    assert await tell(resolver, topics, billed("e1", "9:00", "trial"), billed("e2", "10:00", "trial")) == [
        changed("billing_subscription", None, "trial", "9:00"),
        changed("customer_stage", None, "lead", "9:00"),
    ]
    assert await tell(resolver, topics, billed("e3", "11:00", "active")) == [
        changed("billing_subscription", "trial", "active", "11:00"),
        changed("customer_stage", "lead", "paying", "11:00"),
    ]
    assert await of_person(resolver) == {
        "billing_subscription": {"value": "active", "since": at("11:00")},
        "customer_stage": {"value": "paying", "since": at("11:00")},
    }
    check_told(await documents(resolver), topics, 1_000)


async def test_a_late_event_corrects_the_intervals_that_it_should(resolver: Resolver) -> None:
    topics = Topics()
    await tell(resolver, topics, billed("e1", "9:00", "trial"), billed("e2", "12:00", "trial"), billed("e3", "13:00", "active"))
    assert await tell(resolver, topics, billed("late", "11:00", "past_due")) == [
        (
            "state.corrected",
            {
                "state": "billing_subscription",
                "old": [interval("trial", "9:00", "13:00")],
                "new": [interval("trial", "9:00", "11:00"), interval("past_due", "11:00", "12:00"), interval("trial", "12:00", "13:00")],
            },
        )
    ]
    assert event_of(topics.lines[-1]) == ("stripe", "late", at("11:00"))
    check_told(await documents(resolver), topics, 1_000)


async def test_of_two_at_one_time_the_larger_holds_and_the_other_leaves_no_trace(resolver: Resolver) -> None:
    topics = Topics()
    told = await tell(resolver, topics, billed("b", "9:00", "past_due"), billed("a", "9:00", "active"))
    assert told[0] == changed("billing_subscription", None, "past_due", "9:00")
    assert await tell(resolver, topics, billed("c", "9:00", "active")) == [
        (
            "state.corrected",
            {
                "state": "billing_subscription",
                "old": [interval("past_due", "9:00", None)],
                "new": [interval("active", "9:00", None)],
            },
        ),
        (
            "state.corrected",
            {"state": "customer_stage", "old": [interval("lead", "9:00", None)], "new": [interval("paying", "9:00", None)]},
        ),
    ]


async def test_a_value_that_is_not_allowed_is_refused_once_and_changes_nothing(resolver: Resolver) -> None:
    topics = Topics()
    told = await tell(resolver, topics, billed("e1", "9:00", "paused"), billed("e1", "9:00", "paused"))
    assert told[-1] == (
        "state.refused",
        {"state": "billing_subscription", "value": "paused", "reason": "the state does not allow this value"},
    )
    assert [kind for kind, _ in told] == ["state.changed", "state.refused"]  # that it is a lead
    assert await tell(resolver, topics, billed("e1", "9:00", "paused")) == []
    assert await of_person(resolver) == {"customer_stage": {"value": "lead", "since": at("9:00")}}


async def test_a_value_that_is_too_long_is_refused_cut_and_the_identifiers_count(resolver: Resolver) -> None:
    topics = Topics()
    seen = person("user_id:u", "email:u@x.example", states={"subscription": "y" * 1_001, "theme": "x" * 5_000, "locale": "z" * 1_000})
    told = await tell(resolver, topics, event("e1", "9:00", seen))
    reason = "the value is longer than 1,000 characters"
    assert [data for kind, data in told if kind == "state.refused"] == [
        {"state": "billing_subscription", "value": "y" * 1_000 + "\u2026", "reason": reason},
        {"state": "theme", "value": "x" * 1_000 + "\u2026", "reason": reason},
    ]
    assert (await of_person(resolver)).keys() == {"customer_stage", "locale"}
    assert sum(one["kind"] == "identifier.added" for one in topics.lines) == 2


async def test_of_a_state_that_follows_from_others_whatever_is_observed_is_refused(resolver: Resolver) -> None:
    topics = Topics()
    told = await tell(resolver, topics, event("e1", "9:00", person("user_id:u", states={"customer_stage": "paying"})))
    reason = "the state follows from others, so no event says its value"
    assert [(kind, data.get("value"), data.get("reason")) for kind, data in told] == [
        ("state.changed", None, None),
        ("state.refused", "paying", reason),
    ]
    assert await of_person(resolver) == {"customer_stage": {"value": "lead", "since": at("9:00")}}


STRICT = Rules.from_settings(
    ENTITIES,
    KEY,
    [
        StateSettings.model_validate(one)
        for one in (
            {"name": "billing_subscription", "entity": "person", "participant": "subscription"},
            {
                "name": "customer_stage",
                "entity": "person",
                "values": ["lead", "paying"],
                "initial": "lead",
                "derived": {"components": {"billing": "billing_subscription"}, "value": "billing"},
            },
        )
    ],
)


@pytest.fixture(params=["memory", "redis"])
async def strict(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[Resolver]:
    """Give a resolver of a derived state that may not have every value that follows."""
    async with opened(request, STRICT, clock=clock) as found:
        yield found


async def test_a_value_that_follows_and_is_not_allowed_is_refused_once(strict: Resolver) -> None:
    async def told(*seen: Event) -> list[tuple[str, dict[str, Any], str | None]]:
        before, position = len(topics.lines), await strict.position("events", 0)
        await strict.apply(batch(seen, position.offset, rules=STRICT))
        await drain(strict, topics, SHARDS)
        lines = topics.lines[before:]
        return [(one["kind"], one["data"], one["event_id"]) for one in lines if one["data"].get("state") == "customer_stage"]

    topics = Topics()
    reason = "the state does not allow this value"
    refused = {"state": "customer_stage", "value": "paused", "reason": reason}
    assert (await told(billed("e1", "9:00", "paying")))[0][0] == "state.changed"
    assert await told(billed("e2", "10:00", "paused")) == [
        (*changed("customer_stage", "paying", "lead", "10:00"), "e2"),
        ("state.refused", refused, "e2"),
    ]
    assert await told(billed("e3", "11:00", "paused")) == []  # it follows already
    assert await told(billed("e4", "12:00", "paying"), billed("e5", "13:00", "y" * 1_000)) == [
        (*changed("customer_stage", "lead", "paying", "12:00"), "e4"),
        (*changed("customer_stage", "paying", "lead", "13:00"), "e5"),
        ("state.refused", {"state": "customer_stage", "value": "y" * 1_000, "reason": reason}, "e5"),
    ]
    check_told(await documents(strict), topics, 1_000)


async def test_a_value_lapses_by_event_time_or_when_the_clock_says_so(resolver: Resolver, clock: Clock) -> None:
    topics = Topics()
    await tell(resolver, topics, billed("e1", "9:00", "trial"))
    clock.now = "15T9:00:00"
    assert await tell(resolver, topics) == [changed("billing_subscription", "trial", "churned", "15T9:00")]
    assert await tell(resolver, topics) == []
    assert await tell(resolver, topics, billed("e2", "14T9:00", "trial")) == [
        (
            "state.corrected",
            {
                "state": "billing_subscription",
                "old": [interval("trial", "9:00", "15T9:00"), interval("churned", "15T9:00", None)],
                "new": [interval("trial", "9:00", None)],
            },
        )
    ]
    assert event_of(topics.lines[-1]) == ("stripe", "e2", at("14T9:00"))  # which forestalled it, not what would have lapsed
    check_told(await documents(resolver), topics, 1_000)
    clock.now = "28T9:00"
    assert await tell(resolver, topics) == [changed("billing_subscription", "trial", "churned", "28T9:00")]


async def test_merging_recomputes_and_splitting_divides_by_link(resolver: Resolver) -> None:
    topics = Topics()
    await tell(resolver, topics, billed("e1", "9:00", "active", "user_id:u1"), billed("e2", "9:30", "past_due", "user_id:u2"))
    joined = event("e3", "10:00", person("user_id:u1", "device:d")), event("e4", "10:00", person("user_id:u2", "device:d"))
    assert ("billing_subscription", "active", "past_due") in [
        (data["state"], data["from"], data["to"]) for kind, data in await tell(resolver, topics, *joined) if kind == "state.changed"
    ]
    assert (await of_person(resolver))["billing_subscription"] == {"value": "past_due", "since": at("9:30")}
    await say(resolver, Kind.BLOCK, "device:d")
    found = await documents(resolver)
    before = len(topics.lines)
    await drain(resolver, topics, SHARDS)
    went = [one for one in topics.lines[before:] if one["kind"] == "state.corrected"]
    assert [event_of(one) for one in went] == [(None, None, None)] * 2  # a command took it, no event
    check_told(found, topics, 1_000)
    states = sorted(one["states"]["billing_subscription"]["value"] for (topic, _), one in found.items() if topic == "entities")
    assert states == ["active", "past_due"]


async def test_what_follows_is_corrected_by_the_event_that_came_late(resolver: Resolver) -> None:
    topics = Topics()
    await tell(resolver, topics, billed("e1", "9:00", "active"), billed("e2", "12:00", "past_due"))
    told = await tell(resolver, topics, billed("late", "11:00", "churned"), billed("e3", "13:00", "active"))
    assert [(kind, data["state"]) for kind, data in told] == [
        ("state.corrected", "billing_subscription"),
        ("state.changed", "billing_subscription"),
        ("state.corrected", "customer_stage"),
        ("state.changed", "customer_stage"),
    ]
    assert [event_of(one)[1] for one in topics.lines if one["data"].get("state")][-4:] == ["late", "e3", "late", "e3"]
    assert told[2][1]["old"] == [interval("paying", "9:00", "12:00"), interval("lead", "12:00", None)]
    assert told[2][1]["new"] == [interval("paying", "9:00", "11:00"), interval("lead", "11:00", "13:00")]


async def test_who_was_there_earlier_began_so_by_that_event(resolver: Resolver) -> None:
    topics = Topics()
    await tell(resolver, topics, event("e1", "9:00", person("user_id:u")))
    assert await tell(resolver, topics, event("late", "8:00", person("user_id:u"))) == [
        ("state.corrected", {"state": "customer_stage", "old": [interval("lead", "9:00", None)], "new": [interval("lead", "8:00", None)]})
    ]
    assert event_of(topics.lines[-1]) == ("test", "late", at("8:00"))


async def test_events_say_states_and_states_are_derived(resolver: Resolver) -> None:
    topics = Topics()
    await tell(resolver, topics, billed("e1", "9:00", "active"))
    login = event("e2", "10:00", person("user_id:u"), source="app")
    assert await tell(resolver, topics, login) == [
        changed("app_login", None, "yes", "10:00"),
        changed("customer_stage", "paying", "engaged", "10:00"),
    ]
    last = topics.lines[-1]
    assert (last["source"], last["event_id"], last["occurred_at"]) == ("app", "e2", at("10:00"))
