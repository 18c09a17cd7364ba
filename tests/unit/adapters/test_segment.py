from __future__ import annotations

from typing import Any

import orjson
import pytest

from resolvers.errors import Rejected
from streams.adapters import build_adapter
from streams.events import Event, Identifier, Membership, Origin, Participant
from streams.record import SourceRecord
from streams.settings import SourceSettings, TimeSettings

RECORD_MS = 1_704_164_645_678
RECORD_TIME = "2024-01-02T03:04:05.678Z"


def adapted_all(body: object) -> list[Event]:
    adapt = build_adapter("web", SourceSettings(topic="raw.web", adapter="segment"), TimeSettings())
    return adapt(SourceRecord("raw.web", 0, 9, None, orjson.dumps(body), RECORD_MS))


def adapted(**call: Any) -> Event:
    (event,) = adapted_all(call)
    return event


def identifiers(participant: Participant) -> list[tuple[str, str]]:
    return [(identifier.type, identifier.value) for identifier in participant.identifiers]


def test_identify_gives_identifiers_and_traits() -> None:
    event = adapted(
        type="identify",
        messageId="m-1",
        timestamp="2024-01-01T10:00:00Z",
        userId="u1",
        anonymousId="an-1",
        traits={"email": "ada@x.example", "phone": "+14155550100", "name": "Ada", "address": {"city": "Paris"}, "title": None},
    )
    assert event == Event(
        event_id="m-1",
        source="web",
        name="identify",
        type="identify",
        occurred_at="2024-01-01T10:00:00.000Z",
        recorded_at=RECORD_TIME,
        origin=Origin("raw.web", 0, 9),
        participants=[
            Participant(
                "person",
                "user",
                [
                    Identifier("user_id", "u1"),
                    Identifier("anonymous_id", "an-1"),
                    Identifier("email", "ada@x.example"),
                    Identifier("phone", "+14155550100"),
                ],
                {"email": "ada@x.example", "phone": "+14155550100", "name": "Ada", "address": {"city": "Paris"}},
            )
        ],
    )


def test_track_takes_name_value_and_unit() -> None:
    event = adapted(type="track", userId=7, event="Order Completed", properties={"revenue": "25.00", "total": 30, "currency": "USD"})
    assert (event.name, event.type, event.value, event.value_unit) == ("Order Completed", "track", 25.0, "USD")
    assert identifiers(event.participants[0]) == [("user_id", "7")]


def test_properties_are_about_the_event_and_identify_nobody() -> None:
    event = adapted(
        type="track", userId="u1", event="Invite Sent", properties={"email": "other@x.example", "value": "many", "currency": "USD"}
    )
    assert identifiers(event.participants[0]) == [("user_id", "u1")]
    assert (event.value, event.value_unit) == (None, None)


def test_context_knows_traits_device_and_declared_ids() -> None:
    event = adapted(
        type="track",
        event="Opened",
        anonymousId="an-1",
        context={
            "traits": {"email": "ada@x.example", "plan": "gold"},
            "device": {"id": "B5372DB0"},
            "externalIds": [
                {"id": "c-9", "type": "crm_id", "collection": "users", "encoding": "none"},
                {"id": "acct", "type": "crm_id", "collection": "accounts"},
                {"type": "crm_id"},
            ],
        },
    )
    assert identifiers(event.participants[0]) == [
        ("anonymous_id", "an-1"),
        ("email", "ada@x.example"),
        ("device_id", "B5372DB0"),
        ("crm_id", "c-9"),
    ]
    assert event.participants[0].traits == {"email": "ada@x.example", "plan": "gold"}


@pytest.mark.parametrize(
    ("call", "description"),
    [
        ({"type": "page", "name": "Home", "properties": {"title": "Welcome"}}, "Home"),
        ({"type": "page", "properties": {"title": "Welcome", "url": "https://x.example"}}, "Welcome"),
        ({"type": "screen", "properties": {}}, None),
    ],
)
def test_pages_and_screens_are_described(call: dict[str, Any], description: str | None) -> None:
    event = adapted(anonymousId="an-1", **call)
    assert (event.name, event.description) == (call["type"], description)


def test_a_call_about_nobody_is_kept() -> None:
    assert adapted(type="page", name="Home").participants == [Participant("person", "user")]


def test_group_makes_a_membership_and_the_groups_traits() -> None:
    event = adapted(type="group", userId="u1", groupId="g1", traits={"name": "Initech", "website": "https://www.initech.example"})
    assert event.participants == [
        Participant("person", "user", [Identifier("user_id", "u1")]),
        Participant(
            "group",
            "group",
            [Identifier("group_id", "g1"), Identifier("domain", "https://www.initech.example")],
            {"name": "Initech", "website": "https://www.initech.example"},
        ),
    ]
    assert event.memberships == [Membership(0, 1)]


def test_a_group_call_without_a_person_has_no_membership() -> None:
    assert adapted(type="group", groupId="g1").memberships == []


@pytest.mark.parametrize(
    ("name", "membership"),
    [
        ("Signed In", Membership(0, 1)),
        ("Account Added User", Membership(0, 1, "Owner")),
        ("Account Removed User", Membership(0, 1, ended=True)),
    ],
)
def test_the_contexts_group_is_the_persons_group(name: str, membership: Membership) -> None:
    event = adapted(type="track", event=name, userId="u1", properties={"role": "Owner"}, context={"groupId": "acct_1"})
    assert identifiers(event.participants[1]) == [("group_id", "acct_1")]
    assert event.memberships == [membership]


@pytest.mark.parametrize(
    ("previous", "kind"),
    [
        ("u0", "user_id"),
        ("an-1", "anonymous_id"),
        ("3A12EAB0-bca7-11e4-8dfc-aa07a5b093db", "anonymous_id"),
        ("jen@x.example", "email"),
        (12, "user_id"),
    ],
)
def test_alias_makes_previous_and_present_one_person(previous: object, kind: str) -> None:
    event = adapted(type="alias", previousId=previous, userId="u1", anonymousId="an-1")
    assert len(event.participants) == 1
    assert set(identifiers(event.participants[0])) == {("user_id", "u1"), ("anonymous_id", "an-1"), (kind, str(previous))}


def test_a_batch_gives_an_event_for_each_call() -> None:
    events = adapted_all(
        {
            "sentAt": "2024-01-01T10:00:00Z",
            "context": {"device": {"id": "d1"}},
            "batch": [
                {"type": "identify", "userId": "u1", "messageId": "m-1", "timestamp": "2024-01-01T09:00:00Z"},
                {"type": "track", "event": "Opened", "userId": "u1"},
                {"type": "screen", "userId": "u1", "context": {"device": {"id": "d2"}}},
            ],
        }
    )
    assert [(event.name, event.occurred_at) for event in events] == [
        ("identify", "2024-01-01T09:00:00.000Z"),
        ("Opened", "2024-01-01T10:00:00.000Z"),
        ("screen", "2024-01-01T10:00:00.000Z"),
    ]
    assert [identifiers(event.participants[0])[-1] for event in events] == [("device_id", "d1"), ("device_id", "d1"), ("device_id", "d2")]
    assert len({event.event_id for event in events}) == 3


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"timestamp": "2024-01-01T01:00:00Z", "originalTimestamp": "2024-01-01T02:00:00Z"}, "2024-01-01T01:00:00.000Z"),
        ({"originalTimestamp": "2024-01-01T02:00:00+01:00", "sentAt": "2024-01-01T03:00:00Z"}, "2024-01-01T01:00:00.000Z"),
        ({"timestamp": "", "sentAt": "2024-01-01T03:00:00Z", "receivedAt": "2024-01-01T04:00:00Z"}, "2024-01-01T03:00:00.000Z"),
        ({"receivedAt": 1_704_067_200}, "2024-01-01T00:00:00.000Z"),
        ({}, RECORD_TIME),
    ],
)
def test_the_best_time_that_the_call_has_is_taken(times: dict[str, Any], expected: str) -> None:
    assert adapted(type="page", userId="u1", **times).occurred_at == expected


def test_a_rudderstack_call_is_read() -> None:
    event = adapted(
        type="identify",
        channel="web",
        messageId="r-1",
        originalTimestamp="2024-01-01T09:59:58.000Z",
        sentAt="2024-01-01T10:00:00.000Z",
        userId="",
        anonymousId="f1a2",
        rudderId="x",
        context={"traits": {"email": "ada@x.example", "firstName": "Ada"}, "device": {"id": "d1"}},
        integrations={"All": True},
    )
    assert identifiers(event.participants[0]) == [("anonymous_id", "f1a2"), ("email", "ada@x.example"), ("device_id", "d1")]
    assert event.participants[0].traits == {"email": "ada@x.example", "firstName": "Ada"}
    assert event.occurred_at == "2024-01-01T09:59:58.000Z"


@pytest.mark.parametrize(
    ("event_type", "name", "kind"),
    [("pageview", "page", "page"), ("user_identify", "identify", "identify"), ("product_purchase", "product_purchase", "track")],
)
def test_a_jitsu_call_is_read(event_type: str, name: str, kind: str) -> None:
    event = adapted(
        event_type=event_type,
        eventn_ctx={"event_id": "j-1"},
        utc_time="2024-01-01T10:00:00.000000Z",
        user={"id": "u1", "anonymous_id": "an-1", "email": "ada@x.example", "name": "Ada", "hashed_anonymous_id": "zz"},
    )
    assert (event.event_id, event.name, event.type, event.occurred_at) == ("j-1", name, kind, "2024-01-01T10:00:00.000Z")
    assert identifiers(event.participants[0]) == [("user_id", "u1"), ("anonymous_id", "an-1"), ("email", "ada@x.example")]
    assert event.participants[0].traits == {"email": "ada@x.example", "name": "Ada"}


def test_snake_case_and_the_older_action_are_read() -> None:
    event = adapted(
        action="Track", event="Saved", user_id="u1", anonymous_id="an-1", message_id="m-1", original_timestamp="2024-01-01", group_id="g1"
    )
    assert (event.event_id, event.name, event.occurred_at) == ("m-1", "Saved", "2024-01-01T00:00:00.000Z")
    assert identifiers(event.participants[0]) == [("user_id", "u1"), ("anonymous_id", "an-1")]
    assert identifiers(event.participants[1]) == [("group_id", "g1")]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "the call has no `type`; it should be one of identify, track, page, screen, alias, group"),
        ({"type": "delete"}, "the call's type 'delete' is not known; allowed: identify, track"),
        ({"event_type": "custom"}, "the call's type 'custom' is not known"),
        ({"type": ["track"]}, "`type` of the call should be text or a number"),
        ({"type": "track", "userId": "u1"}, "the track call has no `event`"),
        ({"type": "track", "event": "E", "userId": {"id": 1}}, "`userId` of the call should be text or a number"),
        ({"type": "track", "event": "E", "properties": "none"}, "`properties` of the call is not an object"),
        ({"type": "identify", "traits": [1]}, "`traits` of the call is not an object"),
        ({"type": "page", "context": {"device": "phone"}}, "`context.device` of the call is not an object"),
        ({"type": "page", "timestamp": "yesterday"}, "`timestamp` of the call: 'yesterday' is not a time"),
        ({"type": "group", "userId": "u1"}, "the group call has no `groupId`"),
        ({"type": "alias", "userId": "u1"}, "the alias call needs both `previousId` and `userId`"),
        ({"type": "alias", "previousId": "u1"}, "the alias call needs both `previousId` and `userId`"),
        ({"batch": []}, "the batch is not a list of at least one call"),
        ({"batch": {"type": "page"}}, "the batch is not a list of at least one call"),
        ({"batch": [{"type": "page"}, 5]}, "call 1 of the batch is not an object"),
        ({"batch": [{"type": "page"}, {"type": "x"}]}, "call 1 of the batch: the call's type 'x' is not known"),
    ],
)
def test_a_call_that_cannot_be_read_is_rejected_with_the_reason(body: dict[str, Any], reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        adapted_all(body)


def test_a_phone_made_of_objects_stays_a_trait_only() -> None:
    event = adapted(type="identify", userId="u1", traits={"phone": {"home": "1"}, "email": ["a@x.example", "b@x.example"]})
    assert identifiers(event.participants[0]) == [("user_id", "u1"), ("email", "a@x.example"), ("email", "b@x.example")]
    assert event.participants[0].traits["phone"] == {"home": "1"}


def test_a_field_called_user_that_is_no_object_means_nothing() -> None:
    assert identifiers(adapted(type="page", userId="u1", user="ada").participants[0]) == [("user_id", "u1")]
