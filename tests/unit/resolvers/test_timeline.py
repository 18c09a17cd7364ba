"""The timeline: two states in, what changed out."""

from __future__ import annotations

from typing import Any

from resolvers.change import Change
from resolvers.entity import EntityView, Fact, MembershipView, SeenIdentifier
from resolvers.identifier import Identifier, entity_id
from resolvers.timeline import Merge, changes, ending, joinings, membership_changes, timeline_record, untold

E1, E2 = Fact(1_000, "crm", "e1"), Fact(2_000, "web", "e2")
EMAIL = SeenIdentifier(Identifier("person", "email", "a@b.example"), b"1" * 16, 1_000, 0, E1)
DEVICE = SeenIdentifier(Identifier("person", "device", "d"), b"2" * 16, 2_000, 0, E2)


def view(*identifiers: SeenIdentifier, **traits: Fact) -> EntityView:
    return EntityView("per_a", "person", 1_000, 0, identifiers, len(identifiers), traits)


def told(*found: Change) -> list[tuple[str, str, dict[str, Any]]]:
    return [(one.kind, one.event.event_id, one.data) for one in found]


def test_a_new_entity_is_created_with_its_identifiers_and_traits() -> None:
    assert told(*changes(None, view(EMAIL, DEVICE, plan=Fact(2_000, "web", "e2", b'"paid"')))) == [
        ("entity.created", "e1", {"founder": {"type": "email", "value": "a@b.example"}}),
        ("identifier.added", "e1", {"type": "email", "value": "a@b.example", "first_seen": "1970-01-01T00:00:01.000Z"}),
        ("identifier.added", "e2", {"type": "device", "value": "d", "first_seen": "1970-01-01T00:00:02.000Z"}),
        ("trait.changed", "e2", {"trait": "plan", "old": None, "new": "paid"}),
    ]


def test_only_what_changed_is_told() -> None:
    old = view(EMAIL, name=Fact(1_000, "crm", "e1", b'"Ann"'), plan=Fact(1_000, "crm", "e1", b"1"))
    new = view(EMAIL, DEVICE, name=Fact(2_000, "web", "e2", b'"Ann"'), plan=Fact(2_000, "web", "e2", b"true"))
    assert told(*changes(old, new)) == [
        ("identifier.added", "e2", {"type": "device", "value": "d", "first_seen": "1970-01-01T00:00:02.000Z"}),
        ("trait.changed", "e2", {"trait": "plan", "old": 1, "new": True}),
    ]


def test_nothing_changed_tells_nothing() -> None:
    assert list(changes(view(EMAIL), view(EMAIL))) == []


def test_what_is_gone_is_told_and_no_event_brought_it() -> None:
    assert told(*changes(view(EMAIL, DEVICE, plan=Fact(2_000, "web", "e2", b"1")), view(EMAIL))) == [
        ("identifier.removed", "", {"type": "device", "value": "d"}),
        ("trait.changed", "", {"trait": "plan", "old": 1, "new": None}),
    ]


def test_a_trait_that_goes_back_was_brought_by_no_event() -> None:
    old, new = (view(EMAIL, plan=Fact(at, "web", f"e{at}", str(at).encode())) for at in (2_000, 1_000))
    assert told(*changes(old, new)) == [("trait.changed", "", {"trait": "plan", "old": 2_000, "new": 1_000})]
    assert told(*changes(new, old)) == [("trait.changed", "e2000", {"trait": "plan", "old": 1_000, "new": 2_000})]


def test_of_a_trait_that_keeps_all_values_the_latest_that_came_is_named() -> None:
    one, other = ({f"tags\0{value}": Fact(at, "web", f"e{at}", f'"{value}"'.encode())} for value, at in (("a", 1_000), ("b", 2_000)))
    both = one | other
    assert [told(*changes(view(EMAIL, **old), view(EMAIL, **new)))[0][1] for old, new in ((one, both), (other, both), (both, one))] == [
        "e2000",
        "e1000",
        "",
    ]


def test_a_role_that_goes_back_was_brought_by_no_event() -> None:
    old, new = membership(b"owner", event=E2), membership(b"editor")
    assert told(*membership_changes(old, new)) == [("membership.changed", "", {"group_id": "grp_b", "role": "editor", "old_role": "owner"})]
    assert told(*membership_changes(old, None)) == [("membership.ended", "", {"group_id": "grp_b", "role": "owner", "moved": True})]


def test_a_merge_names_the_absorbed_id_and_the_link() -> None:
    (merged,) = told(*changes(view(EMAIL), view(EMAIL), [Merge("per_b", E2, (("email", "a@b.example"), ("device", "d")))]))
    assert merged == (
        "entity.merged",
        "e2",
        {"absorbed_id": "per_b", "link": [{"type": "email", "value": "a@b.example"}, {"type": "device", "value": "d"}]},
    )


def test_an_id_that_ended_names_what_it_became() -> None:
    assert told(ending("per_a", E2)) == [("entity.merged", "e2", {"merged_into": "per_a"})]


def membership(role: bytes = b"owner", *, ended: bool = False, event: Fact = E1) -> MembershipView:
    latest = Fact(event.occurred_at, event.source, event.event_id, role)
    return MembershipView("per_a", "grp_b", latest, ended, None if ended else latest)


def test_a_membership_starts_changes_and_ends() -> None:
    assert told(*membership_changes(None, membership())) == [("membership.started", "e1", {"group_id": "grp_b", "role": "owner"})]
    assert told(*membership_changes(membership(), membership(b"admin", event=E2))) == [
        ("membership.changed", "e2", {"group_id": "grp_b", "role": "admin", "old_role": "owner"})
    ]
    assert told(*membership_changes(membership(), membership(b"", ended=True, event=E2))) == [
        ("membership.ended", "e2", {"group_id": "grp_b", "role": None})
    ]
    assert told(*membership_changes(membership(ended=True), membership(event=E2))) == [
        ("membership.started", "e2", {"group_id": "grp_b", "role": "owner"})
    ]


def test_a_membership_seen_again_tells_nothing() -> None:
    assert list(membership_changes(membership(), membership(event=E2))) == []
    assert list(membership_changes(None, membership(ended=True))) == []
    assert list(membership_changes(None, None)) == []


def test_a_membership_that_went_to_another_key_has_ended_here() -> None:
    assert told(*membership_changes(membership(), None)) == [
        ("membership.ended", "", {"group_id": "grp_b", "role": "owner", "moved": True})
    ]
    assert list(membership_changes(membership(ended=True), None)) == []


def test_a_record_names_the_entity_and_the_event() -> None:
    assert timeline_record("per_a", "person", Change("entity.created", E1, {"x": 1})) == {
        "entity_id": "per_a",
        "entity_type": "person",
        "kind": "entity.created",
        "occurred_at": "1970-01-01T00:00:01.000Z",
        "event_id": "e1",
        "source": "crm",
        "data": {"x": 1},
    }


def test_a_change_without_an_event_says_so() -> None:
    found = timeline_record("per_a", "person", ending("per_b"))
    assert (found["event_id"], found["source"]) == (None, None)


def test_an_id_that_was_absorbed_twice_is_told_once_with_the_last_link() -> None:
    merges = [Merge("per_b", E1, (("email", "x"),)), Merge("per_c", E1), Merge("per_b", E2, (("email", "y"),))]
    assert [(event, data["absorbed_id"]) for _, event, data in told(*joinings(merges))] == [("e2", "per_b"), ("e1", "per_c")]


def test_an_id_that_came_and_went_between_two_rounds_is_not_told_again() -> None:
    absorbed = entity_id("per", EMAIL.digest)
    merges = [Merge(absorbed, E2), Merge("per_" + "a" * 26, E2)]
    assert untold(view(EMAIL), merges) == merges[1:]
    assert untold(None, merges) == merges
