"""Identifiers: digests, and the ids made of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvers.identifier import Identifier, entity_id, founder_of, identifier_digest, later_digest, link_digest

EMAIL = Identifier("person", "email", "a@b.example")


def test_the_digest_is_the_same_everywhere_and_for_ever() -> None:
    assert identifier_digest(b"key", EMAIL).hex() == "10e02186b9e2359108173d4f9d53a71e"


@pytest.mark.parametrize(
    "other",
    [
        Identifier("group", "email", "a@b.example"),
        Identifier("person", "mail", "a@b.example"),
        Identifier("person", "email", "A@b.example"),
        Identifier("person", "", "emaila@b.example"),
    ],
)
def test_another_identifier_has_another_digest(other: Identifier) -> None:
    assert identifier_digest(b"key", other) != identifier_digest(b"key", EMAIL)


def test_another_key_or_generation_gives_another_digest() -> None:
    first = identifier_digest(b"key", EMAIL)
    later = {later_digest(key, first, cutoff) for key in (b"key", b"other") for cutoff in (0, 1)}
    assert len({first, identifier_digest(b"other", EMAIL), *later}) == 6


def test_an_identifier_is_written_as_the_key_of_its_topic() -> None:
    assert str(Identifier("person", "device", "a:b")) == "person:device:a:b"


def test_identifiers_are_ordered_by_entity_type_type_and_value() -> None:
    ordered = [
        Identifier("group", "z", "z"),
        Identifier("person", "a", "z"),
        Identifier("person", "b", "a"),
        Identifier("person", "b", "b"),
    ]
    assert sorted(set(ordered)) == ordered


def test_a_value_that_is_no_text_has_a_digest() -> None:
    assert len(identifier_digest(b"key", Identifier("person", "email", "\ud800"))) == 16


def test_a_link_is_the_set_of_its_identifiers() -> None:
    assert link_digest((b"a" * 16, b"b" * 16)) == link_digest((b"b" * 16, b"a" * 16))
    assert link_digest((b"a" * 16,)) != link_digest((b"a" * 16, b"b" * 16))


@given(st.binary(min_size=16, max_size=16), st.sampled_from(["per", "grp", "a_b"]))
def test_an_entity_id_leads_back_to_its_founder(digest: bytes, prefix: str) -> None:
    written = entity_id(prefix, digest)
    assert written.startswith(f"{prefix}_")
    assert len(written) == len(prefix) + 27
    assert founder_of(written) == digest


@pytest.mark.parametrize(
    "wrong",
    ["", "per", "per_", "per_abc", "_" + "a" * 26, "a" * 26, "per_" + "a" * 25, "per_" + "a" * 27, "per_" + "1" * 26, "per_" + "ä" * 26],
)
def test_what_is_no_entity_id_is_refused_by_name(wrong: str) -> None:
    with pytest.raises(ValueError, match="is not an entity id"):
        founder_of(wrong)
