"""Stripe: one webhook event, or one object of its API -> one event of a customer.

Three forms are read: the event of a webhook (`type`, `created`, `data.object`); a row of an export whose `data` is the
object or its JSON text; and a bare object (`"object": "invoice"`), with the row around it when `payload` led to it.

- Amounts are in units of the currency. A paid invoice counts what was paid, at the time of the payment.
- A bare object has no event of its own: its status names it, and the time is the one that belongs to this status. What
  changes without telling when (a customer, a running subscription) was seen at the record's time.
- A customer has one e-mail address: that of the customer, else of the bill, else of the receipt. A receipt that goes
  elsewhere has a person of its own, so that a shared mailbox does not make one person of everyone who pays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resolvers.errors import Rejected
from streams.adapters.cast import Cast
from streams.adapters.decode import Document, parse_json
from streams.adapters.fields import field, first_text, read_time, text
from streams.events import Event
from streams.record import SourceRecord

if TYPE_CHECKING:
    from streams.settings import SourceSettings

_KINDS: dict[str, tuple[str, str, str]] = {
    "invoice": ("invoice", "invoice", "invoice"),
    "payment_intent": ("payment", "payment", "payment_intent"),
    "customer": ("customer", "customer", "customer"),
    "customer.subscription": ("subscription", "subscription", "subscription"),
    "charge": ("charge", "charge", "charge"),
    "charge.dispute": ("charge dispute", "charge", "dispute"),
    "charge.refund": ("charge refund", "charge", "refund"),
}
"""What a Stripe event type begins with: the words of the event's name, its type, and the kind of its object."""

_CUSTOMER_VERBS = frozenset({"created", "updated", "deleted"})
_PAID = frozenset({"paid", "payment_succeeded"})
_SEEN_WHEN_READ = frozenset({"customer", "subscription"})

_STATUS_TIMES: dict[str, tuple[tuple[str, ...], ...]] = {
    "open": (("status_transitions", "finalized_at"),),
    "paid": (("status_transitions", "paid_at"),),
    "uncollectible": (("status_transitions", "marked_uncollectible_at"),),
    "void": (("status_transitions", "voided_at"),),
    "canceled": (("ended_at",), ("canceled_at",)),
    "incomplete_expired": (("ended_at",),),
}
"""The status of a bare object, and where the time lies at which it got it."""

_ZERO_DECIMAL = frozenset({"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"})
_THREE_DECIMAL = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
# ISK and UGX have no smaller unit any more, but Stripe still counts them in hundredths.
_LARGEST_AMOUNT = 10**15
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class _Happening:
    """What happened to one object: `kind` is a key of `_KINDS`, `verb` the rest of the event type or the status."""

    event_id: str
    kind: str
    verb: str
    created: object
    of: dict[str, Any]


def build(name: str, source: SourceSettings) -> Callable[[Document, SourceRecord], list[Event]]:  # noqa: ARG001 - all are built alike
    """Build the adapter of one source; it has no options."""

    def adapt(document: Document, _record: SourceRecord) -> list[Event]:
        return [_event(name, _happening(document))]

    return adapt


def _event(source: str, happening: _Happening) -> Event:
    words, short_type, _ = _KINDS[happening.kind]
    verb = happening.verb.removeprefix("payment_") if happening.kind == "payment_intent" else happening.verb
    name = f"{words} {verb.replace('_', ' ').replace('.', ' ')}"
    value, unit = _value(happening)
    cast = _cast(happening)
    return Event(
        event_id=happening.event_id,
        source=source,
        name=name,
        occurred_at=_occurred_at(happening),
        type=short_type,
        description=_description(name, happening.of),
        value=value,
        value_unit=unit,
        participants=cast.participants(),
        memberships=cast.memberships(),
    )


def _happening(document: Document) -> _Happening:
    """Find the event and its object, in whichever of the three forms they came."""
    body, envelope = document.body, document.envelope
    if text(body, "type") is not None and body.get("data") is not None:
        return _of_type(body, _object(body["data"]))
    if envelope is not None and "." in (text(envelope, "type") or ""):
        return _of_type(envelope, _object(body))
    return _bare(body)


def _object(data: object) -> dict[str, Any]:
    """Read what `data` holds: the object below `object`, the object itself, or the JSON text of either."""
    if isinstance(data, str):
        data = parse_json(data.encode("utf-8", "replace"), "the text in `data`")
    inner = field(data, "object")
    found = inner if isinstance(inner, dict) else data
    if not isinstance(found, dict) or not found:
        raise Rejected('`data` holds no object: it should be a Stripe object, {"object": {...}}, or the JSON text of one')
    return found


def _of_type(event: dict[str, Any], of: dict[str, Any]) -> _Happening:
    event_type = text(event, "type") or ""
    kind = max((known for known in _KINDS if event_type.startswith(f"{known}.")), key=len, default="")
    verb = event_type[len(kind) + 1 :]
    if not kind or not verb or (kind == "customer" and verb not in _CUSTOMER_VERBS):
        known_types = ", ".join(f"{known}.*" for known in _KINDS)
        raise Rejected(f"the event type {event_type[:_SHOWN]!r} is not read; these are: {known_types}")
    expected, got = _KINDS[kind][2], text(of, "object")
    if got is not None and got != expected:
        raise Rejected(f"{event_type[:_SHOWN]!r} comes with an object of kind {got[:_SHOWN]!r}, and should come with {expected!r}")
    if got is None and text(of, "id") is None:
        raise Rejected(f"{event_type[:_SHOWN]!r} comes with something that has neither `object` nor `id`")
    return _Happening(text(event, "id") or "", kind, verb, event.get("created"), of)


def _bare(of: dict[str, Any]) -> _Happening:
    """Name an object without an event by its status. It gets no event id: two revisions of it are two events."""
    kind = text(of, "object") or ""
    known = {"invoice", "payment_intent", "customer", "subscription", "charge"}
    if kind not in known:
        raise Rejected(f"neither a Stripe event (`type` and `data`) nor one of its objects {sorted(known)}: `object` is {kind[:_SHOWN]!r}")
    if kind == "customer":
        return _Happening("", "customer", "deleted" if of.get("deleted") is True else "updated", None, of)
    if kind == "charge" and of.get("refunded") is True:
        return _Happening("", "charge", "refunded", None, of)
    return _Happening("", "customer.subscription" if kind == "subscription" else kind, text(of, "status") or "updated", None, of)


def _occurred_at(happening: _Happening) -> str:
    of, expected = happening.of, _KINDS[happening.kind][2]
    if expected == "invoice" and happening.verb in _PAID:
        paid = read_time(field(of, "status_transitions", "paid_at"), "`status_transitions.paid_at`")
        if paid:
            return paid
    told = read_time(happening.created, "`created`")
    if told:
        return told
    for path in _STATUS_TIMES.get(happening.verb, ()):
        reached = read_time(field(of, *path), f"`{'.'.join(path)}`")
        if reached:
            return reached
    return "" if expected in _SEEN_WHEN_READ else read_time(of.get("created"), "`created` of the object")


def _value(happening: _Happening) -> tuple[float | None, str | None]:
    """Give the amount in units of its currency; nothing for customers and subscriptions."""
    keys: tuple[str, ...]
    match _KINDS[happening.kind][2], happening.verb:
        case "invoice", verb:
            keys = ("amount_paid",) if verb in _PAID else ("amount_due",)
        case "payment_intent", "succeeded":
            keys = ("amount_received", "amount")
        case "charge", "refunded":
            keys = ("amount_refunded",)
        case "charge", "captured":
            keys = ("amount_captured", "amount")
        case (("payment_intent" | "charge" | "dispute" | "refund"), _):
            keys = ("amount",)
        case _:
            return None, None
    currency = (text(happening.of, "currency") or "").upper()
    amount = _whole(first_text(happening.of, *keys))
    if amount is None or not currency:
        return None, None
    decimals = 0 if currency in _ZERO_DECIMAL else 3 if currency in _THREE_DECIMAL else 2
    return amount / 10**decimals, currency


def _whole(number: str | None) -> int | None:
    """Read an amount in smallest units; None for what is no whole number, or one that no currency reaches."""
    try:
        amount = int(number) if number is not None and len(number) <= len(str(_LARGEST_AMOUNT)) else None
    except ValueError:
        return None
    return amount if amount is not None and abs(amount) <= _LARGEST_AMOUNT else None


def _cast(happening: _Happening) -> Cast:
    """Give the customer, with what the object, its customer and its bill say about it."""
    of, expected = happening.of, _KINDS[happening.kind][2]
    customer = of if expected == "customer" else of.get("customer")
    customer_id = text(customer, "id") if isinstance(customer, dict) else text(of, "customer")
    bill = _bill(of)
    receipt = text(of, "receipt_email")
    email = text(customer, "email") or first_text(of, "customer_email") or text(bill, "email") or receipt
    status = text(of, "status") if expected == "subscription" else None
    cast = Cast()
    cast.person(
        "customer",
        email,
        name=text(customer, "name") or text(of, "customer_name") or text(bill, "name"),
        others=[
            ("stripe_customer_id", customer_id),
            ("phone", text(customer, "phone") or text(of, "customer_phone") or text(bill, "phone")),
        ],
        states={"subscription": status} if status else None,
    )
    if receipt and email and receipt.casefold() != email.casefold():
        cast.person("receipt", receipt)
    return cast


def _bill(of: dict[str, Any]) -> object:
    """Find who was billed: on a charge itself, on an expanded charge, or on the one charge of an older payment intent."""
    charges = field(of, "charges", "data")
    listed = charges[-1] if isinstance(charges, list) and charges else None
    nested = (field(at, "billing_details") for at in (of, of.get("latest_charge"), of.get("charge"), listed))
    return next((bill for bill in nested if isinstance(bill, dict)), None)


def _description(name: str, of: dict[str, Any]) -> str:
    about = first_text(of, "description", "number", "id")
    return name.capitalize() + (f": {about}" if about else "")
