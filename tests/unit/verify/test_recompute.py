from __future__ import annotations

from itertools import permutations
from typing import Any

import orjson
import pytest

from streams.settings import EntitySettings, IdentifierSettings, Settings
from streams.verify.expected import Expected
from streams.verify.recompute import recompute
from tests.unit.verify.pipeline import event, group, person
from tests.unit.verify.story import EVENTS, SETTINGS, id_of, story


def entities(expected: Expected) -> dict[str, dict[str, Any]]:
    return dict(expected.entity_documents())


def test_identifiers_that_were_seen_together_are_one_entity() -> None:
    expected = story()
    ann = entities(expected)[id_of(expected, "person:user_id:ann")]
    assert [one["value"] for one in ann["identifiers"]][2:] == ["ann@new.example"]
    assert {one["value"] for one in ann["identifiers"]} == {"ann", "ann@old.example", "ann@new.example"}
    assert ann["identifier_count"] == 3
    assert len(expected.entities) == 4


def test_first_seen_is_exact_and_last_seen_is_the_hour() -> None:
    expected = story()
    ann = entities(expected)[id_of(expected, "person:user_id:ann")]
    assert (ann["first_seen"], ann["last_seen"]) == ("2024-03-01T10:00:00.000Z", "2024-05-01T12:00:00.000Z")


def test_the_latest_trait_holds() -> None:
    expected = story()
    assert entities(expected)[id_of(expected, "person:user_id:ann")]["traits"] == {"name": "Ann B."}


def test_the_founder_is_the_oldest_identifier_and_then_the_smallest_digest() -> None:
    expected = story()
    ann = next(entity for founder, entity in expected.entities.items() if len(entity.members) == 3)
    assert ann.members[:2] == sorted(ann.members[:2], key=lambda one: expected.identifiers[one].digest)


def test_order_and_repeats_change_nothing() -> None:
    documents = {
        orjson.dumps(sorted([*one.entity_documents(), *one.identifier_documents(), *one.membership_documents()], key=str))
        for order in permutations(EVENTS)
        for one in [recompute([*order, *order[:2]], SETTINGS)]
    }
    assert len(documents) == 1


def test_memberships_join_the_living_entities() -> None:
    expected = story()
    pairs = {(id_of(expected, "person:user_id:ann"), "owner"), (id_of(expected, "person:email:bob@new.example"), "user")}
    assert {(one["person_id"], one["role"]) for _, one in expected.membership_documents()} == pairs
    assert {one["group_id"] for _, one in expected.membership_documents()} == {id_of(expected, "group:domain:new.example")}


def test_an_ended_membership_keeps_since_and_role_of_the_sighting_before() -> None:
    together = person("user_id:ann"), group("domain:x.example")
    expected = recompute(
        [
            event(1, "2024-01-01T00:00:00Z", *together, memberships=[{"member": 0, "group": 1, "role": "owner"}]),
            event(2, "2024-02-01T00:30:00Z", *together, memberships=[{"member": 0, "group": 1, "ended": True}], source="web"),
        ],
        SETTINGS,
    )
    [(_, document)] = expected.membership_documents()
    assert {name: document[name] for name in ("role", "since", "until", "last_seen", "source")} == {
        "role": "owner",
        "since": "2024-01-01T00:00:00.000Z",
        "until": "2024-02-01T00:30:00.000Z",
        "last_seen": "2024-02-01T00:00:00.000Z",
        "source": "web",
    }


def test_a_chain_of_any_length_is_one_entity() -> None:
    links = [event(one, "2024-01-01T00:00:00Z", person(f"user_id:u{one}", f"user_id:u{one + 1}")) for one in range(3_000)]
    [(_, document)] = recompute(links, SETTINGS).entity_documents()
    assert (document["identifier_count"], len(document["identifiers"])) == (3_001, 1_000)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{",
        b"[]",
        b'{"event_id": 1, "source": "s", "name": "n", "occurred_at": "2024-01-01T00:00:00Z"}',
        event(1, "yesterday", person("user_id:a")),
        event(1, "2024-01-01T00:00:00", person("user_id:a")),
        event(1, "2024-01-01T00:00:00Z", person("user_id:a"), memberships=[{"member": 0, "group": 1}]),
        event(1, "2024-01-01T00:00:00Z", person(*(f"user_id:{one}" for one in range(1_001)))),
    ],
)
def test_what_the_pipeline_rejects_is_left_out_and_counted(value: bytes | None) -> None:
    expected = recompute([value], SETTINGS)
    assert (expected.counts.events, expected.counts.rejected, expected.identifiers, expected.participants) == (1, 1, [], {})


def test_events_without_a_usable_identifier_are_counted() -> None:
    assert story().counts.without_identifier == 1


@pytest.mark.parametrize(
    "junk", ["", " ", "0", "00-00", "N/A", '"null"', "'Undefined'", "[object Object]", "Test@Example.com", "VIP", "bot-7"]
)
def test_blocked_values_connect_nothing(junk: str) -> None:
    entity = EntitySettings(identifiers={"id": IdentifierSettings(blocked=["re:^bot-[0-9]+$"])}, blocked=["vip"])
    expected = recompute([event(1, "2024-01-01T00:00:00Z", person("id:a", f"id:{junk}"))], Settings(entities={"person": entity}))
    assert [one.key for one in expected.identifiers] == ["person:id:a"]


def test_in_a_command_what_is_null_is_absent() -> None:
    named = {"type": "user_id", "value": "ann", "entity_type": None, "digest": None}
    said = {"command_id": "c1", "command": "block", "identifiers": [named], "issued_at": "2024-05-01T00:00:00Z", "reason": None}
    expected = recompute(EVENTS, SETTINGS, [(orjson.dumps(said), 1_714_557_600_000)])
    assert len(expected.commanded.latest) == 1
    assert expected.commanded.refused == 0


def test_differing_events_of_one_id_leave_every_participant_they_name() -> None:
    first, second = (event(1, "2024-01-01T00:00:00Z", person(f"user_id:{one}")) for one in "ab")
    assert recompute([first, second, first], SETTINGS).participants == {
        b"crm:e1:0": {((0,), "", 1_704_067_200_000), ((1,), "", 1_704_067_200_000)}
    }


def test_a_long_role_of_a_membership_is_cut() -> None:
    seen = event(
        1,
        "2024-01-01T00:00:00Z",
        person("user_id:ann"),
        group("domain:x.example"),
        memberships=[{"member": 0, "group": 1, "role": "r" * 5_000}],
    )
    (found,) = (one for _, one in recompute([seen], SETTINGS).membership_documents())
    assert found["role"] == "r" * 1_000 + "\u2026"
