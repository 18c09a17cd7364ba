from __future__ import annotations

from typing import Any

import orjson
import pytest

from resolvers.errors import Rejected, SettingsError
from streams.adapters import build_adapter
from streams.events import Event, Identifier, Membership, Origin, Participant
from streams.record import SourceRecord
from streams.settings import SourceSettings, TimeSettings

RECORD_MS = 1_704_164_645_678
PERSON = {"entity": "person", "identifiers": {"email": "email"}}


def adapted(body: dict[str, Any], **settings: Any) -> Event:
    source = SourceSettings(**{"topic": "raw.crm", "adapter": "mapping", "event": {}, "participants": [PERSON], **settings})
    (event,) = build_adapter("crm", source, TimeSettings())(SourceRecord("raw.crm", 0, 3, None, orjson.dumps(body), RECORD_MS))
    return event


def test_a_record_is_told_by_expressions() -> None:
    event = adapted(
        {
            "id": 12,
            "updated_at": 1_704_100_000,
            "emails": [{"address": " Ada@x.example "}, {"address": None}, {"address": "al@x.example"}],
            "phone": 4155550100,
            "full_name": "Ada L",
            "account": {"plan": "gold"},
            "stage": "lead",
            "website": "x.example",
            "company": "X",
            "title": "CEO",
        },
        event={"id": "id", "name": "'contact updated'", "occurred_at": "updated_at"},
        participants=[
            {
                "entity": "person",
                "role": "contact",
                "identifiers": {"email": "emails[].address", "phone": "phone"},
                "traits": {"name": "full_name", "plan": "account.plan", "absent": "nothing"},
                "states": {"lifecycle": "stage", "absent": "nothing"},
            },
            {"entity": "group", "identifiers": {"domain": "website"}, "traits": {"name": "company"}},
        ],
        memberships=[{"member": 0, "group": 1, "role": "title"}],
    )
    assert event == Event(
        event_id="12",
        source="crm",
        name="contact updated",
        occurred_at="2024-01-01T09:06:40.000Z",
        recorded_at="2024-01-02T03:04:05.678Z",
        origin=Origin("raw.crm", 0, 3),
        participants=[
            Participant(
                "person",
                "contact",
                [Identifier("email", "Ada@x.example"), Identifier("email", "al@x.example"), Identifier("phone", "4155550100")],
                {"name": "Ada L", "plan": "gold"},
                {"lifecycle": "lead"},
            ),
            Participant("group", "", [Identifier("domain", "x.example")], {"name": "X"}),
        ],
        memberships=[Membership(0, 1, "CEO")],
    )


def test_without_expressions_the_event_is_named_for_its_source_and_takes_the_records_time() -> None:
    event = adapted({"email": "a@x.example"})
    assert (event.name, event.occurred_at) == ("crm", "2024-01-02T03:04:05.678Z")
    assert len(event.event_id) == 32


def test_numbers_and_times_in_strings_are_read_as_csv_rows_have_them() -> None:
    event = adapted(
        {"email": "a@x.example", "amount": " 12.50", "unit": "EUR", "weight": "3", "at": "1704100000", "left": "false"},
        event={"value": "amount", "value_unit": "unit", "significance": "weight", "occurred_at": "at", "type": "'t'", "description": "at"},
        participants=[PERSON, {"entity": "group", "identifiers": {"domain": "'x.example'"}}],
        memberships=[{"member": 0, "group": 1, "ended": "left"}],
    )
    assert (event.value, event.value_unit, event.significance) == (12.5, "EUR", 3)
    assert (event.occurred_at, event.type, event.description) == ("2024-01-01T09:06:40.000Z", "t", "1704100000")
    assert event.memberships == [Membership(0, 1, None, ended=False)]


@pytest.mark.parametrize(("left", "ended"), [(True, True), ("yes", True), ("2024-01-01", True), ("0", False), ("", False), (None, False)])
def test_a_membership_ends_when_its_expression_is_true(left: object, ended: bool) -> None:
    event = adapted(
        {"email": "a@x.example", "left": left},
        participants=[PERSON, {"entity": "group", "identifiers": {"domain": "'x.example'"}}],
        memberships=[{"member": 0, "group": 1, "ended": "left"}],
    )
    assert event.memberships[0].ended is ended


def test_a_list_of_expressions_gives_several_identifiers() -> None:
    event = adapted(
        {"email": "a@x.example", "alias": "b@x.example"}, participants=[{"entity": "person", "identifiers": {"email": "[email, alias]"}}]
    )
    assert event.participants[0].identifiers == [Identifier("email", "a@x.example"), Identifier("email", "b@x.example")]


def test_a_participant_without_identifiers_stays_and_its_membership_does_not() -> None:
    event = adapted(
        {"domain": "x.example"},
        participants=[PERSON, {"entity": "group", "identifiers": {"domain": "domain"}}],
        memberships=[{"member": 0, "group": 1}],
    )
    assert event.participants == [Participant("person"), Participant("group", "", [Identifier("domain", "x.example")])]
    assert event.memberships == []


def test_traits_keep_their_json_types_and_states_become_text() -> None:
    mapped = {**PERSON, "traits": {"a": "a", "b": "b", "c": "c", "d": "d"}, "states": {"a": "a", "b": "b", "c": "c", "d": "d"}}
    event = adapted({"a": True, "b": 1.0, "c": {"x": [1]}, "d": ""}, participants=[mapped])
    assert event.participants[0].traits == {"a": True, "b": 1.0, "c": {"x": [1]}}
    assert event.participants[0].states == {"a": "true", "b": "1", "c": '{"x":[1]}'}


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"id": "object"}, "the event's id is an object"),
        ({"name": "missing"}, "the event's name is missing"),
        ({"occurred_at": "missing"}, "the event's occurred_at is missing"),
        ({"occurred_at": "blank"}, "the event's occurred_at is missing"),
        ({"occurred_at": "word"}, "occurred_at: 'many' is not a time"),
        ({"occurred_at": "object"}, "occurred_at: dict is not a time"),
        ({"occurred_at": "'2024-02-01'"}, "lies more than 86400 seconds after"),
        ({"value": "word"}, "the event's value is 'many'; it should be a number"),
        ({"value": "list"}, "the event's value is a list"),
        ({"value": "to_number('1e999')"}, "the event's value is inf"),
        ({"significance": "`1.5`"}, "the event's significance is 1.5; it should be a whole number"),
        ({"description": "list"}, "the event's description is a list"),
        ({"name": "sum(word)"}, r"sources.crm.event.name: the expression 'sum\(word\)' fails on this record"),
        ({"name": "&word"}, "the event's name is missing"),
    ],
)
def test_what_the_settings_ask_for_and_the_record_lacks_is_a_rejection(event: dict[str, str], reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        adapted({"email": "a@x.example", "word": "many", "blank": " ", "object": {"a": 1}, "list": [1]}, event=event)


@pytest.mark.parametrize("declared", [{}, {"id": "missing"}, {"id": "blank"}, {"id": "null"}])
def test_an_event_without_an_id_has_a_digest_of_its_record(declared: dict[str, str]) -> None:
    event = adapted({"email": "a@x.example", "blank": " ", "null": None}, event=declared)
    assert event.event_id == "79204f3b5740c491062db13f0c8ae4f3"


def test_an_object_as_an_identifier_is_a_rejection() -> None:
    with pytest.raises(Rejected, match="the identifier 'email' of participant 0 is an object"):
        adapted({"email": {"address": "a@x.example"}})


def test_a_trait_that_is_no_json_value_is_a_rejection() -> None:
    with pytest.raises(Rejected, match="the event cannot be written as JSON"):
        adapted({}, participants=[{**PERSON, "traits": {"odd": "&email"}}])


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"event": {"id": "a."}}, r"sources\.crm\.event\.id: 'a\.' is not a JMESPath expression"),
        ({"event": {"when": "a"}}, r"sources\.crm\.event\.when: unknown key; allowed: id, name, type"),
        ({"participants": []}, r"sources\.crm\.participants: a mapping needs at least one participant"),
        ({"participants": [{"entity": "person", "traits": {"n": "]"}}]}, r"sources\.crm\.participants\[0\]\.traits\.n: "),
        ({"memberships": [{"member": 0, "group": 0, "role": "["}]}, r"sources\.crm\.memberships\[0\]\.role: "),
        ({"memberships": [{"member": 0, "group": 1}]}, r"sources\.crm\.memberships\[0\]: there is no participant 1; allowed: 0 to 0"),
    ],
)
def test_settings_that_cannot_work_are_named(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        adapted({}, **settings)
