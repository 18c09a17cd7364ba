"""Documents: views in, what the topics say out."""

from __future__ import annotations

import pytest

from resolvers.entity import (
    EntityView,
    Fact,
    MembershipView,
    SeenIdentifier,
    entity_document,
    identifier_document,
    membership_document,
    merged_document,
)
from resolvers.identifier import Identifier

NINE = 1_714_554_000_000  # 2024-05-01T09:00:00Z
HOUR = 3_600_000
FIRST = Fact(NINE, "crm", "e1")
EMAIL = SeenIdentifier(Identifier("person", "email", "a@b.example"), b"1" * 16, NINE + 5, NINE // HOUR + 2, FIRST)


def test_an_entity_lists_its_identifiers_and_traits() -> None:
    view = EntityView(
        "per_a", "person", NINE + 5, NINE // HOUR + 3, (EMAIL,), 12, {"b": Fact(NINE, "", "", b'{"x":[]}'), "a": Fact(NINE, "", "", b"1")}
    )
    assert entity_document(view) == {
        "entity_id": "per_a",
        "entity_type": "person",
        "status": "active",
        "first_seen": "2024-05-01T09:00:00.005Z",
        "last_seen": "2024-05-01T12:00:00.000Z",
        "identifiers": [
            {"type": "email", "value": "a@b.example", "first_seen": "2024-05-01T09:00:00.005Z", "last_seen": "2024-05-01T11:00:00.000Z"}
        ],
        "identifier_count": 12,
        "traits": {"a": 1, "b": {"x": []}},
        "states": {},
    }


def test_an_identifier_names_its_entity() -> None:
    assert identifier_document(EMAIL, "per_a") == {
        "entity_type": "person",
        "type": "email",
        "value": "a@b.example",
        "entity_id": "per_a",
        "first_seen": "2024-05-01T09:00:00.005Z",
        "last_seen": "2024-05-01T11:00:00.000Z",
        "status": "active",
    }


def test_an_ended_id_names_the_entity_that_it_became() -> None:
    assert merged_document("per_b", "person", "per_a") == {
        "entity_id": "per_b",
        "entity_type": "person",
        "status": "merged",
        "merged_into": "per_a",
    }


def test_a_membership_tells_the_latest_sighting() -> None:
    latest = Fact(NINE + 90_000, "crm", "e1", b"owner")
    assert membership_document(MembershipView("per_a", "grp_b", latest, ended=False, active=latest)) == {
        "person_id": "per_a",
        "group_id": "grp_b",
        "role": "owner",
        "since": "2024-05-01T09:01:30.000Z",
        "until": None,
        "last_seen": "2024-05-01T09:01:30.000Z",
        "source": "crm",
    }


@pytest.mark.parametrize(
    ("active", "role", "since"),
    [
        (None, None, "2024-05-01T11:00:00.000Z"),
        (Fact(NINE, "crm", "e1", b"owner"), "owner", "2024-05-01T09:00:00.000Z"),
        (Fact(NINE, "crm", "e1"), None, "2024-05-01T09:00:00.000Z"),
    ],
)
def test_an_ended_membership_tells_until_when_and_what_was_before(active: Fact | None, role: str | None, since: str) -> None:
    ending = Fact(NINE + 2 * HOUR, "crm", "e2")
    found = membership_document(MembershipView("per_a", "grp_b", ending, ended=True, active=active))
    assert (found["role"], found["since"], found["until"]) == (role, since, "2024-05-01T11:00:00.000Z")


def test_facts_are_ordered_by_time_source_event_and_value() -> None:
    ordered = [Fact(1, "b", "b", b"b"), Fact(2, "a", "b", b"b"), Fact(2, "b", "a", b"b"), Fact(2, "b", "b", b"a"), Fact(2, "b", "b", b"b")]
    assert sorted(set(ordered)) == ordered
