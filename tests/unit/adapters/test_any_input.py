"""Whatever a source writes, a built-in adapter gives whole events or a rejection with a reason."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from resolvers.errors import Rejected
from streams.adapters import BUILT_IN, Adapter, build_adapter
from streams.events import decode_event, encode_event
from streams.record import SourceRecord
from streams.settings import SourceSettings, TimeSettings

RECORD_MS = 1_704_164_645_678

MAPPING = SourceSettings.model_validate(
    {
        "topic": "raw",
        "adapter": "mapping",
        "event": {"id": "id", "name": "type || 'n'", "value": "amount", "occurred_at": "at"},
        "participants": [
            {
                "entity": "person",
                "identifiers": {"email": "emails[].at", "user_id": "[id, other]"},
                "traits": {"t": "traits", "k": "keys(traits)"},
            },
            {"entity": "group", "identifiers": {"domain": "data.domain"}, "states": {"s": "status"}},
        ],
        "memberships": [{"member": 0, "group": 1, "role": "type", "ended": "deleted"}],
    }
)

ADDRESS = {"email": "ada@x.example", "displayName": "Ada", "responseStatus": "accepted"}
STRIPE = {"id": "in_1", "created": 1704067200, "currency": "usd", "amount_paid": 100, "total": 100, "customer": "cus_1", "status": "paid"}
RECORDS: dict[str, list[dict[str, Any]]] = {
    "mapping": [
        {
            "id": 1,
            "type": "t",
            "amount": "1.5",
            "at": 1704067200,
            "emails": [{"at": "ada@x.example"}],
            "deleted": "no",
            "traits": {"a": 1},
            "data": {"domain": "x.example"},
            "status": "s",
        }
    ],
    "segment": [
        {
            "type": "identify",
            "userId": "u1",
            "anonymousId": "a1",
            "traits": {"email": "ada@x.example", "phone": 1},
            "timestamp": "2024-01-01",
            "context": {"traits": {}, "device": {"id": "d"}, "groupId": "g", "externalIds": [{"type": "t", "id": "i"}]},
        },
        {
            "batch": [
                {"type": "track", "event": "E", "properties": {"revenue": 1, "currency": "USD"}},
                {"type": "alias", "previousId": "p", "userId": "u"},
            ]
        },
        {
            "event_type": "pageview",
            "user": {"id": "u", "email": "ada@x.example"},
            "eventn_ctx": {"event_id": "e"},
            "utc_time": "2024-01-01",
        },
    ],
    "gmail": [
        {
            "id": "m",
            "threadId": "t",
            "date": "2024-01-01T00:00:00Z",
            "subject": "s",
            "sender": "Ada <ada@x.example>",
            "recipients": 'bob@y.example, "L, C" <c@z.example>',
        },
        {
            "id": "m",
            "internalDate": "1704067200000",
            "labelIds": ["SENT"],
            "payload": {"headers": [{"name": "From", "value": "ada@x.example"}, {"name": "To", "value": "b@y.example, c@z.example"}]},
        },
    ],
    "google_calendar": [
        {
            "kind": "calendar#event",
            "id": "c",
            "status": "confirmed",
            "summary": "s",
            "created": "2024-01-01T00:00:00Z",
            "start": {"dateTime": "2024-01-01T10:00:00Z", "timeZone": "UTC"},
            "end": {"date": "2024-01-02"},
            "updated": "2024-01-01T00:00:00Z",
            "attendees": [ADDRESS, {**ADDRESS, "self": True}],
            "organizer": ADDRESS,
            "creator": ADDRESS,
        }
    ],
    "stripe": [
        {"id": "evt", "type": "invoice.paid", "created": 1704067200, "data": {"object": {"object": "invoice", **STRIPE}}},
        {"object": "invoice", **STRIPE, "customer_email": "ada@x.example", "status_transitions": {"paid_at": 1704067200}},
        {
            "object": "payment_intent",
            **STRIPE,
            "receipt_email": "ada@x.example",
            "amount": 100,
            "charges": {"data": [{"billing_details": {"email": "ada@x.example", "name": "Ada"}}]},
        },
        {"object": "customer", "id": "cus_1", "email": "ada@x.example", "created": 1704067200, "name": "Ada", "metadata": {"a": "b"}},
        {"object": "subscription", **STRIPE, "items": {"data": [{"price": {"unit_amount": 100, "currency": "jpy"}, "quantity": 1}]}},
    ],
    "shopify": [
        {
            "id": 1,
            "email": "ada@x.example",
            "phone": "+1",
            "first_name": "Ada",
            "orders_count": 1,
            "verified_email": True,
            "created_at": "2024-01-01",
            "updated_at": "2024-01-01",
        },
        {
            "id": 2,
            "order_number": 1,
            "total_price": "1.5",
            "currency": "USD",
            "financial_status": "paid",
            "created_at": "2024-01-01",
            "line_items": [],
            "email": "ada@x.example",
            "customer": {"id": 1, "email": "ada@x.example"},
            "billing_address": {"phone": "+1"},
        },
        {"id": 3, "myshopify_domain": "x.myshopify.com", "domain": "www.x.example", "shop_owner": "Ada", "email": "ada@x.example"},
    ],
}

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
KEYS = st.sampled_from(["id", "type", "email", "object", "data", "value", "at"]) | st.text(max_size=3)
DOCUMENTS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)


@st.composite
def damaged(draw: st.DrawFn, node: Any) -> Any:
    """Draw a record like the given one, with some of its values replaced or left out."""
    if draw(st.integers(0, 11)) == 0:
        return draw(DOCUMENTS)
    if isinstance(node, dict):
        return {key: draw(damaged(child)) for key, child in node.items() if draw(st.integers(0, 15)) > 0}
    if isinstance(node, list):
        return [draw(damaged(child)) for child in node]
    return node


def built(name: str, payload: str | None = None) -> Adapter:
    source = MAPPING if name == "mapping" else SourceSettings(topic="raw", adapter=name)
    return build_adapter("any", source.model_copy(update={"payload": payload}), TimeSettings())


def refusal(adapt: Adapter, record: SourceRecord) -> str | None:
    """Give the reason of a rejection, or check the events and give None."""
    try:
        events = adapt(record)
    except Rejected as error:
        return str(error)
    assert events
    for event in events:
        assert event.event_id
        assert event.source == "any"
        assert decode_event(encode_event(event)) == event
    assert adapt(record) == events
    return None


def check(adapt: Adapter, value: bytes | None, timestamp_ms: int = RECORD_MS) -> None:
    reason = refusal(adapt, SourceRecord("raw", 0, 0, None, value, timestamp_ms))
    assert reason is None or 5 < len(reason) < 1000


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_records_to_be_damaged_are_read_when_whole(name: str) -> None:
    for whole in RECORDS[name]:
        assert refusal(built(name), SourceRecord("raw", 0, 0, None, orjson.dumps(whole), RECORD_MS)) is None


@pytest.mark.parametrize("name", BUILT_IN)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_damaged_record_gives_events_or_a_rejection(name: str, data: st.DataObject) -> None:
    document = data.draw(st.sampled_from(RECORDS[name]).flatmap(damaged))
    check(built(name), orjson.dumps(document))


@pytest.mark.parametrize("name", BUILT_IN)
@settings(max_examples=30, deadline=None)
@given(value=st.binary() | DOCUMENTS.map(orjson.dumps) | st.none(), timestamp_ms=st.integers(-1, 2**62))
@example(value=b"[" * 200_000, timestamp_ms=RECORD_MS)
@example(value=b'{"traits":' * 5_000 + b"1" + b"}" * 5_000, timestamp_ms=RECORD_MS)
@example(value=b'{"id":' + b"9" * 4_000 + b"}", timestamp_ms=RECORD_MS)
@example(value=b'{"id":' + b"9" * 300 + b',"at":0,"type":"page"}', timestamp_ms=RECORD_MS)
@example(value=b'{"id":1e308,"created":1e308,"at":1e308}', timestamp_ms=RECORD_MS)
@example(value=b'{"id":"\\ud83d","type":"track"}', timestamp_ms=RECORD_MS)
def test_any_bytes_give_events_or_a_rejection(name: str, value: bytes | None, timestamp_ms: int) -> None:
    check(built(name), value, timestamp_ms)


@pytest.mark.parametrize("name", BUILT_IN)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_payload_of_any_kind_gives_events_or_a_rejection(name: str, data: st.DataObject) -> None:
    payload = data.draw(DOCUMENTS | st.sampled_from(RECORDS[name]).flatmap(damaged).map(lambda found: orjson.dumps(found).decode()))
    check(built(name, payload="record"), orjson.dumps({"id": "e", "type": "t", "record": payload}))
