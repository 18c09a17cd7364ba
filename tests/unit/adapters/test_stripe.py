from __future__ import annotations

import csv
import json
from contextlib import suppress
from typing import Any

import pytest

from resolvers.errors import Rejected
from streams.adapters import build_adapter
from streams.adapters.decode import Document
from streams.adapters.stripe import build
from streams.events import Event, Identifier, Membership, Participant, encode_event
from streams.record import SourceRecord
from streams.settings import SourceSettings, TimeSettings
from tests.extra import DATA, needs
from tests.junk import with_junk

DEMO = [DATA / "events_dbt_nexus_demo" / f"stripe_{what}_raw_demo.csv" for what in ("invoices", "payments")]
FIXTURES = DATA / "events_stripe_fixtures" / "events.jsonl"
RECORD = SourceRecord("raw.stripe", 0, 0, None, b"", 1_800_000_000_000)
READ = build("billing", SourceSettings(topic="raw.stripe", adapter="stripe"))

INVOICE: dict[str, Any] = {
    "id": "in_1",
    "object": "invoice",
    "created": 1709200000,
    "status": "paid",
    "number": "A-1",
    "currency": "usd",
    "amount_due": 2999,
    "amount_paid": 2500,
    "customer": "cus_1",
    "customer_email": "ann@acme.example",
    "customer_name": "Ann Lee",
    "customer_phone": "+15550100",
    "status_transitions": {"finalized_at": 1709200001, "paid_at": 1709285400, "voided_at": None},
}
CUSTOMER: dict[str, Any] = {
    "id": "cus_1",
    "object": "customer",
    "created": 1700000000,
    "email": "ann@acme.example",
    "name": "Ann Lee",
    "phone": None,
}
PAYMENT: dict[str, Any] = {
    "id": "pi_1",
    "object": "payment_intent",
    "created": 1709285000,
    "status": "succeeded",
    "currency": "eur",
    "amount": 1000,
    "amount_received": 900,
    "customer": "cus_1",
    "receipt_email": "ann@acme.example",
    "charges": {
        "object": "list",
        "data": [{"id": "ch_1", "billing_details": {"email": "ann@acme.example", "name": "Ann Lee", "phone": "+15550100"}}],
    },
}
CHARGE: dict[str, Any] = {
    "id": "ch_1",
    "object": "charge",
    "created": 1709285000,
    "status": "succeeded",
    "currency": "eur",
    "amount": 1000,
    "amount_captured": 800,
    "amount_refunded": 300,
    "customer": None,
    "billing_details": {"email": "ann@acme.example", "name": "Ann Lee", "phone": None},
}
SUBSCRIPTION: dict[str, Any] = {"id": "sub_1", "object": "subscription", "created": 1700000000, "status": "past_due", "customer": "cus_1"}


def webhook(event_type: str, of: object, **changes: object) -> dict[str, Any]:
    return {"id": "evt_1", "object": "event", "type": event_type, "created": 1709290000, "data": {"object": of}} | changes


def read(body: dict[str, Any], envelope: dict[str, Any] | None = None) -> Event:
    (event,) = READ(Document(body, envelope), RECORD)
    return event


def customer(event: Event) -> dict[str, str]:
    return {identifier.type: identifier.value for identifier in event.participants[0].identifiers}


def test_paid_invoice_counts_what_was_paid_when_it_was_paid() -> None:
    assert read(webhook("invoice.paid", INVOICE)) == Event(
        event_id="evt_1",
        source="billing",
        name="invoice paid",
        occurred_at="2024-03-01T09:30:00.000Z",
        type="invoice",
        description="Invoice paid: A-1",
        value=25.0,
        value_unit="USD",
        participants=[
            Participant(
                "person",
                "customer",
                [Identifier("stripe_customer_id", "cus_1"), Identifier("phone", "+15550100"), Identifier("email", "ann@acme.example")],
                {"name": "Ann Lee"},
            ),
            Participant("group", "customer_domain", [Identifier("domain", "acme.example")]),
        ],
        memberships=[Membership(0, 1)],
    )


@pytest.mark.parametrize(
    ("event_type", "of", "name", "short_type", "value"),
    [
        ("invoice.created", INVOICE, "invoice created", "invoice", 29.99),
        ("invoice.finalized", INVOICE, "invoice finalized", "invoice", 29.99),
        ("invoice.payment_succeeded", INVOICE, "invoice payment succeeded", "invoice", 25.0),
        ("invoice.payment_failed", INVOICE, "invoice payment failed", "invoice", 29.99),
        ("payment_intent.created", PAYMENT, "payment created", "payment", 10.0),
        ("payment_intent.succeeded", PAYMENT, "payment succeeded", "payment", 9.0),
        ("payment_intent.payment_failed", PAYMENT, "payment failed", "payment", 10.0),
        ("payment_intent.amount_capturable_updated", PAYMENT, "payment amount capturable updated", "payment", 10.0),
        ("customer.created", CUSTOMER, "customer created", "customer", None),
        ("customer.updated", CUSTOMER, "customer updated", "customer", None),
        ("customer.deleted", CUSTOMER, "customer deleted", "customer", None),
        ("customer.subscription.updated", SUBSCRIPTION, "subscription updated", "subscription", None),
        ("customer.subscription.trial_will_end", SUBSCRIPTION, "subscription trial will end", "subscription", None),
        ("charge.succeeded", CHARGE, "charge succeeded", "charge", 10.0),
        ("charge.captured", CHARGE, "charge captured", "charge", 8.0),
        ("charge.refunded", CHARGE, "charge refunded", "charge", 3.0),
        (
            "charge.dispute.created",
            {"id": "dp_1", "object": "dispute", "amount": 500, "currency": "usd"},
            "charge dispute created",
            "charge",
            5.0,
        ),
        (
            "charge.refund.updated",
            {"id": "re_1", "object": "refund", "amount": 500, "currency": "usd"},
            "charge refund updated",
            "charge",
            5.0,
        ),
    ],
)
def test_event_types_in_the_words_of_stripe(event_type: str, of: dict[str, Any], name: str, short_type: str, value: float | None) -> None:
    event = read(webhook(event_type, of))
    assert (event.name, event.type, event.value) == (name, short_type, value)


def test_other_events_occur_when_stripe_made_them() -> None:
    assert read(webhook("invoice.created", INVOICE)).occurred_at == "2024-03-01T10:46:40.000Z"
    assert read(webhook("invoice.paid", INVOICE | {"status_transitions": {"paid_at": None}})).occurred_at == "2024-03-01T10:46:40.000Z"
    assert read(webhook("payment_intent.succeeded", PAYMENT)).occurred_at == "2024-03-01T10:46:40.000Z"


@pytest.mark.parametrize(
    ("amount", "currency", "value", "unit"),
    [
        (1999, "usd", 19.99, "USD"),
        (500, "jpy", 500.0, "JPY"),
        (5120, "kwd", 5.12, "KWD"),
        (500, "ugx", 5.0, "UGX"),
        (500, "isk", 5.0, "ISK"),
        (-1999, "usd", -19.99, "USD"),
        ("1999", "USD", 19.99, "USD"),
        (0, "usd", 0.0, "USD"),
        (19.5, "usd", None, None),
        ("19,99", "usd", None, None),
        (10**18, "usd", None, None),
        (True, "usd", None, None),
        (None, "usd", None, None),
        (1999, None, None, None),
    ],
)
def test_amounts_are_in_units_of_their_currency(amount: object, currency: object, value: float | None, unit: str | None) -> None:
    event = read(webhook("charge.succeeded", CHARGE | {"amount": amount, "currency": currency}))
    assert (event.value, event.value_unit) == (value, unit)


def test_customer_event_identifies_by_the_customer_itself() -> None:
    event = read(webhook("customer.updated", CUSTOMER | {"phone": "+15550100"}))
    assert customer(event) == {"stripe_customer_id": "cus_1", "phone": "+15550100", "email": "ann@acme.example"}
    assert event.participants[0].traits == {"name": "Ann Lee"}


def test_expanded_customer_is_read_like_a_customer() -> None:
    event = read(webhook("customer.subscription.updated", SUBSCRIPTION | {"customer": CUSTOMER}))
    assert customer(event) == {"stripe_customer_id": "cus_1", "email": "ann@acme.example"}


def test_subscription_event_tells_its_state() -> None:
    assert read(webhook("customer.subscription.updated", SUBSCRIPTION)).participants[0].states == {"subscription": "past_due"}


@pytest.mark.parametrize("where", ["charges", "latest_charge"])
def test_payment_is_billed_to_whom_its_charge_names(where: str) -> None:
    of = (
        PAYMENT
        | {"receipt_email": None, "charges": None}
        | {where: PAYMENT["charges"] if where == "charges" else CHARGE | {"customer": "cus_1"}}
    )
    event = read(webhook("payment_intent.succeeded", of))
    assert customer(event)["email"] == "ann@acme.example"
    assert event.participants[0].traits == {"name": "Ann Lee"}


def test_receipt_that_goes_elsewhere_is_another_person() -> None:
    event = read(webhook("charge.succeeded", CHARGE | {"customer": "cus_1", "receipt_email": "Books@acme.example"}))
    assert [(one.role, one.identifiers[-1].value) for one in event.participants] == [
        ("customer", "ann@acme.example"),
        ("receipt", "Books@acme.example"),
        ("customer_domain", "acme.example"),
    ]
    assert event.memberships == [Membership(0, 2), Membership(1, 2)]


def test_receipt_is_the_customers_when_nothing_else_is_known() -> None:
    event = read(webhook("charge.succeeded", CHARGE | {"billing_details": None, "receipt_email": "ann@gmail.com"}))
    assert customer(event) == {"email": "ann@gmail.com"}
    assert len(event.participants) == 1


@pytest.mark.parametrize(
    "data",
    [INVOICE, {"object": INVOICE}, json.dumps(INVOICE), json.dumps({"object": INVOICE})],
    ids=["object", "event data", "text", "text of event data"],
)
def test_row_of_an_export_holds_the_object_or_its_text(data: object) -> None:
    row = {"id": "evt_2", "created": "1709290000", "livemode": "false", "type": "invoice.created", "data": data}
    event = read(row)
    assert (event.event_id, event.name, event.occurred_at) == ("evt_2", "invoice created", "2024-03-01T10:46:40.000Z")


@pytest.mark.parametrize("body", [INVOICE, {"object": INVOICE, "previous_attributes": {}}], ids=["object", "event data"])
def test_payload_inside_a_row_takes_id_type_and_time_of_the_row(body: dict[str, Any]) -> None:
    event = read(body, {"id": "evt_2", "created": "1709290000", "type": "invoice.created", "data": "..."})
    assert (event.event_id, event.name, event.occurred_at) == ("evt_2", "invoice created", "2024-03-01T10:46:40.000Z")


@pytest.mark.parametrize("envelope", [None, {"id": "7", "created": "1709290000"}, {"id": "7", "type": "row"}])
@pytest.mark.parametrize(
    ("of", "name", "occurred_at"),
    [
        (INVOICE, "invoice paid", "2024-03-01T09:30:00.000Z"),
        (INVOICE | {"status": "open"}, "invoice open", "2024-02-29T09:46:41.000Z"),
        (INVOICE | {"status": "draft"}, "invoice draft", "2024-02-29T09:46:40.000Z"),
        (PAYMENT, "payment succeeded", "2024-03-01T09:23:20.000Z"),
        (PAYMENT | {"status": "requires_payment_method"}, "payment requires payment method", "2024-03-01T09:23:20.000Z"),
        (PAYMENT | {"status": "canceled", "canceled_at": 1709285400}, "payment canceled", "2024-03-01T09:30:00.000Z"),
        (CHARGE, "charge succeeded", "2024-03-01T09:23:20.000Z"),
        (CHARGE | {"refunded": True}, "charge refunded", "2024-03-01T09:23:20.000Z"),
        (CUSTOMER, "customer updated", ""),
        ({"id": "cus_1", "object": "customer", "deleted": True}, "customer deleted", ""),
        (SUBSCRIPTION, "subscription past due", ""),
        (
            SUBSCRIPTION | {"status": "canceled", "ended_at": 1709285400, "canceled_at": 1},
            "subscription canceled",
            "2024-03-01T09:30:00.000Z",
        ),
    ],
)
def test_bare_object_is_named_and_timed_by_its_status(
    of: dict[str, Any], name: str, occurred_at: str, envelope: dict[str, Any] | None
) -> None:
    event = read(of, envelope)
    assert (event.event_id, event.name, event.occurred_at) == ("", name, occurred_at)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (webhook("plan.created", {"id": "p", "object": "plan"}), "the event type 'plan.created' is not read; these are: invoice"),
        (webhook("customer.source.created", {"id": "card_1", "object": "card"}), "the event type 'customer.source.created' is not read"),
        (webhook("invoice", INVOICE), "the event type 'invoice' is not read"),
        (webhook("invoice.paid", CUSTOMER), "of kind 'customer', and should come with 'invoice'"),
        (webhook("invoice.paid", {"amount_paid": 1}), "neither `object` nor `id`"),
        (webhook("invoice.paid", None, data=[]), "`data` holds no object"),
        (webhook("invoice.paid", None, data="{'id': 1}"), "the text in `data` is not valid JSON"),
        (webhook("invoice.paid", None, data="[1]"), "`data` holds no object"),
        (
            webhook("invoice.paid", INVOICE | {"status_transitions": {"paid_at": "soon"}}),
            "`status_transitions.paid_at`: 'soon' is not a time",
        ),
        (webhook("charge.succeeded", CHARGE, created="soon"), "`created`: 'soon' is not a time"),
        ({"id": "acct_1", "object": "account"}, "`object` is 'account'"),
        ({}, "`object` is ''"),
        ({"type": "invoice.paid"}, "`object` is ''"),
    ],
)
def test_what_is_not_read_is_rejected(body: dict[str, Any], reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        read(body)


@pytest.mark.parametrize(
    "document",
    [
        INVOICE,
        webhook("invoice.paid", INVOICE),
        webhook("payment_intent.succeeded", PAYMENT),
        webhook("charge.refunded", CHARGE),
        webhook("customer.subscription.updated", SUBSCRIPTION | {"customer": CUSTOMER}),
    ],
    ids=["bare", "invoice", "payment", "charge", "subscription"],
)
def test_junk_anywhere_gives_an_event_or_a_rejection(document: dict[str, Any]) -> None:
    for changed in with_junk(document):
        if isinstance(changed, dict):
            with suppress(Rejected):
                encode_event(read(changed))
                encode_event(read(INVOICE, changed))


@needs(DEMO[0])
@pytest.mark.parametrize("payload", [None, "data"])
def test_sample_rows_show_one_person_and_one_group(payload: str | None) -> None:
    adapt = build_adapter("billing", SourceSettings(topic="raw.stripe", adapter="stripe", payload=payload), TimeSettings())
    rows = [row for path in DEMO for row in csv.DictReader(path.read_text().splitlines())]
    events = [
        event for row in rows for event in adapt(SourceRecord("raw.stripe", 0, 0, None, json.dumps(row).encode(), RECORD.timestamp_ms))
    ]
    assert [event.name for event in events] == ["invoice created", "invoice payment succeeded", "payment succeeded", "payment succeeded"]
    assert {(event.value, event.value_unit) for event in events} == {(29.99, "USD")}
    assert {customer(event)["email"] for event in events} == {"lewis.smith@hollywoodfarms.com"}
    assert {event.participants[1].identifiers[0].value for event in events} == {"hollywoodfarms.com"}


@needs(FIXTURES)
def test_sample_objects_are_read_or_rejected() -> None:
    read_kinds = set()
    for line in FIXTURES.read_text().splitlines():
        record = json.loads(line)
        try:
            read(record["payload"])
            read_kinds.add(record["kind"])
        except Rejected:
            continue
    assert read_kinds == {"charge", "customer", "invoice", "payment_intent", "subscription"}
