from __future__ import annotations

import csv
import json
from contextlib import suppress
from typing import Any

import pytest

from resolvers.errors import Rejected
from streams.adapters import build_adapter
from streams.adapters.decode import Document
from streams.adapters.google_calendar import build
from streams.events import Event, Identifier, Membership, Participant, encode_event
from streams.record import SourceRecord
from streams.settings import SourceSettings, TimeSettings
from tests.extra import DATA, needs
from tests.junk import with_junk

DEMO = DATA / "events_dbt_nexus_demo" / "google_calendar_events_raw_demo.csv"
RECORD = SourceRecord("raw.calendar", 0, 0, None, b"", 1_800_000_000_000)
READ = build("calendar", SourceSettings(topic="raw.calendar", adapter="google_calendar"))

MEETING: dict[str, Any] = {
    "kind": "calendar#event",
    "id": "e1",
    "status": "confirmed",
    "created": "2024-02-01T08:00:00.000Z",
    "updated": "2024-03-01T12:00:00.000Z",
    "summary": "Kick-off",
    "start": {"dateTime": "2024-03-01T10:30:00+01:00", "timeZone": "Europe/Berlin"},
    "end": {"dateTime": "2024-03-01T11:30:00+01:00", "timeZone": "Europe/Berlin"},
    "creator": {"email": "pat@acme.example"},
    "organizer": {"email": "ann@acme.example", "displayName": "Ann Lee"},
    "attendees": [
        {"email": "ann@acme.example", "organizer": True, "responseStatus": "accepted"},
        {"email": "bob@birch.example", "displayName": "Bob", "responseStatus": "needsAction"},
        {"email": "cid@gmail.com", "responseStatus": "declined"},
        {"email": "c_188@resource.calendar.google.com", "resource": True, "displayName": "Room 1"},
    ],
}


def read(body: dict[str, Any]) -> Event:
    (event,) = READ(Document(body), RECORD)
    return event


def people(event: Event) -> list[tuple[str, str, str | None]]:
    return [(one.role, one.identifiers[0].value, one.traits.get("name")) for one in event.participants if one.entity == "person"]


def test_meeting_is_one_event_of_separate_persons_and_their_domains() -> None:
    assert read(MEETING) == Event(
        event_id="e1:2024-03-01T12:00:00.000Z",
        source="calendar",
        name="meeting held",
        occurred_at="2024-03-01T09:30:00.000Z",
        type="meeting",
        description="Kick-off",
        participants=[
            Participant("person", "organizer", [Identifier("email", "ann@acme.example")], {"name": "Ann Lee"}),
            Participant("person", "attendee", [Identifier("email", "bob@birch.example")], {"name": "Bob"}),
            Participant("person", "attendee", [Identifier("email", "cid@gmail.com")]),
            Participant("person", "creator", [Identifier("email", "pat@acme.example")]),
            Participant("group", "organizer_domain", [Identifier("domain", "acme.example")]),
            Participant("group", "attendee_domain", [Identifier("domain", "birch.example")]),
        ],
        memberships=[Membership(0, 4), Membership(1, 5), Membership(3, 4)],
    )


@pytest.mark.parametrize(
    ("changes", "name", "occurred_at"),
    [
        ({"updated": "2024-03-01T09:30:00.000Z"}, "meeting held", "2024-03-01T09:30:00.000Z"),
        ({"updated": "2024-03-01T09:29:59.999Z"}, "meeting scheduled", "2024-03-01T09:29:59.999Z"),
        ({"status": "tentative"}, "meeting held", "2024-03-01T09:30:00.000Z"),
        ({"status": "cancelled"}, "meeting cancelled", "2024-03-01T12:00:00.000Z"),
        ({"updated": None}, "meeting scheduled", "2024-02-01T08:00:00.000Z"),
        ({"updated": None, "created": None}, "meeting held", "2024-03-01T09:30:00.000Z"),
        ({"start": None}, "meeting scheduled", "2024-03-01T12:00:00.000Z"),
        ({"start": {"date": "2024-03-01"}}, "meeting held", "2024-03-01T00:00:00.000Z"),
        ({"start": {"date": "2024-03-02"}}, "meeting scheduled", "2024-03-01T12:00:00.000Z"),
        ({"start": {"dateTime": "2024-03-01T10:30:00", "timeZone": "Europe/Berlin"}}, "meeting held", "2024-03-01T09:30:00.000Z"),
        ({"start": {"dateTime": "2024-03-01T10:30:00"}}, "meeting held", "2024-03-01T10:30:00.000Z"),
        ({"start": {}, "updated": None, "created": None}, "meeting scheduled", ""),
    ],
)
def test_name_and_time_follow_from_the_record_alone(changes: dict[str, Any], name: str, occurred_at: str) -> None:
    event = read(MEETING | changes)
    assert (event.name, event.occurred_at) == (name, occurred_at)


def test_each_revision_is_an_event_of_its_own() -> None:
    ids = [read(MEETING | {"updated": updated}).event_id for updated in ("2024-03-01T12:00:00.000Z", "2024-03-02T12:00:00.000Z", None)]
    assert ids == ["e1:2024-03-01T12:00:00.000Z", "e1:2024-03-02T12:00:00.000Z", "e1"]


def test_meeting_without_an_id_leaves_it_to_the_frame() -> None:
    assert read({"start": {"date": "2024-03-01"}, "updated": "2024-03-02T00:00:00Z"}).event_id == ""


def test_cancelled_stub_without_people_is_still_an_event() -> None:
    event = read({"kind": "calendar#event", "id": "e1_20240301", "status": "cancelled", "recurringEventId": "e1"})
    assert (event.name, event.participants, event.memberships) == ("meeting cancelled", [], [])


def test_shared_calendars_and_rooms_are_no_persons() -> None:
    event = read(
        MEETING
        | {
            "organizer": {"email": "c_42@group.calendar.google.com", "displayName": "Team calendar"},
            "creator": {"email": "unknownorganizer@calendar.google.com"},
            "attendees": [{"email": "room@acme.example", "resource": True}, {"email": "bob@birch.example"}],
        }
    )
    assert people(event) == [("attendee", "bob@birch.example", None)]


def test_an_address_takes_part_once_with_its_strongest_role_and_any_name() -> None:
    event = read(
        MEETING
        | {
            "organizer": {"email": "Ann@acme.example"},
            "creator": {"email": "bob@birch.example"},
            "attendees": [
                {"email": "ANN@acme.example", "displayName": "Ann Lee"},
                {"email": "bob@birch.example"},
                {"email": "bob@birch.example"},
            ],
        }
    )
    assert people(event) == [("organizer", "Ann@acme.example", "Ann Lee"), ("attendee", "bob@birch.example", None)]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "none of `kind`, `status` and `start`"),
        ({"id": "e1"}, "none of `kind`, `status` and `start`"),
        ({"kind": "calendar#events", "items": []}, "`kind` is 'calendar#events'"),
        (MEETING | {"start": {"dateTime": "noon"}}, "`start.dateTime`: 'noon' is not a time"),
        (
            MEETING | {"start": {"dateTime": "2024-03-01T10:30:00", "timeZone": "Mars/Base"}},
            "in 'Mars/Base', which is no day or no time zone",
        ),
        (MEETING | {"start": {"dateTime": "2024-03-01T10:30:00", "timeZone": "../etc"}}, "no time zone"),
        (MEETING | {"start": {"dateTime": "2024-02-30T10:30:00", "timeZone": "Europe/Berlin"}}, "no day"),
        (MEETING | {"start": {"date": "1 March"}}, "`start.date`: '1 March' is not a time"),
        (MEETING | {"updated": "later"}, "`updated`: 'later' is not a time"),
    ],
)
def test_what_is_no_meeting_is_rejected(body: dict[str, Any], reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        read(body)


def test_junk_anywhere_gives_an_event_or_a_rejection() -> None:
    for changed in with_junk(MEETING):
        if isinstance(changed, dict):
            with suppress(Rejected):
                encode_event(read(changed))


@needs(DEMO)
def test_sample_rows_are_rejected_because_their_json_is_malformed() -> None:
    adapt = build_adapter("calendar", SourceSettings(topic="raw.calendar", adapter="google_calendar", payload="record"), TimeSettings())
    with DEMO.open() as rows:
        values = [json.dumps(row).encode() for row in csv.DictReader(rows)]
    assert len(values) == 3
    for value in values:
        with pytest.raises(Rejected, match="'record' is not valid JSON"):
            adapt(SourceRecord("raw.calendar", 0, 0, None, value, RECORD.timestamp_ms))
