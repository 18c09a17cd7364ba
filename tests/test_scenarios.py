"""Scenarios: stories that a person can read, told to every resolver forwards, and to their last line backwards.

A file of `tests/scenarios/` holds a `story` in one sentence, `event` lines and `expect` lines, which say all entities there
are by then. Identifiers are written `type:value`, times as `9:30` of one day, or `02T9:30` of another day of that month.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from resolvers.identifier import Identifier, entity_id, identifier_digest
from resolvers.memory import MemoryResolver
from resolvers.port import Resolver
from resolvers.redis_graph import RedisResolver
from streams.events import Event, Membership
from tests.histories import KEY, RULES, Documents, apply, at, documents, event, group, person, values

STORIES = sorted((Path(__file__).parent / "scenarios").glob("*.ndjson"))


class Participant(msgspec.Struct, forbid_unknown_fields=True):
    """A participant: the identifiers of a person or of a group, and traits."""

    person: list[str] = []
    group: list[str] = []
    traits: dict[str, Any] = {}


class Happening(msgspec.Struct, forbid_unknown_fields=True):
    """An event, in few words."""

    id: str
    at: str
    participants: list[Participant]
    memberships: list[Membership] = []

    def event(self) -> Event:
        """Write it in the canonical form."""
        who = [group(*one.group, traits=one.traits) if one.group else person(*one.person, traits=one.traits) for one in self.participants]
        return event(self.id, self.at, *who, memberships=self.memberships)


class Expected(msgspec.Struct, forbid_unknown_fields=True):
    """An entity by all its identifiers, and what of the rest the story is about."""

    person: list[str] = []
    group: list[str] = []
    founder: str | None = None
    traits: dict[str, Any] | None = None
    first_seen: str | None = None
    last_seen: str | None = None


class ExpectedMembership(msgspec.Struct, forbid_unknown_fields=True):
    """A membership, its two sides each named by an identifier."""

    person: str
    group: str
    role: str | None = None
    since: str | None = None
    until: str | None = None


class Expectation(msgspec.Struct, forbid_unknown_fields=True):
    """All entities there are; if they are told, all memberships; and where ids lead that ended, by their founders."""

    entities: list[Expected]
    memberships: list[ExpectedMembership] | None = None
    merged: dict[str, str] = {}


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """One line of a story."""

    story: str | None = None
    event: Happening | None = None
    expect: Expectation | None = None


def lines_of(path: Path) -> list[Line]:
    return [msgspec.json.decode(line, type=Line) for line in path.read_bytes().splitlines()]


@pytest.fixture(params=["memory", "redis"])
async def resolver(request: pytest.FixtureRequest) -> AsyncIterator[Resolver]:
    if request.param == "memory":
        yield MemoryResolver(RULES)
        return
    graph = RedisResolver(request.getfixturevalue("redis_url"), RULES, f"story-{uuid4().hex}", buckets=16)
    await graph.open()
    yield graph
    await graph.drop()
    await graph.close()


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
async def test_a_story_goes_as_it_is_told(resolver: Resolver, path: Path) -> None:
    for line in lines_of(path):
        if line.event:
            await apply(resolver, line.event.event())
        if line.expect:
            await check(resolver, line.expect)
            await check_merged(resolver, line.expect.merged)


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
async def test_a_story_told_backwards_ends_the_same(resolver: Resolver, path: Path) -> None:
    lines = lines_of(path)
    await apply(resolver, *(line.event.event() for line in reversed(lines) if line.event))
    expected = lines[-1].expect
    assert expected is not None
    await check(resolver, expected)


def test_every_story_is_a_sentence_then_events_then_what_is_expected() -> None:
    assert len(STORIES) >= 8
    for path in STORIES:
        lines = lines_of(path)
        assert [bool(line.story) for line in lines] == [True, *[False] * (len(lines) - 1)], path.name
        assert all(sum(map(bool, (line.story, line.event, line.expect))) == 1 for line in lines), path.name
        assert lines[-1].expect, path.name


async def check(resolver: Resolver, expected: Expectation) -> None:
    """Compare all that is expected with all that there is."""
    found = await documents(resolver)
    entities = [one for (topic, _), one in found.items() if topic == "entities"]
    told = {(one["entity_type"], *sorted(values(one))): one for one in entities}
    wanted = {(("group", *sorted(one.group)) if one.group else ("person", *sorted(one.person))): one for one in expected.entities}
    assert sorted(told) == sorted(wanted)
    for name, one in wanted.items():
        assert {key: told[name][key] for key, _ in facts(one)} == dict(facts(one)), name
    if expected.memberships is not None:
        check_memberships(found, expected.memberships)


def facts(one: Expected) -> Iterator[tuple[str, Any]]:
    """Give what a story says about an entity beside its identifiers."""
    if one.founder:
        yield "entity_id", founded_by("group" if one.group else "person", one.founder)
    if one.traits is not None:
        yield "traits", one.traits
    if one.first_seen:
        yield "first_seen", at(one.first_seen)
    if one.last_seen:
        yield "last_seen", at(one.last_seen)


def check_memberships(found: Documents, expected: list[ExpectedMembership]) -> None:
    """Compare all memberships with those that are expected; `since` only where it is told."""
    owner = {key: one["entity_id"] for (topic, key), one in found.items() if topic == "identifiers"}
    told = {(one["person_id"], one["group_id"]): one for (topic, _), one in found.items() if topic == "memberships"}
    wanted = {(owner[f"person:{one.person}"], owner[f"group:{one.group}"]): one for one in expected}
    assert told.keys() == wanted.keys()
    for pair, one in wanted.items():
        assert (told[pair]["role"], told[pair]["until"]) == (one.role, at(one.until) if one.until else None)
        assert one.since is None or told[pair]["since"] == at(one.since)


async def check_merged(resolver: Resolver, merged: dict[str, str]) -> None:
    """Check that each id that ended leads to the one that lives."""
    for ended, survivor in merged.items():
        found = await resolver.entity(founded_by("person", ended))
        assert found is not None
        assert (found["status"], found["merged_into"]) == ("merged", founded_by("person", survivor))


def founded_by(entity_type: str, named: str) -> str:
    """Write the id of the entity that an identifier founds."""
    kind, value = named.split(":", 1)
    return entity_id(RULES.prefix(entity_type), identifier_digest(KEY, Identifier(entity_type, kind, value)))
