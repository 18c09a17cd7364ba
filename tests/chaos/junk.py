"""Junk: what no source and no worker writes, for the topics that only workers write to.

Invariant: nothing here is an event or a command by chance. Neighbours: the fault `poison` writes it.
"""

from __future__ import annotations

import random

import orjson

from streams.sender import Outgoing

_NAMELESS = {"source": "crowd", "name": "seen", "occurred_at": "2024-01-01T00:00:00.000Z", "participants": []}
_VALUES: tuple[bytes | None, ...] = (
    None,
    b"",
    b"\x00",
    b"\xff\xfe\xfd",
    b"null",
    b"[]",
    b"{}",
    b'"text"',
    b"1e999",
    b'{"event_id": ',
    b"[" * 5_000,
    orjson.dumps(_NAMELESS),
    orjson.dumps({**_NAMELESS, "event_id": "junk", "occurred_at": "noon"}),
    orjson.dumps({**_NAMELESS, "event_id": "junk", "participants": "nobody"}),
    orjson.dumps({"command_id": "junk", "command": "explode", "identifiers": [], "issued_at": "2024-01-01T00:00:00.000Z"}),
)
# Never without a key: Kafka itself refuses that on a compacted topic, which the commands are on.
_KEYS = (b"", b"\xff", b"person:email:junk@x.example")


def records(topic: str, pick: random.Random) -> list[Outgoing]:
    """Make a handful of bad records for a topic."""
    return [Outgoing(topic, pick.choice(_KEYS), pick.choice(_VALUES)) for _ in range(pick.randint(5, 25))]
