"""Rules: what of the settings decides who is who, and how the rest is filled in."""

from __future__ import annotations

from typing import Any

import pytest

from resolvers.identifier import Identifier, identifier_digest
from resolvers.rules import Rules, default_prefix
from streams.settings import EntitySettings

KEY = b"key"


def rules(**person: Any) -> Rules:
    """Make rules of one entity type, persons."""
    return Rules.from_settings({"person": EntitySettings.model_validate({"identifiers": {"user_id": {}, "email": {}}} | person)}, KEY)


def test_types_are_as_strong_as_they_are_declared_early() -> None:
    found = rules(identifiers={"c": {}, "a": {}, "b": {}}).entities["person"].identifiers
    assert [(kind, one.priority) for kind, one in found.items()] == [("c", 1), ("a", 2), ("b", 3)]


def test_a_given_priority_decides() -> None:
    found = (
        rules(identifiers={"device": {"priority": 9}, "user_id": {"priority": 1}, "email": {"priority": 2}}).entities["person"].identifiers
    )
    assert [(kind, one.priority) for kind, one in found.items()] == [("user_id", 1), ("email", 2), ("device", 9)]


def test_by_default_every_weaker_type_has_the_hub_rule_of_the_strongest() -> None:
    found = rules(identifiers={"email": {"priority": 2}, "user_id": {"priority": 1}, "device": {"hub": {"of": "email", "over": 2}}})
    assert {kind: one.hub for kind, one in found.entities["person"].identifiers.items()} == {
        "user_id": None,
        "email": ("user_id", 5),
        "device": ("email", 2),
    }


def test_ids_have_the_prefix_that_is_declared_or_a_default() -> None:
    assert (default_prefix("person"), default_prefix("group"), default_prefix("household")) == ("per", "grp", "hou")
    assert (rules(prefix="hum").prefix("person"), rules().prefix("person"), rules().prefix("vehicle")) == ("hum", "per", "veh")


def test_a_usable_value_is_normalised_and_digested() -> None:
    found = rules(identifiers={"user_id": {}, "email": {"normalise": "email"}}).usable("person", "email", " Ann@X.example ")
    ann = Identifier("person", "email", "ann@x.example")
    assert found is not None
    assert (found.identifier, found.digest, found.priority) == (ann, identifier_digest(KEY, ann), 2)


@pytest.mark.parametrize(
    ("entity_type", "kind", "raw"),
    [
        ("household", "email", "a@b.example"),
        ("person", "shoe_size", "43"),
        ("person", "email", "  "),
        ("person", "email", ""),
        ("person", "email", "N/A"),
        ("person", "email", "info@x.example"),
        ("person", "user_id", "bot-7"),
    ],
)
def test_undeclared_blank_and_blocked_values_are_not_usable(entity_type: str, kind: str, raw: str) -> None:
    strict = rules(identifiers={"user_id": {"blocked": ["re:^bot"]}, "email": {"normalise": "email"}}, blocked=["info@X.example"])
    for _ in range(2):
        assert strict.usable(entity_type, kind, raw) is None


def test_a_value_blocked_for_one_type_is_usable_for_another() -> None:
    found = rules(identifiers={"user_id": {"blocked": ["7"]}, "email": {}})
    assert found.usable("person", "user_id", "7") is None
    assert found.usable("person", "email", "7") is not None


def test_the_fingerprint_is_the_same_for_the_same_meaning() -> None:
    plain = rules(identifiers={"user_id": {}, "email": {}}, blocked=["b", "a"])
    spelled = rules(
        prefix="per",
        size=1000,
        blocked=["a", "b"],
        identifiers={"email": {"priority": 2, "normalise": "exact", "hub": {"of": "user_id", "over": 5}}, "user_id": {"priority": 1}},
    )
    assert plain.fingerprint == spelled.fingerprint


@pytest.mark.parametrize(
    "changed",
    [
        {"prefix": "hum"},
        {"size": 10},
        {"blocked": ["a"]},
        {"identifiers": {"email": {}, "user_id": {}}},
        {"identifiers": {"user_id": {}}},
        {"identifiers": {"user_id": {}, "email": {}, "device": {}}},
        {"identifiers": {"user_id": {}, "email": {"normalise": "email"}}},
        {"identifiers": {"user_id": {}, "email": {"normalise": "phone", "region": "CH"}}},
        {"identifiers": {"user_id": {}, "email": {"limit": 1}}},
        {"identifiers": {"user_id": {}, "email": {"hub": {"of": "user_id", "over": 4}}}},
        {"identifiers": {"user_id": {}, "email": {"blocked": ["a"]}}},
    ],
    ids=str,
)
def test_the_fingerprint_changes_with_what_decides(changed: dict[str, Any]) -> None:
    assert rules(**changed).fingerprint != rules().fingerprint


def test_the_fingerprint_does_not_tell_the_key() -> None:
    declared = {"person": EntitySettings.model_validate({"identifiers": {"user_id": {}}})}
    assert Rules.from_settings(declared, b"one").fingerprint == Rules.from_settings(declared, b"two").fingerprint
