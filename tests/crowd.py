"""A crowd: seeded source records of people, their devices and companies, with shared history to merge and late arrivals."""

from __future__ import annotations

import random
from typing import Any

import orjson

START_MS = 1_704_067_200_000

SETTINGS: dict[str, Any] = {
    "entities": {
        "person": {"identifiers": {"user_id": {}, "email": {"normalise": "email"}, "device": {}}, "blocked": ["info@shared.example"]},
        "group": {"identifiers": {"domain": {"normalise": "domain"}, "account": {}}},
    },
    "sources": {
        "crowd": {
            "topic": "raw.crowd",
            "adapter": "mapping",
            "event": {"id": "id", "name": "'seen'", "occurred_at": "at"},
            "participants": [
                {"entity": "person", "identifiers": {"user_id": "user", "email": "email", "device": "devices"}, "traits": {"plan": "plan"}},
                {"entity": "group", "identifiers": {"domain": "site", "account": "account"}, "traits": {"size": "size"}},
            ],
            "memberships": [{"member": 0, "group": 1, "role": "role"}],
        }
    },
}


def records(count: int, seed: int = 1) -> list[bytes]:
    """Make so many records of about a tenth as many people; about one in a hundred is not what it should be."""
    pick = random.Random(seed)
    return [_broken(number, pick) if pick.random() < 0.01 else _record(number, pick, max(2, count // 10)) for number in range(count)]


def _record(number: int, pick: random.Random, people: int) -> bytes:
    who = pick.randrange(people)
    company = who % max(1, people // 8)
    said: dict[str, Any] = {"id": f"r{number}", "at": START_MS + number * 60_000 - (pick.random() < 0.1) * pick.randrange(86_400_000)}
    said |= {"devices": [f"d{who}-{pick.randrange(3)}"]} if pick.random() < 0.7 else {}
    said |= {"user": f"u{who}"} if pick.random() < 0.4 else {}
    said |= {"email": pick.choice([f"P{who}@x.example", f"p{who}@x.example", "info@shared.example"])} if pick.random() < 0.4 else {}
    said |= {"devices": [f"d{who}-0", f"d{pick.randrange(people)}-1"]} if pick.random() < 0.02 else {}
    said |= {"plan": pick.choice(["free", "paid", {"name": "own", "seats": who}])} if pick.random() < 0.3 else {}
    if pick.random() < 0.5:
        said |= {"site": pick.choice([f"c{company}.example", f"https://www.C{company}.example/"]), "size": pick.randrange(9)}
        said |= {"account": f"a{company}-{pick.randrange(2)}"} if pick.random() < 0.4 else {}
        said |= {"role": pick.choice(["owner", "member"])}
    return orjson.dumps(said)


def _broken(number: int, pick: random.Random) -> bytes:
    return pick.choice(
        [b'{"id": "b%d"' % number, b"\xff\xfe", b'{"id": "b%d", "at": "noon"}' % number, b'{"id": "b%d", "at": %d}' % (number, START_MS)]
    )
