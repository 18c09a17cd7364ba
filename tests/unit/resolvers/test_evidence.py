"""Evidence: what of an event says who is who."""

from __future__ import annotations

from typing import Any

import pytest

from resolvers.errors import Rejected
from resolvers.evidence import canonical_json, evidence_of
from resolvers.sighting import MembershipSighting, Sighting
from streams.events import Event, Membership, Origin, Participant
from tests.histories import RULES, event, group, person


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def named(sighting: Sighting) -> list[str]:
    return [f"{one.identifier.type}:{one.identifier.value}" for one in sighting.identifiers]


def test_an_event_is_named_and_timed() -> None:
    found = evidence_of(RULES, event("e1", "9:00", person("device:a"), source="crm"))
    assert (found.source, found.event_id, found.occurred_at) == ("crm", "e1", 1_714_554_000_000)


def test_the_strongest_identifier_is_the_centre() -> None:
    (seen,) = evidence_of(RULES, event("e1", "9:00", person("device:a", "email:b@x.example", "user_id:c"))).sightings
    assert named(seen) == ["user_id:c", "email:b@x.example", "device:a"]


def test_equally_strong_identifiers_are_ordered_by_digest_not_by_arrival() -> None:
    one, other = (
        evidence_of(RULES, event("e", "9:00", person(*ids))).sightings for ids in (("device:a", "device:b"), ("device:b", "device:a"))
    )
    assert one == other
    assert one[0].identifiers[0].digest < one[0].identifiers[1].digest


def test_spellings_of_one_identifier_are_one() -> None:
    (seen,) = evidence_of(RULES, event("e1", "9:00", person("email:Ann@x.example", "email: ann@X.example", "device:a"))).sightings
    assert named(seen) == ["email:ann@x.example", "device:a"]


def test_a_participant_without_a_usable_identifier_is_left_out_and_the_others_keep_their_places() -> None:
    found = evidence_of(
        RULES,
        event(
            "e1", "9:00", person("device:null"), person("device:a"), group("shop:s"),
            memberships=[Membership(1, 2, "owner"), Membership(0, 2), Membership(1, 7), Membership(-1, 2)],
        ),
    )  # fmt: skip
    assert [seen.index for seen in found.sightings] == [1, 2]
    assert found.memberships == (MembershipSighting(0, 1, "owner"),)


def test_a_long_role_of_a_membership_is_cut() -> None:
    both = event("e1", "9:00", person("device:a"), group("domain:x.example"), memberships=[Membership(0, 1, "r" * 5_000)])
    (found,) = evidence_of(RULES, both).memberships
    assert found.role == "r" * 1_000 + "\u2026"


def test_an_empty_role_is_none() -> None:
    found = evidence_of(RULES, event("e1", "9:00", person("device:a"), group("shop:s"), memberships=[Membership(0, 1, "", ended=True)]))
    assert found.memberships == (MembershipSighting(0, 1, None, ended=True),)


def test_traits_are_canonical_and_null_is_no_trait() -> None:
    (seen,) = evidence_of(RULES, event("e1", "9:00", person("device:a", traits={"b": {"z": 1, "a": []}, "n": None, "f": False}))).sightings
    assert seen.traits == (("b", b'{"a":[],"z":1}', None), ("f", b"false", None))


def test_states_are_kept_in_order() -> None:
    (seen,) = evidence_of(RULES, event("e1", "9:00", person("device:a", states={"b": "on", "a": "off"}))).sightings
    assert seen.states == (("a", "off"), ("b", "on"))


def test_where_and_when_an_event_was_recorded_says_nothing() -> None:
    plain, recorded = event("e1", "9:00", person("device:a")), event("e1", "9:00", person("device:a"))
    recorded.recorded_at, recorded.origin = "2030-01-01T00:00:00.000Z", Origin("raw", 1, 2)
    assert evidence_of(RULES, plain) == evidence_of(RULES, recorded)


@pytest.mark.parametrize("wrong", ["", "yesterday", "2024-05-01T09:00:00", "2024-13-01T09:00:00Z"])
def test_a_time_that_cannot_be_read_is_rejected_by_name(wrong: str) -> None:
    with pytest.raises(Rejected, match=f"occurred_at '{wrong}' is not an RFC 3339 time"):
        evidence_of(RULES, Event("e1", "crm", "seen", wrong))


def test_a_trait_that_cannot_be_written_is_rejected() -> None:
    with pytest.raises(Rejected, match="a trait's value can't be written as JSON"):
        canonical_json({"a": object()})


def test_a_sighting_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one usable identifier"):
        Sighting(0, "person", ())


@pytest.mark.parametrize(
    ("participant", "reason"),
    [
        (person(*(f"email:{n}@x.example" for n in range(201))), "201 identifiers"),
        (person("user_id:u", traits={str(n): n for n in range(501)}), "501 traits"),
        (person("user_id:u", traits={"n" * 257: 1}), "257 characters"),
        (person("user_id:u", traits={"deep": nested(101)}), "deeper than 100"),
    ],
)
def test_a_participant_out_of_bounds_is_refused(participant: Participant, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        evidence_of(RULES, event("e", "9:00", participant))


def test_a_value_of_a_hundred_levels_is_taken() -> None:
    assert evidence_of(RULES, event("e", "9:00", person("user_id:u", traits={"deep": nested(100)}))).sightings
