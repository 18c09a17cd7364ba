"""Erasures: what every resolver leaves out, and what comes after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from resolvers.correction import CorrectionBatch
from resolvers.erasure import Erasure
from resolvers.identifier import Identifier
from resolvers.instant import read_instant
from resolvers.port import Resolver
from resolvers.sighting import Position
from streams.events import Event, Membership
from tests.contracts.test_resolver_corrections import usable
from tests.contracts.test_resolver_guards import SHARDS, parts
from tests.histories import apply, at, documents, entities, event, group, person, read_again
from tests.telling import Topics, check_told, drain, publish


async def erase(resolver: Resolver, cutoff: str, *named: str, log: Sequence[Event] = ()) -> None:
    """Send an erasure, as a command says it; apply once more what it asks for, where there is a log."""
    position = await resolver.position("commands", 0)
    covered = tuple(replace(one, identifier=replace(one.identifier, value="")) for one in map(usable, named))
    erasure = Erasure("c", covered, read_instant(at(cutoff)))
    await resolver.correct(CorrectionBatch("commands", 0, position.offset, Position(position.offset + 1, 1), (erasure,)))
    if log:
        await read_again(resolver, {0: log})


PAIR = [
    event("e1", "9:00", person("user_id:u1", "device:d", traits={"name": "Ann"})),
    event("e2", "9:30", person("device:d", "email:a@x.example", traits={"plan": "free"})),
]


async def test_what_is_left_is_what_was_seen_apart(resolver: Resolver) -> None:
    await apply(resolver, *PAIR)
    (one,) = await entities(resolver)
    await erase(resolver, "10:00", "user_id:u1")
    (left,) = await entities(resolver)
    assert left["traits"] == {"plan": "free"}
    assert left["first_seen"] == at("9:30")
    ended = await resolver.entity(one["entity_id"])
    assert ended is not None
    assert ended["status"] == "erased" or one["entity_id"] == left["entity_id"]
    assert await resolver.identifier(Identifier("person", "user_id", "u1")) is None


async def test_it_does_not_come_back_with_a_late_event_and_does_with_a_later_one(resolver: Resolver) -> None:
    await apply(resolver, *PAIR)
    (one,) = await entities(resolver)
    await erase(resolver, "10:00", "user_id:u1", "device:d", "email:a@x.example")
    assert await documents(resolver) == {}
    applied = await apply(resolver, event("e3", "9:59:59.999", person("user_id:u1", "device:d", traits={"name": "Ann"})))
    assert applied.entity_ids == ((None,),)
    assert await documents(resolver) == {}
    await apply(resolver, event("e4", "10:00", person("user_id:u1", traits={"name": "Bea"})))
    (again,) = await entities(resolver)
    assert again["traits"] == {"name": "Bea"}
    assert again["entity_id"] != one["entity_id"]
    found = await resolver.identifier(Identifier("person", "user_id", "u1"))
    assert found is not None
    assert found["entity_id"] == again["entity_id"]


async def test_it_may_come_before_what_it_covers(resolver: Resolver) -> None:
    await erase(resolver, "9:15", "device:d")
    await apply(resolver, *PAIR)
    assert await parts(resolver) == {frozenset({"device:d", "email:a@x.example"})}


async def test_the_latest_cutoff_counts_whatever_came_first(resolver: Resolver) -> None:
    for cutoff in ("9:45", "9:15"):
        await erase(resolver, cutoff, "device:d")
    await apply(resolver, *PAIR)
    assert await documents(resolver) == {}


async def test_memberships_of_the_erased_end(resolver: Resolver) -> None:
    topics = Topics()
    works = event("e1", "9:00", person("user_id:u1"), group("shop:s"), memberships=[Membership(0, 1, "owner")])
    other = event("e2", "9:00", person("user_id:u2"), group("shop:s"), memberships=[Membership(0, 1, "guest")])
    await apply(resolver, works, other)
    await drain(resolver, topics, SHARDS)
    await erase(resolver, "10:00", "user_id:u1")
    found = await documents(resolver)
    await drain(resolver, topics, SHARDS)
    check_told(found, topics, 1_000)
    assert [document["role"] for (topic, _), document in found.items() if topic == "memberships"] == ["guest"]
    ended = [line for line in topics.lines if line["kind"] == "membership.ended"]
    assert [(line["event_id"], line["data"]["role"]) for line in ended] == [(None, None)]


async def test_an_entity_that_lives_on_is_told_anew_and_nothing_that_was(resolver: Resolver) -> None:
    topics = Topics()
    log = [event("e0", "8:00", person("email:a@x.example")), *PAIR]
    await apply(resolver, *log)
    await drain(resolver, topics, SHARDS)
    before = len(topics.lines)
    await erase(resolver, "9:15", "user_id:u1", "device:d", log=log)
    found = await documents(resolver)
    await drain(resolver, topics, SHARDS)
    check_told(found, topics, 1_000)
    told = [(line["kind"], line["data"]) for line in topics.lines[before:]]
    assert ("entity.erased", {"lives_on": True}) in told
    assert not any("Ann" in str(data) or "u1" in str(data) for _, data in told)


async def test_who_is_seen_again_before_the_rest_is_done_is_told_once(resolver: Resolver) -> None:
    topics = Topics()
    log = [event("e1", "9:10", person("device:a")), event("e2", "9:20", person("device:a", "device:b"))]
    await apply(resolver, *log)
    await drain(resolver, topics, SHARDS)
    await erase(resolver, "9:00", "device:a")
    for _ in range(5):
        await resolver.sweep(100)
    log.append(event("e3", "9:05", person("device:b", traits={"name": "B"})))
    await apply(resolver, log[-1])
    for shard in range(SHARDS):
        await publish(resolver, topics, shard, limit=100)
    await read_again(resolver, {0: log})
    found = await documents(resolver)
    await drain(resolver, topics, SHARDS)
    check_told(found, topics, 1_000)


async def test_what_is_left_is_told_anew_with_its_events_and_memberships_stay(resolver: Resolver) -> None:
    log = [
        event("e0", "7:00", person("user_id:u1")),
        event("e1", "8:00", person("user_id:u1", "email:a@x.example", traits={"name": "Ann"})),
        event("e2", "8:30", person("user_id:u1", "device:d", traits={"name": "Anna"})),
        event("e3", "9:00", person("user_id:u1"), group("domain:a.example"), memberships=[Membership(0, 1, "editor", ended=False)]),
    ]
    await apply(resolver, *log)
    topics = Topics()
    await drain(resolver, topics, SHARDS)
    before = len(topics.lines)
    await erase(resolver, "12:00", "email:a@x.example", log=log)
    await drain(resolver, topics, SHARDS)
    told = [(one["kind"], one["event_id"]) for one in topics.lines[before:]]
    assert told == [("entity.erased", None), ("identifier.added", "e0"), ("identifier.added", "e2"), ("trait.changed", "e2")]
    check_told(await documents(resolver), topics, 1_000)
