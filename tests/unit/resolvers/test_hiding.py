"""Hiding: which values leave as digests, in every record that names them, and how they are read back."""

from __future__ import annotations

from typing import Any

import pytest

from resolvers.hiding import hiding, told_digest
from resolvers.identifier import Identifier, identifier_digest
from resolvers.port import OutputRecord
from resolvers.rules import Rules
from streams.settings import EntitySettings, IdentifierSettings

KEY = b"a key for tests"


def rules_of(*, hashed: bool) -> Rules:
    """Make rules under which addresses are hashed, or are not."""
    identifiers = {"user_id": IdentifierSettings(), "email": IdentifierSettings(hashed=hashed)}
    return Rules.from_settings({"person": EntitySettings(identifiers=identifiers)}, KEY)


RULES = rules_of(hashed=True)
ANN = Identifier("person", "email", "ann@x.example")
DIGEST = identifier_digest(KEY, ANN)
HIDDEN = f"person:email:{DIGEST.hex()}"
SHOWN = {"type": "email", "value": DIGEST.hex()}
PLAIN = {"type": "email", "value": "ann@x.example"}
USER = {"type": "user_id", "value": "ann@x.example"}


def line(kind: str, data: dict[str, Any]) -> OutputRecord:
    """Make a record of the timeline."""
    return OutputRecord("timeline", "per_x", {"entity_type": "person", "kind": kind, "data": data})


def entity(*identifiers: dict[str, Any]) -> OutputRecord:
    """Make an entity with a trait that looks like an identifier."""
    return OutputRecord("entities", "per_x", {"entity_type": "person", "identifiers": list(identifiers), "traits": {"email": PLAIN}})


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (OutputRecord("identifiers", str(ANN), {**PLAIN, "x": 1}), OutputRecord("identifiers", HIDDEN, {**SHOWN, "x": 1})),
        (OutputRecord("identifiers", str(ANN), None), OutputRecord("identifiers", HIDDEN, None)),
        (OutputRecord("identifiers", HIDDEN, None, as_told=True), OutputRecord("identifiers", HIDDEN, None, as_told=True)),
        (entity(PLAIN, USER), entity(SHOWN, USER)),
        (line("identifier.added", {**PLAIN, "first_seen": "t"}), line("identifier.added", {**SHOWN, "first_seen": "t"})),
        (line("entity.created", {"founder": PLAIN}), line("entity.created", {"founder": SHOWN})),
        (line("entity.merged", {"link": [USER, PLAIN]}), line("entity.merged", {"link": [USER, SHOWN]})),
        (line("merge.refused", {"identifiers": [PLAIN]}), line("merge.refused", {"identifiers": [SHOWN]})),
    ],
)
def test_every_mention_of_a_hashed_type_is_hidden(told: OutputRecord, shown: OutputRecord) -> None:
    hide = hiding(RULES)
    assert hide is not None
    assert hide(told) == shown


@pytest.mark.parametrize(
    "told",
    [
        OutputRecord("entities", "per_x", {"entity_type": "person", "status": "merged", "merged_into": "per_y"}),
        OutputRecord("entities", "per_x", None),
        OutputRecord("memberships", "per_x:grp_y", {"role": "ann@x.example"}),
        line("trait.changed", {"trait": "link", "old": None, "new": [PLAIN]}),
        line("entity.merged", {"merged_into": "per_y"}),
    ],
)
def test_all_else_stays(told: OutputRecord) -> None:
    hide = hiding(RULES)
    assert hide is not None
    assert hide(told) == told


def test_nothing_is_asked_where_nothing_is_hidden() -> None:
    assert hiding(rules_of(hashed=False)) is None


def test_whether_a_type_is_hashed_is_a_rule_of_the_space() -> None:
    assert rules_of(hashed=False).fingerprint != RULES.fingerprint


@pytest.mark.parametrize("value", [DIGEST.hex(), "ann@x.example"])
def test_what_a_topic_names_is_known_by_its_digest(value: str) -> None:
    assert told_digest(RULES, Identifier("person", "email", value)) == DIGEST


def test_a_value_that_only_looks_like_a_digest_is_one_of_its_type() -> None:
    like = Identifier("person", "user_id", "0" * 32)
    assert told_digest(RULES, like) == identifier_digest(KEY, like)
    odd = Identifier("person", "email", "z" * 32)
    assert told_digest(RULES, odd) == identifier_digest(KEY, odd)
