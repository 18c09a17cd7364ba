from __future__ import annotations

import csv
import json
from contextlib import suppress
from typing import Any

import pytest

from resolvers.errors import Rejected
from streams.adapters import build_adapter
from streams.adapters.decode import Document
from streams.adapters.shopify import build
from streams.events import Event, Identifier, Membership, Participant, encode_event
from streams.record import SourceRecord
from streams.settings import SourceSettings, TimeSettings
from tests.extra import DATA, needs
from tests.junk import with_junk

DEMO = DATA / "events_dbt_nexus_demo" / "shopify_shops_raw_demo.csv"
NOW_MS = 1_800_000_000_000
READ = build("store", SourceSettings(topic="raw.store", adapter="shopify"))

CUSTOMER: dict[str, Any] = {
    "id": 207119551,
    "email": "ann@acme.example",
    "phone": "+15550100",
    "first_name": "Ann",
    "last_name": "Lee",
    "orders_count": 3,
    "verified_email": True,
    "created_at": "2024-02-01T10:00:00+01:00",
    "updated_at": "2024-03-01T10:30:00+01:00",
}
CUSTOMER_NODE: dict[str, Any] = {
    "id": "gid://shopify/Customer/207119551",
    "firstName": "Ann",
    "lastName": "Lee",
    "defaultEmailAddress": {"emailAddress": "ann@acme.example"},
    "defaultPhoneNumber": {"phoneNumber": "+15550100"},
    "createdAt": "2024-02-01T09:00:00Z",
    "updatedAt": "2024-03-01T09:30:00Z",
}
ORDER: dict[str, Any] = {
    "id": 450789469,
    "admin_graphql_api_id": "gid://shopify/Order/450789469",
    "name": "#1001",
    "email": "ann@acme.example",
    "total_price": "409.94",
    "currency": "USD",
    "financial_status": "paid",
    "created_at": "2024-03-01T10:31:00+01:00",
    "processed_at": "2024-03-01T10:30:00+01:00",
    "updated_at": "2024-03-02T10:30:00+01:00",
    "customer": CUSTOMER,
}
SHOP: dict[str, Any] = {
    "id": 548380009,
    "name": "Acme",
    "email": "ann@acme.example",
    "customer_email": "help@acme.example",
    "domain": "www.acme.example",
    "myshopify_domain": "acme.myshopify.com",
    "shop_owner": "Ann Lee",
    "phone": "+15550199",
    "plan_name": "basic",
    "created_at": "2019-01-01T00:00:00Z",
    "updated_at": "2024-03-01T09:30:00Z",
}


def record(topic: str | None = None, value: bytes = b"") -> SourceRecord:
    headers = () if topic is None else (("x-other", b"1"), ("X-Shopify-Topic", topic.encode()))
    return SourceRecord("raw.store", 0, 0, None, value, NOW_MS, headers)


def read(body: dict[str, Any], topic: str | None = None) -> Event:
    (event,) = READ(Document(body), record(topic))
    return event


def identifiers(event: Event, index: int = 0) -> list[tuple[str, str]]:
    return [(identifier.type, identifier.value) for identifier in event.participants[index].identifiers]


@pytest.mark.parametrize("body", [CUSTOMER, CUSTOMER_NODE, {"customer": CUSTOMER}, {"id": CUSTOMER["id"], "_all": CUSTOMER}])
def test_customer_of_any_api_is_the_same_person(body: dict[str, Any]) -> None:
    assert read(body) == Event(
        event_id="customer:207119551:updated:2024-03-01T09:30:00.000Z",
        source="store",
        name="customer updated",
        occurred_at="2024-03-01T09:30:00.000Z",
        type="customer",
        description="Customer Ann Lee updated",
        participants=[
            Participant(
                "person",
                "customer",
                [Identifier("shopify_customer_id", "207119551"), Identifier("phone", "+15550100"), Identifier("email", "ann@acme.example")],
                {"name": "Ann Lee"},
            ),
            Participant("group", "customer_domain", [Identifier("domain", "acme.example")]),
        ],
        memberships=[Membership(0, 1)],
    )


@pytest.mark.parametrize("updated", [CUSTOMER["created_at"], "2024-02-01T09:00:00Z", None])
def test_customer_that_never_changed_was_created(updated: str | None) -> None:
    event = read(CUSTOMER | {"updated_at": updated})
    assert (event.event_id, event.name, event.occurred_at) == ("customer:207119551:created", "customer created", "2024-02-01T09:00:00.000Z")


def test_order_is_placed_when_it_was_processed_and_counts_its_total() -> None:
    event = read(ORDER)
    assert (event.event_id, event.name, event.type) == ("order:450789469:placed", "order placed", "order")
    assert event.occurred_at == "2024-03-01T09:30:00.000Z"
    assert (event.value, event.value_unit, event.description) == (409.94, "USD", "Order #1001 placed, paid")
    assert identifiers(event) == [("shopify_customer_id", "207119551"), ("phone", "+15550100"), ("email", "ann@acme.example")]
    assert event.participants[0].traits == {"name": "Ann Lee"}


def test_order_of_the_graphql_api() -> None:
    event = read(
        {
            "__typename": "Order",
            "id": "gid://shopify/Order/450789469",
            "name": "#1001",
            "createdAt": "2024-03-01T09:30:00Z",
            "totalPriceSet": {"shopMoney": {"amount": "409.94", "currencyCode": "usd"}},
            "displayFinancialStatus": "PAID",
            "customer": CUSTOMER_NODE,
        }
    )
    assert (event.event_id, event.value, event.value_unit, event.description) == (
        "order:450789469:placed",
        409.94,
        "USD",
        "Order #1001 placed, paid",
    )
    assert identifiers(event)[0] == ("shopify_customer_id", "207119551")


def test_guests_order_is_known_by_its_own_address() -> None:
    event = read(ORDER | {"customer": None, "phone": "+15550100", "billing_address": {"name": "Ann Lee", "phone": "+15550111"}})
    assert identifiers(event) == [("phone", "+15550100"), ("email", "ann@acme.example")]
    assert event.participants[0].traits == {"name": "Ann Lee"}


def test_order_that_names_another_address_has_another_person() -> None:
    event = read(ORDER | {"email": "gift@birch.example"})
    assert [(one.role, one.identifiers[-1].value) for one in event.participants] == [
        ("customer", "ann@acme.example"),
        ("contact", "gift@birch.example"),
        ("customer_domain", "acme.example"),
        ("contact_domain", "birch.example"),
    ]


def test_shop_is_a_group_of_both_its_domains_with_an_owner() -> None:
    event = read(SHOP)
    assert (event.event_id, event.name, event.type) == ("shop:548380009:updated:2024-03-01T09:30:00.000Z", "shop updated", "shop")
    assert event.participants == [
        Participant("person", "owner", [Identifier("email", "ann@acme.example")], {"name": "Ann Lee"}),
        Participant("person", "contact", [Identifier("email", "help@acme.example")]),
        Participant(
            "group",
            "shop",
            [Identifier("shop_id", "548380009"), Identifier("domain", "acme.example"), Identifier("domain", "acme.myshopify.com")],
            {"name": "Acme", "plan": "basic", "phone": "+15550199"},
        ),
    ]
    assert event.memberships == [Membership(0, 2, "owner"), Membership(1, 2)]


def test_shop_of_a_connector_keeps_its_fields_below_all() -> None:
    below = {
        "id": "shop_7",
        "domain": "acme.example",
        "myshopifyDomain": "acme.myshopify.com",
        "customerEmail": "ann@acme.example",
        "email": None,
        "shopOwner": "Ann Lee",
        "planName": "basic",
        "createdAt": "2024-01-01T00:00:00Z",
        "updatedAt": "2024-01-01T00:00:00Z",
    }
    event = read({"__typename": "ShopifyShop", "_all": below, "id": "shop_7", "updatedAt": "2024-03-01T09:30:00Z"})
    assert (event.name, event.occurred_at) == ("shop updated", "2024-03-01T09:30:00.000Z")
    assert identifiers(event) == [("email", "ann@acme.example")]
    assert identifiers(event, 1) == [("shop_id", "shop_7"), ("domain", "acme.example"), ("domain", "acme.myshopify.com")]


def test_owner_with_an_address_elsewhere_belongs_to_both_groups() -> None:
    event = read(SHOP | {"email": "ann@birch.example", "customer_email": None})
    assert [one.role for one in event.participants] == ["owner", "shop", "owner_domain"]
    assert sorted((one.member, one.group, one.role or "") for one in event.memberships) == [(0, 1, "owner"), (0, 2, "")]


@pytest.mark.parametrize(
    ("topic", "body", "name", "event_id", "occurred_at"),
    [
        ("orders/create", ORDER, "order placed", "order:450789469:placed", "2024-03-01T09:30:00.000Z"),
        ("ORDERS_CREATE", ORDER, "order placed", "order:450789469:placed", "2024-03-01T09:30:00.000Z"),
        ("orders/paid", ORDER, "order paid", "order:450789469:paid:2024-03-02T09:30:00.000Z", "2024-03-02T09:30:00.000Z"),
        (
            "ORDERS_PARTIALLY_FULFILLED",
            ORDER,
            "order partially fulfilled",
            "order:450789469:partially_fulfilled:2024-03-02T09:30:00.000Z",
            "2024-03-02T09:30:00.000Z",
        ),
        (
            "orders/cancelled",
            ORDER | {"cancelled_at": "2024-03-03T00:00:00Z"},
            "order cancelled",
            "order:450789469:cancelled",
            "2024-03-03T00:00:00.000Z",
        ),
        ("orders/delete", {"id": 450789469}, "order deleted", "order:450789469:deleted", ""),
        ("customers/create", CUSTOMER, "customer created", "customer:207119551:created", "2024-02-01T09:00:00.000Z"),
        (
            "customers/update",
            CUSTOMER,
            "customer updated",
            "customer:207119551:updated:2024-03-01T09:30:00.000Z",
            "2024-03-01T09:30:00.000Z",
        ),
        ("customers/delete", {"id": 207119551}, "customer deleted", "customer:207119551:deleted", ""),
        ("shop/update", SHOP, "shop updated", "shop:548380009:updated:2024-03-01T09:30:00.000Z", "2024-03-01T09:30:00.000Z"),
        ("app/uninstalled", SHOP, "app uninstalled", "shop:548380009:app_uninstalled:2024-03-01T09:30:00.000Z", "2024-03-01T09:30:00.000Z"),
    ],
)
def test_topic_of_the_webhook_tells_what_happened(topic: str, body: dict[str, Any], name: str, event_id: str, occurred_at: str) -> None:
    event = read(body, topic)
    assert (event.name, event.event_id, event.occurred_at) == (name, event_id, occurred_at)


def test_record_without_id_or_time_leaves_the_event_id_to_the_frame() -> None:
    assert read({"email": "ann@acme.example", "first_name": "Ann"}, "customers/update").event_id == ""
    assert read(SHOP | {"created_at": None, "updated_at": None}).event_id == ""


@pytest.mark.parametrize(("total", "value"), [("0.00", 0.0), (12, 12.0), ("twelve", None), (True, None), ([], None), (None, None)])
def test_total_is_in_units_or_left_out(total: object, value: float | None) -> None:
    event = read(ORDER | {"total_price": total})
    assert (event.value, event.value_unit) == (value, None if value is None else "USD")


@pytest.mark.parametrize(
    ("body", "topic", "reason"),
    [
        (ORDER, "products/create", "the topic 'products/create' is not read; these are: orders/create"),
        ({"__typename": "ShopifyProduct", "id": 1}, None, "a Shopify 'ShopifyProduct' is not read"),
        ({"id": "gid://shopify/Product/1", "title": "Hat"}, None, "a Shopify 'Product' is not read"),
        ({"id": 1, "title": "Hat"}, None, "this is no customer, order or shop"),
        ({}, None, "this is no customer, order or shop"),
        ({}, "customers/create", "the customer has no `id`"),
        ({"total_price": "1.00"}, "orders/create", "the order has no `id`"),
        (CUSTOMER | {"updated_at": "soon"}, None, "`updated_at`: 'soon' is not a time"),
    ],
)
def test_what_is_not_read_is_rejected(body: dict[str, Any], topic: str | None, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        read(body, topic)


@pytest.mark.parametrize(
    "body",
    [
        {"id": "c-1", "email": "ann@acme.example", "first_name": "Ann", "last_name": "Lee", "phone": "+15550100"},
        {"email": "ann@acme.example"},
        {"id": 1, "at": 1_700_000_000, "user": {"email": "ann@acme.example"}, "email": "@"},
        {"id": 1, "total_price": "1.00", "email": "ann@acme.example"},
        {"id": 1, "order_number": 7, "line_items": [], "email": "ann@acme.example"},
        {"customer": {"id": 1, "email": "ann@acme.example"}},
        {"_all": {"id": 1, "first_name": "Ann"}},
        {"orders_count": 3, "verified_email": True, "email": "ann@acme.example"},
    ],
)
def test_record_that_does_not_say_it_is_of_shopify_is_rejected(body: dict[str, Any]) -> None:
    with pytest.raises(Rejected, match="no customer, order or shop of Shopify: read is what a header X-Shopify-Topic"):
        read(body)


def test_record_of_a_connector_is_known_by_fields_of_its_own() -> None:
    flat = {"id": 7, "email": "ann@acme.example"}
    assert read(flat | {"orders_count": 0, "total_spent": "0.00"}).type == "customer"
    assert read(flat | {"financial_status": "paid", "total_price": "1.00"}).type == "order"
    assert read(flat | {"myshopify_domain": "acme.myshopify.com"}).type == "shop"


def test_address_that_is_none_is_left_out_and_the_rest_stays() -> None:
    event = read(CUSTOMER | {"email": "@"})
    assert identifiers(event) == [("shopify_customer_id", "207119551"), ("phone", "+15550100")]
    assert event.participants[0].traits == {"name": "Ann Lee"}


@pytest.mark.parametrize(
    ("document", "topic"),
    [(CUSTOMER_NODE, None), (ORDER, None), (SHOP, None), (ORDER, "orders/paid"), ({"_all": SHOP, "__typename": "Shop"}, None)],
)
def test_junk_anywhere_gives_an_event_or_a_rejection(document: dict[str, Any], topic: str | None) -> None:
    for changed in with_junk(document):
        if isinstance(changed, dict):
            with suppress(Rejected):
                encode_event(read(changed, topic))


@needs(DEMO)
def test_sample_row_shows_the_owner_and_the_shop() -> None:
    adapt = build_adapter("store", SourceSettings(topic="raw.store", adapter="shopify", payload="record"), TimeSettings())
    with DEMO.open() as rows:
        (event,) = [event for row in csv.DictReader(rows) for event in adapt(record(value=json.dumps(row).encode()))]
    assert identifiers(event) == [("email", "lewis.smith@hollywoodfarms.com")]
    assert ("domain", "hollywoodfarms.com") in identifiers(event, 1)
    assert event.memberships == [Membership(0, 1, "owner")]
