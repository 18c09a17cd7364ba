"""The canonical form as it is written, and what reading accepts."""

from __future__ import annotations

import json

from streams.events import Event, Identifier, Membership, Participant, decode_event, encode_event

TIME = "2024-01-01T00:00:00.000Z"


def test_what_an_event_is_made_of_is_written_also_when_it_is_empty() -> None:
    event = Event("e1", "crm", "seen", TIME, participants=[Participant("person")], memberships=[Membership(0, 0)])

    assert json.loads(encode_event(event)) == {
        "event_id": "e1",
        "source": "crm",
        "name": "seen",
        "occurred_at": TIME,
        "participants": [{"entity": "person", "role": "", "identifiers": [], "traits": {}, "states": {}}],
        "memberships": [{"member": 0, "group": 0, "role": None, "ended": False}],
    }


def test_an_event_of_nobody_says_so() -> None:
    assert json.loads(encode_event(Event("e1", "crm", "seen", TIME))) == {
        "event_id": "e1",
        "source": "crm",
        "name": "seen",
        "occurred_at": TIME,
        "participants": [],
        "memberships": [],
    }


def test_events_that_leave_empty_fields_out_are_read() -> None:
    bare = b'{"event_id": "e1", "source": "crm", "name": "seen", "occurred_at": "2024-01-01T00:00:00.000Z"'
    sparse = (
        bare
        + b', "participants": [{"entity": "person", "identifiers": [{"type": "email", "value": "a@b.example"}]}],'
        + (b' "memberships": [{"member": 0, "group": 0}]}')
    )

    assert decode_event(bare + b"}") == Event("e1", "crm", "seen", TIME)
    assert decode_event(sparse) == Event(
        "e1",
        "crm",
        "seen",
        TIME,
        participants=[Participant("person", identifiers=[Identifier("email", "a@b.example")])],
        memberships=[Membership(0, 0)],
    )


def test_no_two_events_share_a_list() -> None:
    one, other = (Event(name, "crm", "seen", TIME) for name in ("e1", "e2"))
    one.participants.append(Participant("person"))

    assert other.participants == []
