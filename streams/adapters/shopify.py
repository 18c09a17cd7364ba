"""Shopify: a customer, an order or a shop -> one event.

Records of webhooks, of the REST and the GraphQL API and of connectors are read: names in snake_case or camelCase, ids
as numbers or `gid://shopify/Customer/1`, fields below `_all`, an object below its own name. The Kafka header
`X-Shopify-Topic` (`orders/create`) tells what happened; without it `__typename`, the global id or fields of Shopify's
own tell what the record is, and it is a snapshot: an order was placed, a customer created or, if it changed since,
updated, a shop updated. A record that tells none of this is rejected.

An event id names the object and what happened, with the time of its revision where that can happen again; so an order
is placed once, however often its record comes. A shop's telephone belongs to the shop and identifies nobody. Where two
addresses stand for one person (an order's and its customer's, a shop's and the one that it shows), the second is a
person of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from resolvers.errors import Rejected
from streams.adapters.cast import Cast
from streams.adapters.decode import Document
from streams.adapters.fields import field, read_time, text
from streams.adapters.mail_domains import clean_domain
from streams.adapters.participants import number_of
from streams.events import Event
from streams.record import SourceRecord

if TYPE_CHECKING:
    from streams.settings import SourceSettings

_TOPICS: dict[str, tuple[str, str]] = {
    "orders/create": ("order", "placed"),
    "orders/updated": ("order", "updated"),
    "orders/paid": ("order", "paid"),
    "orders/partially_fulfilled": ("order", "partially fulfilled"),
    "orders/fulfilled": ("order", "fulfilled"),
    "orders/cancelled": ("order", "cancelled"),
    "orders/delete": ("order", "deleted"),
    "customers/create": ("customer", "created"),
    "customers/update": ("customer", "updated"),
    "customers/enable": ("customer", "enabled"),
    "customers/disable": ("customer", "disabled"),
    "customers/delete": ("customer", "deleted"),
    "shop/update": ("shop", "updated"),
    "app/uninstalled": ("shop", "app uninstalled"),
}
"""The webhooks' topics that are read: the object, and what happened to it."""

_KINDS = ("shop", "order", "customer")

_MARKS: dict[str, tuple[str, ...]] = {
    "shop": ("myshopify_domain",),
    "order": (
        "financial_status",
        "display_financial_status",
        "total_price",
        "total_price_set",
        "current_total_price",
        "order_status_url",
    ),
    "customer": (
        "verified_email",
        "orders_count",
        "number_of_orders",
        "total_spent",
        "amount_spent",
        "accepts_marketing",
        "email_marketing_consent",
        "sms_marketing_consent",
        "multipass_identifier",
        "tax_exempt",
    ),
}
"""Fields by which a record that does not say what it is is known; what any list of contacts or sales has is not among them."""

_ENOUGH_MARKS = {"shop": 1, "order": 2, "customer": 2}
"""How many of these fields a record must have, beside its id."""

_ONCE = frozenset({"placed", "created", "deleted", "cancelled"})
_TIMES: dict[str, tuple[str, ...]] = {
    "placed": ("processed_at", "created_at"),
    "created": ("created_at",),
    "cancelled": ("cancelled_at", "updated_at"),
    "deleted": (),
}
_REVISED = ("updated_at", "shopify_updated_at", "created_at")

_SHOWN = 60
_GLOBAL_ID = re.compile(r"gid://shopify/(\w+)/([^/?]+).*", re.ASCII | re.DOTALL)


def build(name: str, source: SourceSettings) -> Callable[[Document, SourceRecord], list[Event]]:  # noqa: ARG001 - all are built alike
    """Build the adapter of one source; it has no options."""

    def adapt(document: Document, record: SourceRecord) -> list[Event]:
        body = _flat(document.body)
        kind, verb = _happened(body, _topic(record))
        return [_event(name, kind, verb, body)]

    return adapt


def _event(source: str, kind: str, verb: str, body: dict[str, Any]) -> Event:
    occurred_at = next((time for name in _TIMES.get(verb, _REVISED) if (time := read_time(_get(body, name), f"`{name}`"))), "")
    value, unit = _price(body) if kind == "order" else (None, None)
    cast = {"order": _order, "customer": _customer, "shop": _shop}[kind](body)
    if _id(body) is None and not any(participant.identifiers for participant in cast.participants()):
        raise Rejected(f"the {kind} has no `id`, and nothing that identifies anyone")
    return Event(
        event_id=_event_id(kind, verb, _id(body), occurred_at),
        source=source,
        name=verb if verb.startswith("app ") else f"{kind} {verb}",
        occurred_at=occurred_at,
        type=kind,
        description=_description(kind, verb, body),
        value=value,
        value_unit=unit,
        participants=cast.participants(),
        memberships=cast.memberships(),
    )


def _event_id(kind: str, verb: str, object_id: str | None, occurred_at: str) -> str:
    if object_id is None or (verb not in _ONCE and not occurred_at):
        return ""
    parts = (kind, object_id, verb.replace(" ", "_"))
    return ":".join(parts if verb in _ONCE else (*parts, occurred_at))


def _topic(record: SourceRecord) -> str | None:
    """Read the header that names the webhook's topic, `orders/create` or `ORDERS_CREATE`."""
    for name, value in record.headers:
        if name.lower() == "x-shopify-topic" and value:
            topic = value.decode("utf-8", "replace").strip().lower()
            return topic if "/" in topic else topic.replace("_", "/", 1)
    return None


def _happened(body: dict[str, Any], topic: str | None) -> tuple[str, str]:
    if topic is not None:
        if topic not in _TOPICS:
            raise Rejected(f"the topic {topic[:_SHOWN]!r} is not read; these are: {', '.join(_TOPICS)}")
        return _TOPICS[topic]
    kind = _kind(body)
    if kind == "order":
        return kind, "placed"
    created, updated = (read_time(_get(body, name), f"`{name}`") for name in ("created_at", "updated_at"))
    return kind, "created" if kind == "customer" and created and updated in {"", created} else "updated"


def _kind(body: dict[str, Any]) -> str:
    """Tell what a record is: by the type it names, by its global id, or by its id and fields of Shopify's own."""
    told = text(body, "__typename")
    if told is None:
        global_ids = (_GLOBAL_ID.fullmatch(text(body, key) or "") for key in ("admin_graphql_api_id", "id"))
        told = next((found[1] for found in global_ids if found is not None), None)
    if told is not None:
        kind = told.lower().removeprefix("shopify")
        if kind not in _KINDS:
            raise Rejected(f"a Shopify {told[:_SHOWN]!r} is not read; these are: {', '.join(_KINDS)}")
        return kind
    for kind in _KINDS if _id(body) is not None else ():
        if sum(_get(body, name) is not None for name in _MARKS[kind]) >= _ENOUGH_MARKS[kind]:
            return kind
    raise Rejected(
        "this is no customer, order or shop of Shopify: read is what a header X-Shopify-Topic, `__typename`, `admin_graphql_api_id` or "
        "an id such as gid://shopify/Customer/1 names, and what has an `id` and fields that only Shopify gives, such as "
        "`verified_email` and `orders_count`, `total_price` and `financial_status`, or `myshopify_domain`"
    )


def _flat(body: dict[str, Any]) -> dict[str, Any]:
    """Bring all fields to one level: those below `_all` of a connector, or below the object's own name."""
    inner = next((body[kind] for kind in _KINDS if len(body) == 1 and isinstance(body.get(kind), dict)), None)
    if inner is not None:
        return dict(inner)
    below = body.get("_all")
    if not isinstance(below, dict):
        return body
    return {**below, **{name: value for name, value in body.items() if value is not None}}


def _get(node: object, name: str) -> object:
    """Read a field by its name in snake_case, or else in camelCase."""
    value = field(node, name)
    if value is None and "_" in name:
        first, *more = name.split("_")
        value = field(node, first + "".join(word.capitalize() for word in more))
    return value


def _text(node: object, *names: str) -> str | None:
    """Read the first of several fields that has a text."""
    return next((found for name in names if (found := text({name: _get(node, name)}, name)) is not None), None)


def _id(node: object) -> str | None:
    """Give the id that both APIs mean: `gid://shopify/Customer/1` is 1."""
    written = text(node, "id") or text(node, "admin_graphql_api_id")
    found = _GLOBAL_ID.fullmatch(written) if written is not None else None
    return found[2] if found is not None else written


def _price(order: dict[str, Any]) -> tuple[float | None, str | None]:
    """Give the total in units, with its currency."""
    in_shop_money = field(_get(order, "total_price_set"), "shopMoney") or field(_get(order, "total_price_set"), "shop_money")
    value = number_of(_get(order, "total_price"))
    if value is None:
        value = number_of(field(in_shop_money, "amount"))
    unit = _text(order, "currency", "currency_code") or _text(in_shop_money, "currency_code")
    return value, unit.upper() if unit is not None and value is not None else None


def _order(order: dict[str, Any]) -> Cast:
    account = order.get("customer")
    email, phone, contact = _email(account), _phone(account), _text(order, "email", "contact_email")
    cast = Cast()
    cast.person(
        "customer",
        email or contact,
        name=_name(account) or text(_get(order, "billing_address"), "name"),
        others=[("shopify_customer_id", _id(account)), ("phone", phone or _text(order, "phone"))],
    )
    _contact(cast, contact, email)
    return cast


def _customer(customer: dict[str, Any]) -> Cast:
    cast = Cast()
    cast.person(
        "customer",
        _email(customer),
        name=_name(customer),
        others=[("shopify_customer_id", _id(customer)), ("phone", _phone(customer))],
    )
    return cast


def _shop(shop: dict[str, Any]) -> Cast:
    cast = Cast()
    written = (_text(shop, "domain"), text(_get(shop, "primary_domain"), "host"), _text(shop, "myshopify_domain"))
    traits = {
        "name": _text(shop, "name"),
        "plan": _text(shop, "plan_name", "plan_display_name") or _text(shop.get("plan"), "display_name"),
        "phone": _text(shop, "phone"),
    }
    group = cast.group(
        "shop",
        domains=[domain for value in written if value is not None and (domain := clean_domain(value)) is not None],
        others=[("shop_id", _id(shop))],
        traits={name: value for name, value in traits.items() if value is not None},
    )
    email, shown = _text(shop, "email"), _text(shop, "customer_email", "contact_email")
    owner = _text(shop, "shop_owner", "shop_owner_name")
    if email or shown or owner:
        cast.join(cast.person("owner", email or shown, name=owner), group, "owner")
    _contact(cast, shown, email)
    return cast


def _contact(cast: Cast, contact: str | None, email: str | None) -> None:
    if contact and email and contact.casefold() != email.casefold():
        cast.person("contact", contact)


def _email(customer: object) -> str | None:
    return text(customer, "email") or text(customer, "defaultEmailAddress", "emailAddress")


def _phone(customer: object) -> str | None:
    return text(customer, "phone") or text(customer, "defaultPhoneNumber", "phoneNumber")


def _name(customer: object) -> str | None:
    parts = [part for part in (_text(customer, "first_name"), _text(customer, "last_name")) if part is not None]
    return " ".join(parts) or _text(customer, "display_name")


def _description(kind: str, verb: str, body: dict[str, Any]) -> str:
    """Say what happened: `Order #1001 placed, paid`, `Shop Acme updated`."""
    about = _name(body) or _text(body, "email") if kind == "customer" else _text(body, "name")
    status = _text(body, "financial_status", "display_financial_status") if kind == "order" else None
    subject = f"{kind.capitalize()} {about or _id(body) or ''}".strip()
    return f"{subject}: {verb}" if verb.startswith("app ") else f"{subject} {verb}" + (f", {status.lower()}" if status else "")
