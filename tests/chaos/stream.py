"""The stream: seeded, endless source records of one source, made so that entities merge all the time.

Invariant: the same seed gives the same records, however they are asked for; every record that is not bad has an id of
its own. Neighbours: rounds send these records, `judge_records` says what must become of each.

Everybody is seen in pieces first (a device here, an address there) that later records join, so that most merges are
merges of entities that exist. Five people share devices now and then, and a kiosk, which is where guards come in: two user
ids to a person, devices of at most two, fourteen identifiers; nothing joins more than those five. Companies have a few
accounts and one in ten people works for a large one, whose merges concern very many memberships.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from streams.settings import settings_from
from streams.verify.instants import written
from streams.verify.usable import Usable
from tests.chaos.poison import Poison, bad_record

START_MS = 1_704_067_200_000
STEP_MS = 20_000
HOUR_MS = 3_600_000

DUPLICATES = 0.15
BAD = 0.01
LATE = 0.18
"""Of the records that are new, which leaves about 15 % of all."""

FAMILY = 5
STAFF = 25
REMEMBERED = 4_000
ERASING = 0.15
"""Of the commands."""

COMMANDS_BEGIN = "operator-"
"""What the ids of all commands of a stream begin with."""


class Stream:
    """An endless stream of source records."""

    def __init__(self, seed: int) -> None:
        """Start before the first record."""
        self._pick = random.Random(seed)
        self._poison = Poison(random.Random(seed + 1))
        self._orders = random.Random(seed + 2)
        self._made = 0
        self._commanded = 0
        self._usable = Usable(settings_from({"entities": ENTITIES}))
        self._earlier: list[bytes] = []

    def settings_parts(self) -> dict[str, Any]:
        """Give what the settings need for these records: entities, states and sources."""
        return {"entities": ENTITIES, "states": STATES, "sources": {"crowd": SOURCE}}

    def next(self, count: int) -> list[bytes]:
        """Give the next records: new ones, some late, repeats of earlier ones, and a few bad ones."""
        return [self._next() for _ in range(count)]

    def poison(self, count: int) -> list[bytes]:
        """Give records that are bad in many ways, or look so. They do not change what `next` gives."""
        return [self._poison.next() for _ in range(count)]

    def commands(self, count: int) -> list[tuple[bytes, bytes]]:
        """Give commands with their keys, about those who are seen these days; half take back what was said. They do not change `next`."""
        return [self._command() for _ in range(count)]

    def _command(self) -> tuple[bytes, bytes]:
        self._commanded += 1
        pick = self._orders
        if pick.random() < ERASING:
            return self._erasure()
        who = max(0, 20 + self._made // 12 - pick.randrange(40))
        relative = who - who % FAMILY + pick.randrange(FAMILY)
        word, other = pick.choice([("block", "unblock"), ("block", "unblock"), ("forbid", "permit"), ("link", "unlink")])
        kinds = [("device", f"d{who}-{pick.randrange(4)}"), ("email", f"P{who}@x.example"), ("user_id", f"u{who}")]
        named = [pick.choice(kinds)]
        if word != "block":
            named = [
                ("user_id", f"u{who}"),
                pick.choice([("device", f"d{relative}-{pick.randrange(4)}"), ("email", f"p{relative}@x.example")]),
            ]
        command_id = f"{COMMANDS_BEGIN}{self._commanded}"
        said = {
            "command_id": command_id,
            "command": pick.choice([word, word, other]),
            "identifiers": [{"entity_type": "person", "type": kind, "value": value} for kind, value in named],
            "issued_at": f"2024-02-{pick.randint(1, 28):02}T10:00:00.000Z",
            "actor": "operator",
        }
        return command_id.encode(), orjson.dumps(said)

    def _erasure(self) -> tuple[bytes, bytes]:
        """Erase what is known of somebody of these days, or a piece of it, up to about now or some hours before."""
        pick = self._orders
        who = max(0, 20 + self._made // 12 - pick.randrange(40))
        known = [("user_id", f"u{who}"), ("email", f"p{who}@x.example"), *(("device", f"d{who}-{number}") for number in range(4))]
        named = known if pick.random() < 0.6 else [pick.choice(known)]
        digests = [self._usable.digest("person", kind, value).hex() for kind, value in named]
        command_id = f"{COMMANDS_BEGIN}{self._commanded}"
        said = {
            "command_id": command_id,
            "command": "erase",
            "identifiers": [
                {"entity_type": "person", "type": kind, "digest": digest} for (kind, _), digest in zip(named, digests, strict=True)
            ],
            "issued_at": "2024-02-01T10:00:00.000Z",
            "cutoff": written(START_MS + self._made * STEP_MS - pick.choice([0, pick.randrange(6 * HOUR_MS)])),
            "actor": "operator",
        }
        return command_id.encode(), orjson.dumps(said)

    def _next(self) -> bytes:
        if self._earlier and self._pick.random() < DUPLICATES:
            return self._pick.choice(self._earlier)
        self._made += 1
        record = bad_record(self._made, self._pick) if self._pick.random() < BAD else orjson.dumps(self._record())
        self._remember(record)
        return record

    def _remember(self, record: bytes) -> None:
        """Keep a sample of all records so far, later ones a little more likely."""
        if len(self._earlier) < REMEMBERED:
            self._earlier.append(record)
        else:
            self._earlier[self._pick.randrange(REMEMBERED)] = record

    def _record(self) -> dict[str, Any]:
        who = self._someone()
        said: dict[str, Any] = {"id": f"r{self._made}", "at": self._time(), **self._seen(who)}
        if self._pick.random() < 0.3:
            said["plan"] = self._pick.choice(["free", "paid", "team", {"name": "own", "seats": who % 7}, 12, 2.5])
        if self._pick.random() < 0.2:
            said["stage"] = self._pick.choice(["lead", "trial", "customer", "lost"])
        if self._pick.random() < 0.45:
            said |= self._work(who)
        return said

    def _someone(self) -> int:
        """Choose a person: mostly one of the newest, of whom one is added every dozen records."""
        people = 20 + self._made // 12
        newest = max(0, people - 60)
        return self._pick.randrange(newest, people) if self._pick.random() < 0.7 else self._pick.randrange(people)

    def _time(self) -> int | str:
        at = START_MS + self._made * STEP_MS
        if self._pick.random() < LATE:
            at -= self._pick.randrange(HOUR_MS, self._pick.choice([2, 24, 24 * 30, 24 * 90]) * HOUR_MS)
        if self._pick.random() < 0.8:
            return at
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _seen(self, who: int) -> dict[str, Any]:
        """Choose the identifiers that a record shows: one or two pieces, seldom all."""
        devices = [f"d{who}-{number}" for number in range(4)]
        addresses = [f"P{who}@x.example", f"p{who}@X.example", f" second.{who}@x.example "]
        device, address = self._pick.choice(devices), self._pick.choice(addresses)
        relative = who - who % FAMILY + self._pick.randrange(FAMILY)
        ways: list[tuple[int, dict[str, Any]]] = [
            (35, {"devices": [device]}),
            (15, {"email": address}),
            (15, {"user": f"u{who}", "devices": device}),
            (10, {"user": f"u{who}", "email": address}),
            (10, {"email": address, "devices": self._pick.sample(devices, 2)}),
            (5, {"devices": self._pick.sample(devices, 2)}),
            (4, {"devices": [device, f"d{relative}-{self._pick.randrange(4)}"]}),
            (4, {"user": f"u{who}", "devices": f"kiosk{who // FAMILY}"}),
            (3, {"user": "N/A", "email": "info@shared.example", "devices": [device, None, ""]}),
            (3, {"user": f"u{who}", "email": addresses, "devices": devices}),
        ]
        return self._pick.choices([way for _, way in ways], [weight for weight, _ in ways])[0]

    def _work(self, who: int) -> dict[str, Any]:
        """Choose where somebody works, as a domain, an account, or both, which joins them."""
        company = f"big{who // 2_000}" if who % 10 == 0 else str(who // STAFF)
        said: dict[str, Any] = {"size": self._pick.randrange(9), "role": self._pick.choice(["owner", "member", "guest", None])}
        chance = self._pick.random()
        if chance < 0.75:
            said["site"] = self._pick.choice([f"c{company}.example", f"https://www.C{company}.example/", f"shop.c{company}.example"])
        if chance > 0.55:
            said["account"] = f"a{company}-{self._pick.randrange(3)}"
        if self._pick.random() < 0.1:
            said["left"] = True
        return said


ENTITIES: dict[str, Any] = {
    "person": {
        "identifiers": {
            "user_id": {"limit": 2},
            "email": {"normalise": "email"},
            "device": {"hub": {"of": "user_id", "over": 2}},
        },
        "size": 14,
        "blocked": ["info@shared.example"],
    },
    "group": {"identifiers": {"domain": {"normalise": "domain"}, "account": {}}},
}

STATES: list[dict[str, Any]] = [
    {
        "name": "crowd_stage",
        "entity": "person",
        "participant": "stage",
        "lapses": [{"value": "trial", "becomes": "lost", "after": "3d"}],
    },
    {
        "name": "crowd_account",
        "entity": "group",
        "initial": "open",
        "derived": {
            "components": {
                "some": {"state": "crowd_stage", "of": "members", "any": "value == 'customer'"},
                "gone": {"state": "crowd_stage", "of": "members", "all": "value == 'lost'", "most": 30},
            },
            "value": "some && 'served' || gone && 'lost' || null",
        },
    },
    {
        "name": "crowd_seat",
        "entity": "person",
        "derived": {
            "components": {"served": {"state": "crowd_account", "of": "groups", "any": "value == 'served'"}, "stage": "crowd_stage"},
            "value": "served && stage || null",
        },
    },
]

SOURCE: dict[str, Any] = {
    "topic": "raw.crowd",
    "adapter": "mapping",
    "event": {"id": "id", "name": "'seen'", "occurred_at": "at"},
    "participants": [
        {
            "entity": "person",
            "role": "somebody",
            "identifiers": {"user_id": "user", "email": "email", "device": "devices"},
            "traits": {"plan": "plan"},
            "states": {"stage": "stage"},
        },
        {"entity": "group", "identifiers": {"domain": "site", "account": "account"}, "traits": {"size": "size"}},
    ],
    "memberships": [{"member": 0, "group": 1, "role": "role", "ended": "left"}],
}
