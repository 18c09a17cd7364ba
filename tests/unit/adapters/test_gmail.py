from __future__ import annotations

import csv
import json
from contextlib import suppress
from typing import Any

import pytest

from resolvers.errors import Rejected
from streams.adapters import build_adapter
from streams.adapters.decode import Document
from streams.adapters.gmail import build
from streams.events import Event, Identifier, Membership, Participant, encode_event
from streams.record import SourceRecord
from streams.settings import SourceSettings, TimeSettings
from tests.extra import DATA, needs
from tests.junk import with_junk

DEMO = DATA / "events_dbt_nexus_demo" / "gmail_messages_raw_demo.csv"
RECORD = SourceRecord("raw.mail", 0, 0, None, b"", 1_800_000_000_000)
READ = build("mail", SourceSettings(topic="raw.mail", adapter="gmail"))

FLAT: dict[str, Any] = {
    "id": "m1",
    "threadId": "t1",
    "date": "2024-03-01T09:30:00Z",
    "sender": "Ann Lee <ann@acme.example>",
    "recipients": "Bob <bob@birch.example>, cid@gmail.com",
    "cc": ["Dee <dee@acme.example>"],
    "subject": "Offer",
    "body": "...",
}
RESOURCE: dict[str, Any] = {
    "id": "m2",
    "threadId": "t1",
    "internalDate": "1709285400000",
    "labelIds": ["SENT"],
    "payload": {
        "headers": [
            {"name": "From", "value": "Ann Lee <ann@acme.example>"},
            {"name": "To", "value": "bob@birch.example"},
            {"name": "Bcc", "value": "eve@elm.example"},
            {"name": "Subject", "value": "Offer"},
            {"name": "Date", "value": "Fri, 01 Mar 2024 10:29:00 +0100"},
        ]
    },
}


def read(body: dict[str, Any]) -> Event:
    (event,) = READ(Document(body), RECORD)
    return event


def people(event: Event) -> list[tuple[str, str, str | None]]:
    return [(one.role, one.identifiers[0].value, one.traits.get("name")) for one in event.participants if one.entity == "person"]


def recipients(line: object) -> list[tuple[str, str | None]]:
    event = read({"sender": "ann@acme.example", "recipients": line})
    return [(address, name) for role, address, name in people(event) if role == "recipient"]


def test_flat_message_is_one_event_of_separate_persons_and_their_domains() -> None:
    assert read(FLAT) == Event(
        event_id="m1",
        source="mail",
        name="email sent",
        occurred_at="2024-03-01T09:30:00.000Z",
        type="email",
        description="Offer",
        participants=[
            Participant("person", "sender", [Identifier("email", "ann@acme.example")], {"name": "Ann Lee"}),
            Participant("person", "recipient", [Identifier("email", "bob@birch.example")], {"name": "Bob"}),
            Participant("person", "recipient", [Identifier("email", "cid@gmail.com")]),
            Participant("person", "cc", [Identifier("email", "dee@acme.example")], {"name": "Dee"}),
            Participant("group", "sender_domain", [Identifier("domain", "acme.example")]),
            Participant("group", "recipient_domain", [Identifier("domain", "birch.example")]),
        ],
        memberships=[Membership(0, 4), Membership(1, 5), Membership(3, 4)],
    )


def test_message_resource_is_read_from_its_headers_at_gmails_own_time() -> None:
    event = read(RESOURCE)
    assert (event.event_id, event.name, event.occurred_at, event.description) == ("m2", "email sent", "2024-03-01T09:30:00.000Z", "Offer")
    assert people(event) == [
        ("sender", "ann@acme.example", "Ann Lee"),
        ("recipient", "bob@birch.example", None),
        ("bcc", "eve@elm.example", None),
    ]


def test_header_date_counts_without_gmails_own_time() -> None:
    assert read(RESOURCE | {"internalDate": None}).occurred_at == "2024-03-01T09:29:00.000Z"


@pytest.mark.parametrize(
    ("date", "occurred_at"),
    [
        ("Fri, 01 Mar 2024 10:30:00 +0100", "2024-03-01T09:30:00.000Z"),
        ("1 Mar 2024 09:30:00 -0000", "2024-03-01T09:30:00.000Z"),
        ("Fri, 01 Mar 2024 09:30:00 GMT (UTC)", "2024-03-01T09:30:00.000Z"),
        ("2024-03-01 09:30:00", "2024-03-01T09:30:00.000Z"),
        (1709285400, "2024-03-01T09:30:00.000Z"),
        (None, ""),
        ("", ""),
    ],
)
def test_date_of_a_flat_message(date: object, occurred_at: str) -> None:
    assert read(FLAT | {"date": date}).occurred_at == occurred_at


def test_internal_date_is_milliseconds_even_when_it_is_small() -> None:
    assert read(FLAT | {"internalDate": "31536000000"}).occurred_at == "1971-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('"Smith, John" <john@birch.example>, bob@birch.example', [("john@birch.example", "Smith, John"), ("bob@birch.example", None)]),
        ("bob@birch.example; eve@elm.example", [("bob@birch.example", None), ("eve@elm.example", None)]),
        ("Team: bob@birch.example, eve@elm.example;", [("bob@birch.example", None), ("eve@elm.example", None)]),
        ("bob@birch.example <bob@birch.example>", [("bob@birch.example", None)]),
        ("boss@evil.example <bob@birch.example>", [("bob@birch.example", None)]),
        ("bob@birch.example (Bob)", [("bob@birch.example", "Bob")]),
        ("'Bob B' <bob@birch.example>", [("bob@birch.example", "Bob B")]),
        ("=?utf-8?q?J=C3=B6rg?= <joerg@birch.example>", [("joerg@birch.example", "Jörg")]),
        ("=?no-such-set?q?J=C3?= <joerg@birch.example>", [("joerg@birch.example", "=?no-such-set?q?J=C3?=")]),
        ('"Bob <bob@birch.example>, eve@elm.example', [("bob@birch.example", "Bob"), ("eve@elm.example", None)]),
        ("<bob@birch.example, eve@elm.example", [("bob@birch.example", None), ("eve@elm.example", None)]),
        ("bob@birch.example, BOB@birch.example, Bob <Bob@birch.example>", [("bob@birch.example", "Bob")]),
        ("Undisclosed recipients:;", []),
        ("(" * 100_000 + "bob@birch.example", []),
        ("a@b@birch.example, , @, bob@, eve@elm.example", [("eve@elm.example", None)]),
        (
            ["bob@birch.example, eve@elm.example", "Cid <cid@elm.example>"],
            [("bob@birch.example", None), ("eve@elm.example", None), ("cid@elm.example", "Cid")],
        ),
        (
            [{"email": "bob@birch.example", "name": "Bob"}, {"address": "eve@elm.example"}],
            [("bob@birch.example", "Bob"), ("eve@elm.example", None)],
        ),
        ([None, 7, [], {}, {"email": []}], []),
        (7, []),
    ],
)
def test_addresses_as_people_write_them(line: object, expected: list[tuple[str, str | None]]) -> None:
    assert recipients(line) == expected


def test_sender_who_is_also_a_recipient_takes_part_twice() -> None:
    event = read(FLAT | {"recipients": "Ann Lee <ann@acme.example>", "cc": None})
    assert people(event) == [("sender", "ann@acme.example", "Ann Lee"), ("recipient", "ann@acme.example", "Ann Lee")]
    assert event.memberships == [Membership(0, 2), Membership(1, 2)]


def test_machine_that_sent_it_for_the_author_is_nobody() -> None:
    headers = [{"name": "Sender", "value": "bounce@mailer.example"}, *RESOURCE["payload"]["headers"]]
    assert people(read(RESOURCE | {"payload": {"headers": headers}}))[0] == ("sender", "ann@acme.example", "Ann Lee")


def test_folded_subject_is_one_line() -> None:
    assert read(FLAT | {"subject": "Offer for\r\n =?utf-8?q?M=C3=A4rz?="}).description == "Offer for März"


def test_draft_is_not_sent() -> None:
    assert read(RESOURCE | {"labelIds": ["DRAFT"]}).name == "email drafted"


def test_message_without_an_id_leaves_it_to_the_frame() -> None:
    assert read({name: value for name, value in FLAT.items() if name != "id"}).event_id == ""


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"id": "m3", "threadId": "t1"}, "no address can be read"),
        ({"id": "m3", "raw": "RnJvbTog"}, "no address can be read"),
        ({"sender": "nobody", "recipients": []}, "no address can be read"),
        ({"payload": {"headers": "From: ann@acme.example"}}, "no address can be read"),
        (FLAT | {"date": "soon"}, "the date: 'soon' is not a time"),
        (FLAT | {"date": {"day": 1}}, "the date: dict is not a time"),
        (RESOURCE | {"internalDate": "soon"}, "`internalDate`: 'soon' is not a time"),
        (RESOURCE | {"internalDate": 10**15 - 1}, "`internalDate`: 999999999999999 ms lies outside"),
    ],
)
def test_what_is_no_message_is_rejected(body: dict[str, Any], reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        read(body)


@pytest.mark.parametrize("document", [FLAT, RESOURCE], ids=["flat", "resource"])
def test_junk_anywhere_gives_an_event_or_a_rejection(document: dict[str, Any]) -> None:
    for changed in with_junk(document):
        if isinstance(changed, dict):
            with suppress(Rejected):
                encode_event(read(changed))


@needs(DEMO)
def test_sample_rows_show_one_person_and_two_groups() -> None:
    adapt = build_adapter("mail", SourceSettings(topic="raw.mail", adapter="gmail", payload="record"), TimeSettings())
    with DEMO.open() as rows:
        events = [
            event
            for row in csv.DictReader(rows)
            for event in adapt(SourceRecord("raw.mail", 0, 0, None, json.dumps(row).encode(), RECORD.timestamp_ms))
        ]
    values = [{identifier.value for one in event.participants for identifier in one.identifiers} for event in events]
    assert len(events) == 3
    assert all({"lewis.smith@hollywoodfarms.com", "hollywoodfarms.com", "sliderule.com"} <= found for found in values)
