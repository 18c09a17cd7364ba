"""Guards: what every resolver keeps apart, whatever came first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from resolvers.identifier import Identifier, entity_id, identifier_digest
from resolvers.memory import MemoryResolver
from resolvers.port import Resolver
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.scripts import Bounds
from streams.events import Event, Membership
from streams.settings import EntitySettings, HubSettings, IdentifierSettings
from tests.histories import KEY, batch, documents, entities, event, group, person, values
from tests.telling import Topics, check_told, drain

SHARDS = 2
HUB = HubSettings(of="user_id", over=2)
RULES = Rules.from_settings(
    {
        "person": EntitySettings(
            identifiers={"user_id": IdentifierSettings(limit=1), "email": IdentifierSettings(), "device": IdentifierSettings(hub=HUB)},
            size=6,
        ),
        "group": EntitySettings(identifiers={"domain": IdentifierSettings()}),
    },
    KEY,
)


@pytest.fixture(params=["memory", "redis"])
async def resolver(request: pytest.FixtureRequest) -> AsyncIterator[Resolver]:
    """Give a resolver with one user id to a person, devices of at most two, and six identifiers at most."""
    if request.param == "memory":
        yield MemoryResolver(RULES, SHARDS)
        return
    graph = RedisResolver(request.getfixturevalue("redis_url"), RULES, f"guards-{uuid4().hex}", SHARDS, 16, Bounds(inline=1, patience=0))
    await graph.open()
    yield graph
    await graph.drop()
    await graph.close()


async def arrive(resolver: Resolver, *seen: Event) -> list[str | None]:
    """Apply events, each in a batch of its own; gives the id of each one's first participant."""
    found = []
    for one in seen:
        position = await resolver.position("events", 0)
        applied = await resolver.apply(batch([one], position.offset, rules=RULES))
        found.append(applied.entity_ids[0][0] if applied.entity_ids[0] else None)
    return found


async def parts(resolver: Resolver) -> set[frozenset[str]]:
    """Give the living persons by their identifiers."""
    return {frozenset(values(one)) for one in await entities(resolver, "person")}


def named(kind: str, value: str) -> str:
    """Write the id of the person that an identifier founds."""
    return entity_id("per", identifier_digest(KEY, Identifier("person", kind, value)))


async def test_two_users_of_one_email_stay_two(resolver: Resolver) -> None:
    await arrive(resolver, event("e1", "9:00", person("user_id:u1", "email:a")), event("e2", "9:05", person("user_id:u2", "email:a")))
    assert await parts(resolver) == {frozenset({"user_id:u1", "email:a"}), frozenset({"user_id:u2"})}


async def test_the_older_edge_holds_though_it_came_last(resolver: Resolver) -> None:
    await arrive(resolver, event("e1", "9:00", person("user_id:u1", "email:a")), event("e2", "8:00", person("user_id:u2", "email:a")))
    assert await parts(resolver) == {frozenset({"user_id:u1"}), frozenset({"user_id:u2", "email:a"})}


async def test_a_device_of_three_users_connects_nobody_any_more(resolver: Resolver) -> None:
    seen = [event(f"e{n}", f"9:0{n}", person(f"email:m{n}", f"user_id:u{n}", "device:d")) for n in (1, 2, 3)]
    await arrive(resolver, *seen)
    assert await parts(resolver) == {frozenset({f"email:m{n}", f"user_id:u{n}"}) for n in (1, 2, 3)}
    assert await resolver.identifier(Identifier("person", "device", "d")) is None


async def test_an_id_that_a_hub_founded_is_split_and_names_who_came_of_it(resolver: Resolver) -> None:
    topics = Topics()
    await arrive(resolver, event("e0", "8:00", person("device:d", traits={"colour": "red"})))
    await arrive(resolver, event("e1", "9:01", person("user_id:u1", "device:d")))
    await drain(resolver, topics, SHARDS)
    assert topics.documents["entities", named("device", "d")]["status"] == "active"
    await arrive(resolver, *(event(f"e{n}", f"9:0{n}", person(f"user_id:u{n}", "device:d")) for n in (2, 3)))
    found = await documents(resolver)
    await drain(resolver, topics, SHARDS)
    ended = topics.documents["entities", named("device", "d")]
    assert (ended["status"], ended["successors"]) == ("split", sorted(named("user_id", f"u{n}") for n in (1, 2, 3)))
    assert await resolver.entity(named("device", "d")) == ended
    assert ("identifiers", "person:device:d") not in topics.documents
    check_told(found, topics, 1_000)
    split = [one for one in topics.lines if one["kind"] == "entity.split"]
    assert named("device", "d") in {one["entity_id"] for one in split}


async def test_who_only_has_a_hub_is_nobody(resolver: Resolver) -> None:
    await arrive(resolver, *(event(f"e{n}", f"9:0{n}", person(f"user_id:u{n}", "device:d")) for n in (1, 2, 3)))
    await documents(resolver)
    assert await arrive(resolver, event("e4", "9:04", person("device:d", traits={"name": "nobody"}))) == [None]
    assert len(await parts(resolver)) == 3


async def test_a_part_too_large_falls_apart_at_its_weakest_type(resolver: Resolver) -> None:
    await arrive(
        resolver,
        *(event(f"e{n}", f"9:0{n}", person(f"email:a{n}", f"email:a{n + 1}")) for n in range(3)),
        *(event(f"f{n}", f"9:1{n}", person(f"email:b{n}", f"email:b{n + 1}")) for n in range(2)),
        event("g", "9:20", person("email:a0", "device:x")),
        event("h", "9:21", person("email:b0", "device:x")),
    )
    assert await parts(resolver) == {
        frozenset({f"email:a{n}" for n in range(4)}),
        frozenset({f"email:b{n}" for n in range(3)}),
        frozenset({"device:x"}),
    }


async def test_traits_and_memberships_go_with_their_links(resolver: Resolver) -> None:
    topics = Topics()
    first = event(
        "e1",
        "9:00",
        person("user_id:u1", "email:a", traits={"name": "Ann"}),
        group("domain:x.example"),
        memberships=[Membership(0, 1, "owner")],
    )
    await arrive(resolver, first)
    await drain(resolver, topics, SHARDS)
    second = event(
        "e2",
        "8:00",
        person("user_id:u2", "email:a", traits={"name": "Bob"}),
        group("domain:y.example"),
        memberships=[Membership(0, 1, "guest")],
    )
    await arrive(resolver, second)
    found = await documents(resolver)
    await drain(resolver, topics, SHARDS)
    check_told(found, topics, 1_000)
    by_user = {next(iter(values(one) & {"user_id:u1", "user_id:u2"})): one for one in await entities(resolver, "person")}
    assert {user: one["traits"] for user, one in by_user.items()} == {"user_id:u1": {"name": "Ann"}, "user_id:u2": {"name": "Bob"}}
    roles = {one["person_id"]: one["role"] for (topic, _), one in found.items() if topic == "memberships"}
    assert roles == {by_user["user_id:u1"]["entity_id"]: "owner", by_user["user_id:u2"]["entity_id"]: "guest"}


async def test_an_id_given_out_while_its_case_was_open_is_on_the_topic(resolver: Resolver) -> None:
    topics = Topics()
    ids = await arrive(
        resolver,
        event("e1", "9:00", person("user_id:u1", "email:a")),
        event("e2", "9:05", person("user_id:u2", "email:a")),
        event("e3", "9:06", person("user_id:u2", "email:b")),
        event("e4", "7:00", person("email:b")),
    )
    await documents(resolver)
    await drain(resolver, topics, SHARDS)
    assert {topics.survivor(one) for one in ids if one} == {
        document["entity_id"] for (topic, _), document in topics.living().items() if topic == "entities"
    }


async def test_what_a_guard_refuses_is_told_once(resolver: Resolver) -> None:
    topics = Topics()
    await arrive(resolver, event("e1", "9:00", person("user_id:u1", "email:a")), event("e2", "9:05", person("user_id:u2", "email:a")))
    await documents(resolver)
    await drain(resolver, topics, SHARDS)
    await arrive(resolver, event("e3", "9:10", person("user_id:u2", "email:a")), event("e4", "9:11", person("email:b", "email:a")))
    await documents(resolver)
    await drain(resolver, topics, SHARDS)
    refused = [(one["event_id"], one["data"]) for one in topics.lines if one["kind"] == "merge.refused"]
    ((event_id, data),) = refused
    assert (event_id, data["guard"]) == ("e2", "limit")
    assert sorted(data["identifiers"], key=lambda one: one["type"]) == [{"type": "email", "value": "a"}, {"type": "user_id", "value": "u2"}]
