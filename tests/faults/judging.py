"""What must hold when everything has come to rest, whatever happened on the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka.structs import ConsumerRecord

from resolvers.memory import MemoryResolver
from resolvers.port import Resolver
from streams.events import decode_event
from tests.faults.kafka_model import Broker
from tests.faults.stream import EVENTS, NO_EVENT, NO_RECORD
from tests.faults.world import SHARDS, World
from tests.histories import RULES, Documents, apply, documents, written
from tests.telling import Told, Topics, check_told


@dataclass(frozen=True, slots=True)
class Right:
    """What every case must come to: the living documents, and the entity of each participant."""

    documents: Documents
    participants: dict[str, str]


async def right() -> Right:
    """Compute it from the events alone: no stage, no order, no fault."""
    resolver = MemoryResolver(RULES, SHARDS)
    found: dict[str, str] = {}
    for event in EVENTS:
        ids = (await apply(resolver, event)).entity_ids[0]
        found |= {f"{event.source}:{event.event_id}:{index}": entity_id for index, entity_id in enumerate(ids) if entity_id}
    return Right(await documents(resolver), {key: await living(resolver, entity_id) for key, entity_id in found.items()})


async def living(resolver: Resolver, entity_id: str) -> str:
    """Lead an id that was issued to the entity that lives."""
    document = await resolver.entity(entity_id)
    assert document is not None, f"{entity_id} is not known"
    return str(document.get("merged_into", document["entity_id"]))


async def judge(world: World, expected: Right, *, forgetful: bool = False) -> None:
    """Check every promise. `forgetful` stores may have changes told again, if these are marked."""
    resolver, broker = world.store.connect(), world.broker
    try:
        await resolver.open()
        check_nothing_lost(broker)
        check_raw(broker)
        assert written(await documents(resolver)) == written(expected.documents)
        check_told(expected.documents, read_topics(broker, expected, forgetful=forgetful), 1_000)
        await check_rest(broker, resolver)
        participants = {text(row.key): msgspec.json.decode(row.value)["entity_id"] for row in broker.committed_records("participants")}
        assert {key: await living(resolver, entity_id) for key, entity_id in participants.items()} == expected.participants
    finally:
        await resolver.close()


def check_nothing_lost(broker: Broker) -> None:
    """Find every record in the event log or the dead letters, and nothing else there."""
    log = [row.value for row in broker.committed_records("events")]
    assert {decode_event(value).event_id for value in log if value != NO_EVENT} == {event.event_id for event in EVENTS}
    letters = {(dict(row.headers)["source"], row.value) for row in broker.committed_records("dead-letters")}
    assert letters == {(b"crm", NO_RECORD), (b"events", NO_EVENT)}


def check_raw(broker: Broker) -> None:
    """Find every raw record's offset committed."""
    places = broker.places("raw")
    assert {place: broker.offsets.get(("adapt", place)) for place in places} == {place: len(broker.logs[place]) for place in places}


async def check_rest(broker: Broker, resolver: Resolver) -> None:
    """Find no transaction open, nothing dirty or in flight, and the event log applied to its end."""
    assert not broker.transactions, "a transaction is open"
    assert (await resolver.backlog()).empty
    for place in broker.places("events"):
        applied = (await resolver.position("events", place.partition)).offset
        assert applied == len(broker.logs[place])
        assert (broker.offsets.get(("resolve", place)) or 0) <= applied


def read_topics(broker: Broker, expected: Right, *, forgetful: bool) -> Topics:
    """Be a read_committed consumer of the output topics; fails on a version that does not rise and on a change told twice."""
    topics = Topics()
    for topic in ("entities", "identifiers", "memberships"):
        for row in broker.committed_records(topic):
            take_document(topics, topic, row, expected)
    ids: Counter[str] = Counter()
    versions: dict[str, int] = {}
    for row in broker.committed_records("timeline"):
        line = msgspec.json.decode(row.value)
        ids[line["id"]] += 1
        assert line["version"] >= versions.get(line["entity_id"], 0), f"{line['id']} comes too late"
        versions[line["entity_id"]] = line["version"]
        assert forgetful or "recovery" not in line, f"{line['id']} is marked as recovery"
        take_line(topics.timeline.setdefault(line["entity_id"], Told()), line)
    assert max(ids.values()) == 1, f"timeline ids told more than once: {[line_id for line_id, count in ids.items() if count > 1]}"
    return topics


def take_document(topics: Topics, topic: str, row: ConsumerRecord, expected: Right) -> None:
    """Take a record of a compacted topic in, as a reader would."""
    key = text(row.key)
    if row.value is None:
        assert topic == "memberships" or (topic, key) not in expected.documents, f"{topic} {key} was retired though it lives"
        topics.documents.pop((topic, key), None)
        return
    document = msgspec.json.decode(row.value)
    version = document.pop("version")
    assert topics.versions.get((topic, key), 0) < version, f"{topic} {key}: version {version} after {topics.versions[topic, key]}"
    topics.versions[topic, key] = version
    topics.documents[topic, key] = document


def take_line(told: Told, line: dict[str, Any]) -> None:
    """Fold a timeline record in; one that says what was said already must be marked as recovery."""
    kind, data = line["kind"], line["data"]
    if said(told, kind, data):
        assert line.get("recovery"), f"{line['id']} tells {kind} {data} again"
        return
    told.fold(kind, data)


def said(told: Told, kind: str, data: dict[str, Any]) -> bool:
    """Whether what a line says is known from those before it."""
    match kind:
        case "entity.created":
            known = bool(told.identifiers) and told.merged_into is None
        case "entity.merged":
            known = "merged_into" in data and told.merged_into == data["merged_into"]
        case "identifier.added":
            known = (data["type"], data["value"]) in told.identifiers
        case "trait.changed" if "added" in data:
            known = not data["removed"] and all(one in told.traits.get(data["trait"], []) for one in data["added"])
        case "trait.changed":
            known = data["trait"] in told.traits and told.traits[data["trait"]] == data["new"]
        case "membership.started" | "membership.changed":
            known = data["group_id"] in told.memberships and told.memberships[data["group_id"]] == data["role"]
        case _:
            known = kind == "membership.ended" and data["group_id"] not in told.memberships
    return known


def text(key: bytes) -> str:
    """Read a record's key."""
    return key.decode()
