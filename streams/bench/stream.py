"""The stream that is measured: seeded source records of people, their devices and companies, as a product's events.

Invariant: it is steady. People arrive at a constant rate, have a bounded number of identifiers and come back at any
time, so that record one million differs from record one thousand only in how much was seen before it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import orjson

from streams.times import format_time

START_MS = 1_700_000_000_000
STEP_MS = 60_000
"""Last times are kept to the hour: at this pace most records bring a new one, as they do wherever people come back later."""

RECORDS_PER_PERSON = 8
HOUSEHOLD = 2
"""Neighbours who now and then use each other's device, and so become one."""

COMPANY = 10
SEED = 20_240_501

SETTINGS: dict[str, Any] = {
    "entities": {
        "person": {"identifiers": {"user_id": {}, "email": {"normalise": "email"}, "anonymous_id": {}}},
        "group": {"identifiers": {"domain": {"normalise": "domain"}, "group_id": {}}},
    },
    "sources": {
        "product": {
            "topic": "raw.product",
            "adapter": "mapping",
            "event": {"id": "id", "name": "event", "occurred_at": "at", "value": "amount", "value_unit": "currency"},
            "participants": [
                {
                    "entity": "person",
                    "role": "user",
                    "identifiers": {"user_id": "user.id", "email": "user.email", "anonymous_id": "device"},
                    "traits": {"name": "user.name", "plan": "user.plan", "probe": "probe"},
                },
                {"entity": "group", "role": "employer", "identifiers": {"domain": "company.domain"}, "traits": {"seats": "company.seats"}},
            ],
            "memberships": [{"member": 0, "group": 1, "role": "company.role"}],
        },
        "segment": {"topic": "raw.segment", "adapter": "segment"},
    },
}
"""Both sources tell the same story, one record an event; the second as calls of the Segment specification."""

_EVENTS = ("page viewed", "report opened", "file shared", "search run", "order placed", "comment added")
_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0"


def product_records(count: int, first: int = 0) -> Iterator[bytes]:
    """Give so many records for the `product` source, from number `first` on; 300 to 500 bytes each."""
    return (orjson.dumps(told) for told in _told(count, first))


def segment_records(count: int, first: int = 0) -> Iterator[bytes]:
    """Give the same records as calls for the `segment` source."""
    return (orjson.dumps(_call(told)) for told in _told(count, first))


def _told(count: int, first: int) -> Iterator[dict[str, Any]]:
    pick = random.Random(SEED + first)
    for number in range(first, first + count):
        yield _record(number, pick)


def _record(number: int, pick: random.Random) -> dict[str, Any]:
    newest = number // RECORDS_PER_PERSON
    who = newest if number % RECORDS_PER_PERSON == 0 else pick.randrange(newest + 1)
    user: dict[str, Any] = {"id": f"u-{who:08d}"} if pick.random() < 0.6 else {}
    if user and pick.random() < 0.4:
        user |= {"email": pick.choice([f"Person.{who}@mail.example", f"person.{who}@mail.example"]), "name": f"Person Number {who}"}
    if user and pick.random() < 0.2:
        user["plan"] = pick.choice(["free", "team", "business"])
    device = who - who % HOUSEHOLD + pick.randrange(HOUSEHOLD) if pick.random() < 0.02 else who
    told: dict[str, Any] = {
        "id": f"evt-{number:010d}",
        "at": format_time(START_MS + number * STEP_MS - (pick.random() < 0.05) * pick.randrange(86_400_000)),
        "event": pick.choice(_EVENTS),
        "device": f"{device:012x}-{pick.randrange(3)}",
        "user": user,
        "page": {"url": f"https://app.product.example/projects/{pick.randrange(10**6)}/files", "title": "Files of the project"},
        "context": {"agent": _AGENT, "address": f"10.{pick.randrange(256)}.{pick.randrange(256)}.7", "locale": "en-GB"},
    }
    if pick.random() < 0.25:
        told["company"] = {
            "domain": f"company-{who // COMPANY}.example",
            "seats": pick.randrange(1, 50),
            "role": pick.choice(["admin", "member"]),
        }
    return told


def _call(told: dict[str, Any]) -> dict[str, Any]:
    user = told["user"]
    call: dict[str, Any] = {
        "type": "track",
        "messageId": told["id"],
        "timestamp": told["at"],
        "event": told["event"],
        "anonymousId": told["device"],
        "properties": told["page"],
        "context": {"userAgent": _AGENT, "ip": told["context"]["address"], "traits": {key: user[key] for key in user if key != "id"}},
    }
    call |= {"userId": user["id"]} if user else {}
    if "company" in told:
        call["context"]["groupId"] = told["company"]["domain"]
    return call
