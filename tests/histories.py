"""Histories for tests: rules, events written in one line, and the batches that carry them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from resolvers.evidence import evidence_of
from resolvers.port import REREAD, Applied, Resolver
from resolvers.rules import Rules
from resolvers.sighting import Batch, Position
from streams.events import Event, Identifier, Membership, Participant
from streams.settings import EntitySettings, IdentifierSettings

KEY = b"a key for tests"

ENTITIES: Mapping[str, EntitySettings] = {
    "person": EntitySettings(
        identifiers={
            "user_id": IdentifierSettings(),
            "email": IdentifierSettings(normalise="email"),
            "device": IdentifierSettings(),
        },
        blocked=["shared@office.example", "re:^kiosk-"],
    ),
    "group": EntitySettings(identifiers={"domain": IdentifierSettings(normalise="domain"), "shop": IdentifierSettings()}),
}
RULES = Rules.from_settings(ENTITIES, KEY)

Documents = dict[tuple[str, str], dict[str, Any]]
"""(topic, key) -> document."""


def at(text: str) -> str:
    """Write a time of 1 May 2024, `9:05` or `9:05:30.250`, or of another day, `02T9:05`, as RFC 3339."""
    day, _, clock = text.rpartition("T")
    hour, _, rest = clock.partition(":")
    seconds = rest if ":" in rest else f"{rest}:00"
    return f"2024-05-{day or '01'}T{int(hour):02}:{seconds}{'' if '.' in seconds else '.000'}Z"


def person(*identifiers: str, traits: Mapping[str, Any] | None = None, states: Mapping[str, str] | None = None) -> Participant:
    """Make a person seen with identifiers, each `type:value`."""
    return _participant("person", identifiers, traits, states)


def group(*identifiers: str, traits: Mapping[str, Any] | None = None) -> Participant:
    """Make a group seen with identifiers, each `type:value`."""
    return _participant("group", identifiers, traits, None)


def _participant(
    entity: str, identifiers: Iterable[str], traits: Mapping[str, Any] | None, states: Mapping[str, str] | None
) -> Participant:
    named = [Identifier(*one.split(":", 1)) for one in identifiers]
    return Participant(entity, "", named, dict(traits or {}), dict(states or {}))


def event(event_id: str, when: str, *participants: Participant, source: str = "test", memberships: Iterable[Membership] = ()) -> Event:
    """Make an event at a time that `at` reads."""
    return Event(event_id, source, "seen", at(when), participants=list(participants), memberships=list(memberships))


def batch(events: Iterable[Event], start: int = 0, partition: int = 0, rules: Rules = RULES) -> Batch:
    """Make the batch of a partition that carries these events, one offset each."""
    evidence = tuple(evidence_of(rules, one) for one in events)
    end = start + len(evidence)
    return Batch("events", partition, start, Position(end, end * 7), evidence)


async def apply(resolver: Resolver, *events: Event, partition: int = 0) -> Applied:
    """Apply events as one batch that continues the partition."""
    position = await resolver.position("events", partition)
    return await resolver.apply(batch(events, position.offset, partition))


Logs = Mapping[int, Sequence[Event]]
"""By partition, all its events."""


async def read_again(resolver: Resolver, logs: Logs, rules: Rules = RULES, at_once: int = 100, most: int = 1_000_000) -> None:
    """Apply once more what erasures ask for; `most` batches at most."""
    while most > 0 and (asked := await resolver.rereads()):
        one = asked[0]
        end = min(one.end, one.start + at_once)
        again = replace(batch(logs[one.partition][one.start : end], one.start, one.partition, rules), log=REREAD)
        await resolver.apply(again)
        most -= 1


async def documents(resolver: Resolver) -> Documents:
    """Settle and sweep until nothing remains, then collect every living document."""
    while (left := await resolver.backlog()).sweeps or left.cases:
        await resolver.settle()
        await resolver.sweep(1_000)
    return {(topic, key): document async for topic, key, document in resolver.documents()}


async def entities(resolver: Resolver, entity_type: str | None = None) -> list[dict[str, Any]]:
    """Collect the living entities, the oldest first."""
    found = [document for (topic, _), document in (await documents(resolver)).items() if topic == "entities"]
    wanted = [one for one in found if entity_type in {None, one["entity_type"]}]
    return sorted(wanted, key=lambda one: (one["first_seen"], one["entity_id"]))


def written(found: Documents) -> bytes:
    """Write documents as bytes that are equal for equal documents."""
    rows = [[topic, key, found[topic, key]] for topic, key in sorted(found)]
    return msgspec.json.encode(rows, order="deterministic")


def values(document: Mapping[str, Any]) -> set[str]:
    """Give an entity's identifiers as `type:value`."""
    return {f"{one['type']}:{one['value']}" for one in document["identifiers"]}
