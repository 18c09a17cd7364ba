"""States and traits: the verification's own computation and the specification's say the same of any set of events."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvers.correction import Kind
from resolvers.entity import entity_document
from resolvers.instant import write_instant
from resolvers.memory import MemoryResolver
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.scripts import Bounds
from streams.events import Event, encode_event
from streams.settings import EntitySettings, HubSettings, IdentifierSettings, Settings, StateSettings
from streams.verify import Difference
from streams.verify.compacted import TopicRecord
from streams.verify.compare_timeline import Timeline
from streams.verify.recompute import recompute
from streams.verify.usable import Usable
from tests.histories import batch
from tests.properties.depth import depth
from tests.properties.strategies import events
from tests.properties.test_guards_in_order import (
    NOW,
    SHARDS,
    STATES,
    TRAITS,
    Arrival,
    Erased,
    Item,
    Said,
    arrivals,
    arrive,
    corrections,
    erasures,
)
from tests.telling import Topics

PERSON = {kind: IdentifierSettings() for kind in ("user_id", "email", "device")}
GROUP = {kind: IdentifierSettings() for kind in ("domain", "shop")}
SETTINGS = Settings(
    entities={
        "person": EntitySettings(identifiers=PERSON, traits=TRAITS["person"]),
        "group": EntitySettings(identifiers=GROUP, traits=TRAITS["group"]),
    },
    states=STATES,
)
RULES = Rules.from_settings(SETTINGS.entities, SETTINGS.identity_key.get_secret_value().encode(), SETTINGS.states)


@depth(200)
@given(st.lists(events, min_size=1, max_size=12))
def test_both_give_every_state_the_same_history(seen: list[Event]) -> None:
    expected = recompute([encode_event(one) for one in seen], SETTINGS)
    resolver = MemoryResolver(RULES, 1, clock=lambda: expected.now)
    asyncio.run(resolver.apply(batch(seen, rules=RULES)))
    found = {
        name: {state: [(one.since, one.value) for one in history] for state, history in view.states.items()}
        for name, view in resolver.world().entities.items()
    }
    assert found == {expected.ids[founder]: expected.histories(founder) for founder in expected.entities}
    documents = {key: resolver.world().entities[key] for key, _ in expected.entity_documents()}
    assert {key: entity_document(view) for key, view in documents.items()} == dict(expected.entity_documents())


def guarded(hub: int, limit: int | None) -> Settings:
    """Make settings under which evidence moves from one entity to another as hubs and limits take them apart."""
    person = {
        "user_id": IdentifierSettings(limit=limit),
        "email": IdentifierSettings(),
        "device": IdentifierSettings(hub=HubSettings(of="user_id", over=hub)),
    }
    return Settings(
        entities={"person": EntitySettings(identifiers=person), "group": EntitySettings(identifiers=GROUP)},
        states=[
            *STATES,
            StateSettings.model_validate(
                {
                    "name": "test_loud",
                    "entity": "person",
                    "values": ["on", "OFF"],
                    "derived": {"components": {"chain": "test_chain", "life": "test_life"}, "value": "life == 'gone' && chain || life"},
                }
            ),
        ],
    )


def showing(event: Event, more: dict[str, str]) -> Event:
    """Let the participants of an event carry more states."""
    people = [msgspec.structs.replace(one, states=one.states | more) for one in event.participants]
    return msgspec.structs.replace(event, participants=people)


wrong = st.sampled_from(
    [{}, {}, {"life": "odd"}, {"free": "x" * 1_001}, {"test_chain": "calm"}, {"test_chain": "web"}, {"test_lit": "y" * 1_001}]
)
refusable = st.lists(st.builds(showing, events, wrong), min_size=1, max_size=12)
hubs = st.tuples(st.integers(1, 3), st.sampled_from([1, 2, None]))
said = st.lists(corrections, max_size=3, unique_by=lambda one: one.number)
erased = st.lists(erasures, max_size=2, unique_by=lambda one: one.number)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


WORDS = {Kind.BLOCK: ("block", "unblock"), Kind.FORBID: ("forbid", "permit"), Kind.LINK: ("link", "unlink")}


def command(one: Said | Erased, settings: Settings) -> tuple[bytes, int]:
    """Write the command that says it, with its timestamp."""
    if isinstance(one, Said):
        named = [{"entity_type": entity, "type": kind, "value": value} for entity, kind, value in one.identifiers]
        fields: dict[str, Any] = {"command": WORDS[one.kind][not one.holds], "issued_at": write_instant(one.issued_at)}
        fields |= {"command_id": f"c{one.number}"}
    else:
        usable = Usable(settings)
        named = [{"entity_type": who[0], "type": who[1], "digest": usable.digest(*who).hex()} for who in one.identifiers]
        fields = {"command": "erase", "command_id": f"e{one.number}", "issued_at": write_instant(1), "cutoff": write_instant(one.cutoff)}
    return msgspec.json.encode(fields | {"identifiers": named}), NOW


def refusals_of(topics: Topics, history: list[Item], settings: Settings) -> list[Difference]:
    """Say what the verification finds wrong with the refusals on a timeline."""
    seen = [encode_event(one) for one in history if isinstance(one, Event)]
    expected = recompute(seen, settings, [command(one, settings) for one in history if not isinstance(one, Event)])
    expected.now = NOW
    timeline = Timeline(expected)
    for at, line in enumerate(topics.lines):
        value = msgspec.json.encode(line | {"id": str(at), "version": at})
        timeline.add(TopicRecord(0, at, line["entity_id"].encode(), value))
    return [one for one in timeline.differences() if one.kind.startswith(("timeline.refusal", "timeline.state"))]


async def in_redis(url: str, rules: Rules, arrival: Arrival) -> Topics:
    resolver = RedisResolver(url, rules, f"refused-{uuid4().hex}", SHARDS, 16, Bounds(patience=0), lambda: NOW)
    await resolver.open()
    try:
        return (await arrive(resolver, rules, arrival))[1]
    finally:
        await resolver.drop()
        await resolver.close()


@depth(80)
@given(st.tuples(refusable, said, erased).map(lambda drawn: [one for each in drawn for one in each]), hubs, st.data())
def test_both_resolvers_tell_just_the_refusals_that_the_verification_computes(
    redis_url: str, runner: asyncio.Runner, history: list[Item], drawn: tuple[int, int | None], data: st.DataObject
) -> None:
    settings = guarded(*drawn)
    rules = Rules.from_settings(settings.entities, settings.identity_key.get_secret_value().encode(), settings.states)
    first, second = data.draw(arrivals(history)), data.draw(arrivals(history))
    told = runner.run(arrive(MemoryResolver(rules, SHARDS, clock=lambda: NOW), rules, first))[1]
    assert not refusals_of(told, history, settings)
    assert not refusals_of(runner.run(in_redis(redis_url, rules, second)), history, settings)
