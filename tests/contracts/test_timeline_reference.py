"""The reference of the timeline: every kind that it names is told by this story, and its example is what was told."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from resolvers.correction import CorrectionBatch, Kind
from resolvers.erasure import Erasure
from resolvers.instant import read_instant
from resolvers.port import Resolver
from resolvers.rules import Rules
from resolvers.scripts import Bounds
from resolvers.sighting import Position
from streams.events import Event, Membership
from streams.settings import EntitySettings, IdentifierSettings, StateSettings, TraitSettings
from tests.contracts.conftest import opened
from tests.contracts.test_resolver_corrections import say, usable
from tests.histories import KEY, at, batch, documents, event, group, person, read_again
from tests.telling import Topics, drain

SHARDS = 1
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "timeline.md"
RULES = Rules.from_settings(
    {
        "person": EntitySettings(
            identifiers={"user_id": IdentifierSettings(limit=1), "email": IdentifierSettings(), "device": IdentifierSettings()},
            traits={"tags": TraitSettings(keep="all")},
        ),
        "group": EntitySettings(identifiers={"domain": IdentifierSettings()}),
    },
    KEY,
    [StateSettings(name="billing_subscription", entity="person", values=["trial", "active", "past_due"], participant="subscription")],
)


@pytest.fixture(params=["memory", "redis"])
async def resolver(request: pytest.FixtureRequest) -> AsyncIterator[Resolver]:
    """Give a resolver under these rules."""
    async with opened(request, RULES, SHARDS, bounds=Bounds(patience=0)) as found:
        yield found


def ann(event_id: str, when: str, *more: str, **said: Any) -> Event:
    """Make an event of Ann, of whom a user id is known."""
    return event(event_id, when, person("user_id:ann", *more, **said), source="app")


def at_work(event_id: str, when: str, role: str, *, ended: bool = False) -> Event:
    """Make an event of Ann in her company."""
    people = [person("user_id:ann"), group("domain:quill.example")]
    return event(event_id, when, *people, source="crm", memberships=[Membership(0, 1, role, ended)])


STORY: list[Event | tuple[Kind, str, bool] | Erasure] = [
    ann("e1", "9:00", states={"subscription": "trial"}, traits={"plan": "free"}),
    event("e2", "9:10", person("email:ann@quill.example"), source="mail"),
    ann("e3", "9:20", "email:ann@quill.example"),
    ann("e4", "12:00", states={"subscription": "active"}, traits={"plan": "team"}),
    ann("e5", "11:00", states={"subscription": "past_due"}),
    ann("e6", "12:30", states={"subscription": "paused"}),
    at_work("e7", "13:00", "editor"),
    at_work("e8", "14:00", "owner"),
    at_work("e9", "15:00", "owner", ended=True),
    event("e10", "16:00", person("user_id:bob", "email:ann@quill.example"), source="app"),
    (Kind.BLOCK, "email:ann@quill.example", True),
    (Kind.BLOCK, "email:ann@quill.example", False),
    ann("e11", "17:00", "device:laptop", traits={"tags": ["vip", "beta"]}),
    (Kind.BLOCK, "user_id:ann", True),
    (Kind.BLOCK, "user_id:ann", False),
    Erasure("erase", (usable("user_id:bob"),), read_instant(at("20:00"))),
]


async def told(resolver: Resolver) -> list[dict[str, Any]]:
    """Let the story happen, published step by step; gives the lines of the timeline."""
    topics = Topics()
    log: list[Event] = []
    for number, one in enumerate(STORY):
        position = await resolver.position("commands", 0)
        if isinstance(one, Event):
            await resolver.apply(batch([one], len(log), rules=RULES))
            log.append(one)
        elif isinstance(one, Erasure):
            await resolver.correct(CorrectionBatch("commands", 0, position.offset, Position(position.offset + 1, 1), (one,)))
        else:
            await say(resolver, one[0], one[1], holds=one[2], at=read_instant(at("18:00")) + number)
        await read_again(resolver, {0: log}, RULES)
        await documents(resolver)
        await drain(resolver, topics, SHARDS, 1_000)
    return topics.lines


def alike(one: dict[str, Any], line: dict[str, Any]) -> bool:
    """Say whether a line tells what an example does: identifiers in any order; who computes all anew may know no event of an ending."""
    identifiers = [sorted(map(str, each["data"].get("identifiers", ()))) for each in (one, line)]
    rest = [{name: value for name, value in each["data"].items() if name != "identifiers"} for each in (one, line)]
    known = line["event_id"] in {one["event_id"], None} and line["occurred_at"] in {one["occurred_at"], None}
    return bool(one["kind"] == line["kind"] and known and identifiers[0] == identifiers[1] and rest[0] == rest[1])


async def test_every_kind_has_an_example_that_is_told_like_this(resolver: Resolver) -> None:
    lines = await told(resolver)
    shown = [msgspec.json.decode(block) for block in re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)]
    assert all(one.keys() == {"kind", "occurred_at", "event_id", "source", "data"} for one in shown)
    assert {one["kind"] for one in shown} == {one["kind"] for one in lines}
    missing = [one for one in shown if not any(alike(one, line) for line in lines)]
    assert not missing, missing
