"""Corrections: what every resolver makes of what operators say, whatever came first."""

from __future__ import annotations

from resolvers.correction import Correction, CorrectionBatch, Kind
from resolvers.errors import PositionGap
from resolvers.identifier import Identifier, entity_id, identifier_digest
from resolvers.port import Resolver
from resolvers.sighting import Position, Usable
from resolvers.standing import Standing
from streams.events import Event, Membership
from tests.contracts.test_resolver_guards import SHARDS, parts
from tests.histories import KEY, RULES, apply, documents, event, group, person
from tests.telling import Topics, check_told, drain, publish


def usable(named: str, entity: str = "person") -> Usable:
    kind, value = named.split(":")
    found = RULES.usable(entity, kind, value)
    assert found is not None
    return found


async def say(
    resolver: Resolver, kind: Kind, *named: str, entity: str = "person", holds: bool = True, at: int = 1, command_id: str = "c"
) -> None:
    """Send one correction."""
    position = await resolver.position("commands", 0)
    correction = Correction(command_id, kind, holds, tuple(usable(one, entity) for one in named), at)
    await resolver.correct(CorrectionBatch("commands", 0, position.offset, Position(position.offset + 1, 1), (correction,)))


JOINED: list[Event] = [
    event("e1", "9:00", person("user_id:u1", "email:front@desk.example", traits={"name": "Ann"})),
    event("e2", "9:05", person("user_id:u2", "email:front@desk.example", traits={"name": "Bob"})),
]
ONE = {frozenset({"user_id:u1", "user_id:u2", "email:front@desk.example"})}
TWO = {frozenset({"user_id:u1"}), frozenset({"user_id:u2"})}


async def test_a_block_splits_and_its_end_joins_again(resolver: Resolver) -> None:
    await apply(resolver, *JOINED)
    assert await parts(resolver) == ONE
    await say(resolver, Kind.BLOCK, "email:front@desk.example")
    assert await parts(resolver) == TWO
    assert await resolver.identifier(Identifier("person", "email", "front@desk.example")) is None
    await say(resolver, Kind.BLOCK, "email:front@desk.example", holds=False, at=2)
    assert await parts(resolver) == ONE


async def test_a_block_may_come_before_what_it_names(resolver: Resolver) -> None:
    await say(resolver, Kind.BLOCK, "email:front@desk.example")
    await apply(resolver, *JOINED)
    assert await parts(resolver) == TWO


async def test_the_latest_of_a_subject_stands_whatever_came_first(resolver: Resolver) -> None:
    await apply(resolver, *JOINED)
    await say(resolver, Kind.BLOCK, "email:front@desk.example", holds=False, at=5)
    await say(resolver, Kind.BLOCK, "email:front@desk.example", at=4)
    assert await parts(resolver) == ONE
    await say(resolver, Kind.BLOCK, "email:front@desk.example", at=5, command_id="d")
    assert await parts(resolver) == TWO


async def test_a_forbidden_pair_is_never_one(resolver: Resolver) -> None:
    await apply(resolver, *JOINED)
    await say(resolver, Kind.FORBID, "user_id:u2", "user_id:u1")
    assert await parts(resolver) == {frozenset({"user_id:u1", "email:front@desk.example"}), frozenset({"user_id:u2"})}
    await say(resolver, Kind.FORBID, "user_id:u1", "user_id:u2", holds=False, at=2)
    assert await parts(resolver) == ONE


async def test_a_link_joins_what_was_seen_and_what_will_be(resolver: Resolver) -> None:
    await apply(resolver, event("e1", "9:00", person("user_id:u1")))
    await say(resolver, Kind.LINK, "user_id:u1", "device:d")
    assert await parts(resolver) == {frozenset({"user_id:u1"})}
    await apply(resolver, event("e2", "9:05", person("device:d")))
    assert await parts(resolver) == {frozenset({"user_id:u1", "device:d"})}
    await say(resolver, Kind.LINK, "user_id:u1", "device:d", holds=False, at=2)
    assert await parts(resolver) == {frozenset({"user_id:u1"}), frozenset({"device:d"})}


async def test_a_hub_whose_owners_are_blocked_connects_again(resolver: Resolver) -> None:
    await apply(resolver, *(event(f"e{n}", f"9:0{n}", person(f"user_id:u{n}", "device:shop")) for n in range(6)))
    assert len(await parts(resolver)) == 6
    await say(resolver, Kind.BLOCK, "user_id:u5")
    assert await parts(resolver) == {frozenset({"device:shop", *(f"user_id:u{n}" for n in range(5))})}


async def test_a_batch_out_of_turn_is_refused(resolver: Resolver) -> None:
    await say(resolver, Kind.BLOCK, "user_id:u1")
    try:
        await resolver.correct(CorrectionBatch("commands", 0, 7, Position(8, 1), ()))
    except PositionGap:
        return
    raise AssertionError("it was taken in")


async def test_the_topics_and_the_timeline_follow(resolver: Resolver) -> None:
    topics = Topics()
    await apply(resolver, *JOINED)
    await documents(resolver)
    await drain(resolver, topics, SHARDS)
    await say(resolver, Kind.BLOCK, "email:front@desk.example")
    found = await documents(resolver)
    await drain(resolver, topics, SHARDS)
    check_told(found, topics, 1_000)
    assert ("identifiers", "person:email:front@desk.example") not in topics.documents
    traits = {document["traits"]["name"] for (topic, _), document in topics.living().items() if topic == "entities"}
    assert traits == {"Ann", "Bob"}
    assert "entity.split" in {one["kind"] for one in topics.lines}
    founder = entity_id("per", identifier_digest(KEY, Identifier("person", "email", "front@desk.example")))
    known = await resolver.entity(founder)
    assert known is not None
    assert known["status"] == "split"


async def test_an_identifiers_standing_is_told(resolver: Resolver) -> None:
    front = Identifier("person", "email", "front@desk.example")
    assert await resolver.standing(front) == Standing()
    await apply(resolver, *JOINED)
    await say(resolver, Kind.FORBID, "email:front@desk.example", "user_id:u2")
    await say(resolver, Kind.LINK, "email:front@desk.example", "user_id:u1", at=77)
    one, two = (Identifier("person", "user_id", value) for value in ("u1", "u2"))
    assert await resolver.standing(front) == Standing(known=True, forbidden=(two,), linked=((one, 77),))
    await say(resolver, Kind.BLOCK, "email:front@desk.example")
    assert (await resolver.standing(front)).off


async def test_what_is_blocked_and_let_go_between_two_rounds_is_not_created_again(resolver: Resolver) -> None:
    topics = Topics()
    await apply(resolver, event("e0", "8:00", person("email:front@desk.example")), *JOINED)
    await drain(resolver, topics, SHARDS)
    before = len(topics.lines)
    await say(resolver, Kind.BLOCK, "email:front@desk.example")
    await documents(resolver)
    await say(resolver, Kind.BLOCK, "email:front@desk.example", holds=False, at=2)
    for shard in range(SHARDS):
        await publish(resolver, topics, shard, limit=100)
    found = await documents(resolver)
    await drain(resolver, topics, SHARDS)
    check_told(found, topics, 1_000)
    lived = {line["entity_id"] for line in topics.lines[:before] if line["kind"] == "entity.created"}
    ended = {line["entity_id"] for line in topics.lines if line["kind"] == "entity.split" and line["data"].get("ended")}
    ended |= {line["entity_id"] for line in topics.lines if "merged_into" in line["data"]}
    again = {line["entity_id"] for line in topics.lines[before:] if line["kind"] == "entity.created"}
    assert not again & lived - ended


async def test_what_a_command_takes_away_was_brought_by_no_event(resolver: Resolver) -> None:
    topics = Topics()
    await apply(resolver, event("e0", "8:00", person("user_id:u1")), event("e2", "8:30", person("user_id:u2")))
    for event_id, who, role in (("e1", "u1", "editor"), ("e2", "u2", "owner")):
        seen = [person(f"user_id:{who}", "email:front@desk.example", traits={"name": who}), group("domain:a.example")]
        await apply(resolver, event(event_id, f"9:0{event_id[1]}", *seen, memberships=[Membership(0, 1, role, ended=False)]))
        await drain(resolver, topics, SHARDS)
    (survivor,) = {one["entity_id"] for one in topics.lines if one["data"].get("absorbed_id")}
    before = len(topics.lines)
    await say(resolver, Kind.BLOCK, "email:front@desk.example")
    await drain(resolver, topics, SHARDS)
    gone = [one for one in topics.lines[before:] if one["entity_id"] == survivor]
    assert {(one["event_id"], one["source"], one["occurred_at"]) for one in gone} == {(None, None, None)}
    assert [one["kind"] for one in gone] == ["entity.split", *["identifier.removed"] * 2, "trait.changed", "membership.changed"]
    assert [one["data"].get("new", one["data"].get("role")) for one in gone[-2:]] == ["u1", "editor"]
    again = [one for one in topics.lines[before:] if one["entity_id"] != survivor and one["entity_type"] == "person"]
    assert {one["event_id"] for one in again} == {"e2"}  # what is told anew was seen in it
