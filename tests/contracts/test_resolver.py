"""Who is who: what every resolver answers to evidence, whichever store keeps it."""

from __future__ import annotations

from typing import Any

from resolvers.identifier import Identifier, entity_id, identifier_digest
from resolvers.port import Resolver
from streams.events import Membership
from tests.histories import KEY, apply, at, documents, entities, event, group, person, values


def founded_by(entity_type: str, kind: str, value: str) -> str:
    """Write the id of the entity that an identifier founds."""
    prefix = {"person": "per", "group": "grp"}[entity_type]
    return entity_id(prefix, identifier_digest(KEY, Identifier(entity_type, kind, value)))


async def only(resolver: Resolver, entity_type: str = "person") -> dict[str, Any]:
    """Give the one living entity of a type."""
    (found,) = await entities(resolver, entity_type)
    return found


async def test_an_entity_is_written_with_all_that_was_seen(resolver: Resolver) -> None:
    await apply(
        resolver,
        event("e1", "9:05:30.250", person("user_id:u1", "email:Ann@X.example", traits={"name": "Ann", "tags": ["b", "a"]})),
    )
    both = (Identifier("person", "user_id", "u1"), Identifier("person", "email", "ann@x.example"))
    founder = min(identifier_digest(KEY, one) for one in both)
    listed = {"first_seen": at("9:05:30.250"), "last_seen": at("9:05:30.250")}
    found = await only(resolver)
    assert sorted(found.pop("identifiers"), key=lambda one: one["type"]) == [
        {"type": "email", "value": "ann@x.example", **listed},
        {"type": "user_id", "value": "u1", **listed},
    ]
    assert found == {
        "entity_id": entity_id("per", founder),
        "entity_type": "person",
        "status": "active",
        **listed,
        "identifier_count": 2,
        "traits": {"name": "Ann", "tags": ["b", "a"]},
        "states": {},
    }


async def test_an_identifier_is_written_with_its_entity(resolver: Resolver) -> None:
    await apply(resolver, event("e1", "9:05", person("email:ANN@x.example")))
    assert await resolver.identifier(Identifier("person", "email", "ann@x.example")) == {
        "entity_type": "person",
        "type": "email",
        "value": "ann@x.example",
        "entity_id": founded_by("person", "email", "ann@x.example"),
        "first_seen": at("9:05"),
        "last_seen": at("9:05"),
        "status": "active",
    }


async def test_a_shared_identifier_joins(resolver: Resolver) -> None:
    applied = await apply(
        resolver,
        event("e1", "9:00", person("device:phone", "user_id:u1")),
        event("e2", "9:01", person("device:laptop", "user_id:u1")),
    )
    assert values(await only(resolver)) == {"device:phone", "device:laptop", "user_id:u1"}
    assert applied.entity_ids[0] == applied.entity_ids[1]


async def test_participants_of_one_event_are_not_merged(resolver: Resolver) -> None:
    applied = await apply(resolver, event("e1", "9:00", person("email:from@x.example"), person("email:to@x.example")))
    assert len(await entities(resolver, "person")) == 2
    assert applied.entity_ids == ((founded_by("person", "email", "from@x.example"), founded_by("person", "email", "to@x.example")),)


async def test_the_same_value_of_two_entity_types_joins_nothing(resolver: Resolver) -> None:
    await apply(resolver, event("e1", "9:00", person("email:x.example"), group("domain:x.example")))
    assert [one["entity_type"] for one in await entities(resolver)].count("person") == 1
    assert len(await entities(resolver)) == 2


async def test_the_older_founders_id_survives_a_merge(resolver: Resolver) -> None:
    await apply(
        resolver,
        event("e1", "9:00", person("device:young")),
        event("e2", "8:00", person("device:old")),
        event("e3", "10:00", person("device:young", "device:old")),
    )
    old, young = founded_by("person", "device", "old"), founded_by("person", "device", "young")
    assert (await only(resolver))["entity_id"] == old
    assert await resolver.entity(young) == {"entity_id": young, "entity_type": "person", "status": "merged", "merged_into": old}


async def test_a_late_event_moves_the_founder(resolver: Resolver) -> None:
    await apply(resolver, event("e1", "8:00", person("device:first")), event("e2", "9:00", person("device:first", "device:second")))
    await apply(resolver, event("e3", "7:00", person("device:second")))
    first, second = founded_by("person", "device", "first"), founded_by("person", "device", "second")
    assert (await only(resolver))["entity_id"] == second
    merged = await resolver.entity(first)
    assert merged is not None
    assert merged["merged_into"] == second


async def test_a_founder_that_lost_to_a_late_event_returns_with_a_later_one(resolver: Resolver) -> None:
    await apply(resolver, event("e1", "8:00", person("device:a", "device:b")), event("e2", "7:30", person("device:a")))
    await apply(resolver, event("e3", "7:00", person("device:b")))
    await apply(resolver, event("e4", "6:00", person("device:a")))
    assert (await only(resolver))["entity_id"] == founded_by("person", "device", "a")
    merged = await resolver.entity(founded_by("person", "device", "b"))
    assert merged is not None
    assert merged["merged_into"] == founded_by("person", "device", "a")


async def test_an_identifier_that_never_founded_leads_to_its_entity(resolver: Resolver) -> None:
    await apply(resolver, event("e1", "8:00", person("device:a")), event("e2", "9:00", person("device:a", "device:b")))
    led = await resolver.entity(founded_by("person", "device", "b"))
    assert led is not None
    assert led["merged_into"] == founded_by("person", "device", "a")


async def test_one_link_merges_three_entities(resolver: Resolver) -> None:
    await apply(
        resolver,
        event("e1", "9:00", person("user_id:u1", "device:a")),
        event("e2", "9:01", person("user_id:u2", "device:b")),
        event("e3", "9:02", person("user_id:u3", "device:c")),
    )
    assert len(await entities(resolver)) == 3
    await apply(resolver, event("e4", "9:03", person("device:a", "device:b", "device:c")))
    found = await only(resolver)
    assert found["identifier_count"] == 6
    assert len(values(found)) == 6


async def test_a_chain_is_one_entity(resolver: Resolver) -> None:
    await apply(resolver, *(event(f"e{n}", f"9:{n:02}", person(f"device:d{n}", f"device:d{n + 1}")) for n in (5, 1, 3, 0, 2, 4)))
    found = await only(resolver)
    assert found["identifier_count"] == 7
    assert [one["first_seen"] for one in found["identifiers"]] == [at(f"9:{n:02}") for n in (0, 0, 1, 2, 3, 4, 5)]


async def test_blocked_values_connect_nothing_and_found_nothing(resolver: Resolver) -> None:
    applied = await apply(
        resolver,
        event("e1", "9:00", person("email:Shared@Office.example", "device:a")),
        event("e2", "9:01", person("email:shared@office.example", "device:b")),
        event("e3", "9:02", person("email:shared@office.example", "device:kiosk-7", "user_id:NULL")),
    )
    assert [values(one) for one in await entities(resolver)] == [{"device:a"}, {"device:b"}]
    assert applied.entity_ids[2] == ()
    assert await resolver.identifier(Identifier("person", "email", "shared@office.example")) is None


async def test_undeclared_types_connect_nothing(resolver: Resolver) -> None:
    applied = await apply(
        resolver,
        event("e1", "9:00", person("shoe_size:43", "device:a")),
        event("e2", "9:01", person("shoe_size:43", "device:b")),
        event("e3", "9:02", person("shoe_size:43")),
    )
    assert [values(one) for one in await entities(resolver)] == [{"device:a"}, {"device:b"}]
    assert applied.entity_ids[2] == ()


async def test_the_latest_trait_wins_whatever_the_order(resolver: Resolver) -> None:
    await apply(
        resolver,
        event("e2", "10:00", person("device:a", traits={"plan": "new", "name": "Ann"})),
        event("e1", "9:00", person("device:a", traits={"plan": "old", "city": "Bern"})),
    )
    assert (await only(resolver))["traits"] == {"city": "Bern", "name": "Ann", "plan": "new"}


async def test_traits_of_one_time_are_decided_by_source_then_event_id_then_value(resolver: Resolver) -> None:
    await apply(
        resolver,
        event("e9", "9:00", person("device:a", traits={"by_source": 9}), source="a"),
        event("e1", "9:00", person("device:a", traits={"by_source": 1}), source="b"),
        event("e9", "9:01", person("device:a", traits={"by_event": 9})),
        event("e10", "9:01", person("device:a", traits={"by_event": 10})),
        event("e1", "9:02", person("device:a", traits={"by_value": "b"}), person("device:a", traits={"by_value": "a"})),
    )
    assert (await only(resolver))["traits"] == {"by_event": 9, "by_source": 1, "by_value": "b"}


async def test_text_is_compared_by_bytes_not_by_the_servers_locale(resolver: Resolver) -> None:
    await apply(
        resolver,
        event("a", "9:00", person("device:a", traits={"n": "small"})),
        event("B", "9:00", person("device:a", traits={"n": "big"})),
        event("é", "9:00", person("device:a", traits={"n": "accent"})),
        event("z", "9:00", person("device:a", traits={"n": "zet"})),
    )
    assert (await only(resolver))["traits"] == {"n": "accent"}


async def test_traits_of_merged_entities_are_folded(resolver: Resolver) -> None:
    await apply(
        resolver,
        event("e1", "9:00", person("device:a", traits={"name": "A", "plan": "free"})),
        event("e2", "9:01", person("device:b", traits={"name": "B", "city": "Bern"})),
        event("e3", "9:02", person("device:a", "device:b")),
    )
    assert (await only(resolver))["traits"] == {"city": "Bern", "name": "B", "plan": "free"}


async def test_trait_values_come_back_as_they_were(resolver: Resolver) -> None:
    odd = {
        "empty list": [],
        "empty object": {},
        "long": 12345678901234567,
        "longer": 2**70,
        "half": 0.5,
        "no": False,
        "text": "Zoë \n\u0000",
        "deep": {"b": [{}]},
    }
    await apply(resolver, event("e1", "9:00", person("device:a", traits=odd)))
    assert (await only(resolver))["traits"] == odd


async def test_long_and_foreign_values_come_back_as_they_were(resolver: Resolver) -> None:
    value = "ü" * 300
    await apply(resolver, event("e1", "9:00", person(f"device:{value}", "device:a:b:c")))
    assert values(await only(resolver)) == {f"device:{value}", "device:a:b:c"}
    assert await resolver.identifier(Identifier("person", "device", "a:b:c")) is not None


async def test_the_first_time_is_exact_and_the_last_kept_to_the_hour(resolver: Resolver) -> None:
    await apply(
        resolver,
        event("e2", "10:59:59.999", person("device:a")),
        event("e1", "9:30:00.001", person("device:a")),
        event("e3", "9:45", person("device:a")),
    )
    found = await only(resolver)
    assert (found["first_seen"], found["last_seen"]) == (at("9:30:00.001"), at("10:00"))


async def test_a_link_gives_its_times_to_all_its_identifiers(resolver: Resolver) -> None:
    await apply(resolver, event("e1", "9:00", person("user_id:u", "device:a")), event("e2", "12:10", person("device:a")))
    by_value = {one["value"]: one for one in (await only(resolver))["identifiers"]}
    assert by_value["a"]["last_seen"] == at("12:00")
    assert by_value["u"]["last_seen"] == at("9:00")


async def test_times_before_the_epoch_are_times(resolver: Resolver) -> None:
    old = event("e1", "9:00", person("device:a"))
    old.occurred_at = "1895-05-12T10:20:30.400Z"
    later = event("e2", "9:00", person("device:a"))
    later.occurred_at = "1895-05-12T12:20:30.400Z"
    await apply(resolver, old, later)
    found = await only(resolver)
    assert (found["first_seen"], found["last_seen"]) == ("1895-05-12T10:20:30.400Z", "1895-05-12T12:00:00.000Z")


async def test_an_unknown_identifier_or_id_is_none(resolver: Resolver) -> None:
    await apply(resolver, event("e1", "9:00", person("device:a")))
    assert await resolver.identifier(Identifier("person", "device", "b")) is None
    assert await resolver.entity(founded_by("person", "device", "b")) is None
    assert await resolver.entity("nonsense") is None
    assert await resolver.entity("per_nonsense") is None


async def test_a_document_lists_the_oldest_identifiers_beside_their_count(short: Resolver) -> None:
    await apply(short, *(event(f"e{n}", f"9:{n:02}", person("user_id:u", f"device:{n}")) for n in (4, 6, 3, 7, 5)))
    found = await only(short)
    assert found["identifier_count"] == 6
    assert [one["value"] for one in found["identifiers"] if one["type"] == "device"] == ["3", "4"]


async def test_a_late_event_brings_an_identifier_onto_a_full_list(short: Resolver) -> None:
    await apply(short, *(event(f"e{n}", f"9:{n:02}", person("user_id:u", f"device:{n}")) for n in range(10, 20)))
    await apply(short, event("late", "9:01", person("device:19")), event("later", "9:02", person("device:18")))
    found = await only(short)
    assert found["identifier_count"] == 11
    assert [one["value"] for one in found["identifiers"]][:2] == ["19", "18"]
    assert found["entity_id"] == founded_by("person", "device", "19")


async def memberships(resolver: Resolver) -> list[dict[str, Any]]:
    return [document for (topic, _), document in (await documents(resolver)).items() if topic == "memberships"]


async def test_a_membership_tells_the_latest_role(resolver: Resolver) -> None:
    def member(event_id: str, when: str, role: str | None) -> Any:
        return event(event_id, when, person("user_id:u"), group("domain:x.example"), memberships=[Membership(0, 1, role)])

    await apply(resolver, member("e2", "10:30", "admin"), member("e1", "9:00", "guest"))
    assert await memberships(resolver) == [
        {
            "person_id": founded_by("person", "user_id", "u"),
            "group_id": founded_by("group", "domain", "x.example"),
            "role": "admin",
            "since": at("10:30"),
            "until": None,
            "last_seen": at("10:30"),
            "source": "test",
        }
    ]


async def test_an_ended_membership_tells_since_when_and_until_when(resolver: Resolver) -> None:
    def member(event_id: str, when: str, *, ended: bool) -> Any:
        return event(
            event_id,
            when,
            person("user_id:u"),
            group("domain:x.example"),
            memberships=[Membership(0, 1, None if ended else "owner", ended)],
        )

    await apply(resolver, member("e2", "12:30", ended=True), member("e1", "9:00", ended=False), member("e0", "8:00", ended=True))
    (found,) = await memberships(resolver)
    assert (found["role"], found["since"], found["until"]) == ("owner", at("9:00"), at("12:30"))
    await apply(resolver, member("e3", "13:00", ended=False))
    (found,) = await memberships(resolver)
    assert (found["since"], found["until"]) == (at("13:00"), None)


async def test_memberships_follow_merges_on_both_sides(resolver: Resolver) -> None:
    def member(event_id: str, when: str, who: str, where: str, role: str) -> Any:
        return event(event_id, when, person(who), group(where), memberships=[Membership(0, 1, role)])

    await apply(resolver, member("e1", "9:00", "device:a", "shop:s1", "first"), member("e2", "10:00", "device:b", "shop:s2", "second"))
    assert len(await memberships(resolver)) == 2
    await apply(resolver, event("e3", "11:00", person("device:b", "device:a"), group("shop:s1", "shop:s2")))
    (found,) = await memberships(resolver)
    assert found["person_id"] == founded_by("person", "device", "a")
    assert found["group_id"] == founded_by("group", "shop", "s1")
    assert (found["role"], found["since"]) == ("second", at("10:00"))


async def test_a_membership_of_somebody_without_a_usable_identifier_is_none(resolver: Resolver) -> None:
    await apply(resolver, event("e1", "9:00", person("device:null"), group("shop:s1"), memberships=[Membership(0, 1)]))
    assert await memberships(resolver) == []
