from __future__ import annotations

from typing import Any

from streams.demo.findings import Belonging, Letter, Outputs, Pair, Reason, Unheard, read_findings, spanning
from streams.events import Event, Identifier, Participant

MAY_1, MAY_2, MAY_3 = (f"2024-05-0{day}T00:00:00.000Z" for day in (1, 2, 3))


def reason(at: str, event_id: str, *values: str) -> Reason:
    return Reason(at, "crm", event_id, "contact updated", tuple(("email", value) for value in values))


def event(at: str, source: str, event_id: str, *identifiers: tuple[str, str]) -> Event:
    participant = Participant("person", "customer", [Identifier(*one) for one in identifiers])
    return Event(event_id, source, "order placed", at, participants=[participant])


def lower_but_junk(entity_type: str, one: Identifier) -> Pair | None:
    return None if one.value == "N/A" else (one.type, one.value.lower())


def entity(entity_id: str, *identifiers: tuple[str, str], **traits: str) -> dict[str, Any]:
    listed = [{"type": kind, "value": value, "first_seen": MAY_1, "last_seen": MAY_3} for kind, value in identifiers]
    times = {"first_seen": MAY_1, "last_seen": MAY_3}
    return {"entity_id": entity_id, "entity_type": "person", "status": "active", "identifiers": listed, "traits": traits, **times}


def told(entity_id: str, source: str, event_id: str) -> dict[str, Any]:
    return {"entity_id": entity_id, "kind": "identifier.added", "source": source, "event_id": event_id}


def test_spanning_keeps_the_first_evidence_that_connects() -> None:
    first, again, second = reason(MAY_1, "e1", "a", "b"), reason(MAY_2, "e2", "b", "a"), reason(MAY_3, "e3", "b", "c")
    assert spanning([second, again, first], []) == (first, second)


def test_spanning_fills_in_what_was_not_told() -> None:
    first, second = reason(MAY_1, "e1", "a", "b"), reason(MAY_3, "e3", "b", "c")
    assert spanning([second], [first, second]) == (first, second)


def test_spanning_prefers_what_was_told() -> None:
    seen, was_told = reason(MAY_1, "e1", "a", "b"), reason(MAY_2, "e2", "a", "b")
    assert spanning([was_told], [seen, was_told]) == (was_told,)


def test_identifiers_come_with_every_source_in_the_order_of_their_events() -> None:
    events = [event(MAY_2, "shop", "o1", ("email", "A@x.example")), event(MAY_1, "crm", "c1", ("email", "a@x.example"))]
    outputs = Outputs([entity("per_a", ("email", "a@x.example"), name="Ann")], [], [], events, [])
    (found,) = read_findings(outputs, lower_but_junk, lambda *_: 1).entities
    assert (found.name, [(one.value, one.sources) for one in found.identifiers]) == ("Ann", [("a@x.example", ("crm", "shop"))])


def test_reasons_come_from_the_timeline_of_an_entity_and_of_the_ids_it_absorbed() -> None:
    events = [
        event(MAY_1, "crm", "c1", ("email", "a"), ("phone", "1")),
        event(MAY_2, "crm", "c2", ("email", "a"), ("phone", "1")),
        event(MAY_3, "shop", "o1", ("phone", "1"), ("user_id", "u")),
    ]
    ended = {"entity_id": "per_b", "entity_type": "person", "status": "merged", "merged_into": "per_a"}
    living = entity("per_a", ("email", "a"), ("phone", "1"), ("user_id", "u"))
    outputs = Outputs([living, ended], [], [told("per_b", "crm", "c2"), told("per_a", "shop", "o1")], events, [])
    (found,) = read_findings(outputs, lower_but_junk, lambda *_: 1).entities
    assert [one.event_id for one in found.reasons] == ["c2", "o1"]
    assert found.former_ids == ("per_b",)


def test_ids_that_ended_one_after_the_other_lead_to_the_living_one() -> None:
    ended = [
        {"entity_id": "per_c", "entity_type": "person", "status": "merged", "merged_into": "per_b"},
        {"entity_id": "per_b", "entity_type": "person", "status": "merged", "merged_into": "per_a"},
    ]
    (found,) = read_findings(Outputs([entity("per_a", ("email", "a")), *ended], [], [], [], []), lower_but_junk, lambda *_: 1).entities
    assert found.former_ids == ("per_b", "per_c")


def test_memberships_that_ended_are_left_out() -> None:
    row = {"person_id": "per_a", "group_id": "grp_x", "role": "buyer", "since": MAY_1, "until": None}
    outputs = Outputs([entity("per_a", ("email", "a"))], [row, {**row, "group_id": "grp_y", "until": MAY_2}], [], [], [])
    (found,) = read_findings(outputs, lower_but_junk, lambda *_: 1).entities
    assert found.memberships == (Belonging("grp_x", "grp_x", "buyer"),)


def test_values_that_connect_nothing_are_counted_as_the_sources_wrote_them() -> None:
    events = [event(MAY_1, "crm", "c1", ("phone", "N/A")), event(MAY_2, "shop", "o1", ("phone", "N/A"))]
    assert read_findings(Outputs([], [], [], events, []), lower_but_junk, lambda *_: 1).unheard == (
        Unheard("phone", "N/A", ("crm", "shop"), 2),
    )


def test_dead_letters_that_are_no_text_say_so() -> None:
    letter = {"value": {"base64": "/w=="}, "headers": {"source": "crm", "error": "not valid UTF-8"}}
    assert read_findings(Outputs([], [], [], [], [letter]), lower_but_junk, lambda *_: 1).letters == (
        Letter("crm", "not valid UTF-8", "(no text)"),
    )
