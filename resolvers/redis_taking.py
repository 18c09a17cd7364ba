"""Taking a round from a shard's outbox: in several short calls where it is a large one, so that others get a word in.

Neighbours: `lua/take.lua` moves the keys; `redis_composing` makes documents of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from resolvers.errors import Fenced, StoreLost
from resolvers.port import Waiting
from resolvers.redis_composing import Call
from resolvers.redis_rows import unpack
from resolvers.scripts import Reply

READ_BUDGET = 1024 * 1024
"""Bytes that one round reads before it takes no further key."""

KEYS_AT_ONCE, READ_AT_ONCE = 250, 256 * 1024
"""Keys and bytes of one call: about ten milliseconds of Redis's time."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A round's number and rows, and the present (epoch ms) at which they are told."""

    number: int
    rows: list[list[Any]]
    present: int
    recovery: bool


async def take(call: Call, shard: int, limit: int, told: int, given: str | int, taker: str) -> Taken | Waiting | None:
    """Take up to `limit` keys; a key that becomes dirty once more in between is left to the next round.

    Where a recovery begins in between, what was taken is told before it. A crash between two calls leaves a round that nothing was sent of,
    which is undone. Raises Fenced, StoreLost.
    """
    found: Taken | None = None
    read, more = 0, True
    while more and read < READ_BUDGET and (left := limit - (len(found.rows) if found else 0)) > 0:
        keys = min(KEYS_AT_ONCE, left)
        word, rest = await call("take", shard, keys, told, READ_AT_ONCE, taker, given, found.number if found else "")
        match word:
            case Reply.BUSY:
                raise Fenced(f"shard {shard}: round {rest[0]} is in flight; another publisher has taken over")
            case Reply.BEHIND:
                raise StoreLost(behind(shard, rest[0], told))
            case Reply.HELD | Reply.UNREAD:
                return found or (Waiting.CATCHING_UP if word is Reply.HELD else Waiting.UNREAD)
            case Reply.OK:
                number, recovery, packed, present, bytes_read = rest
                rows = unpack(packed)
                read, more = read + bytes_read, len(rows) == keys or bytes_read >= READ_AT_ONCE
                if found is not None:
                    rows, recovery = found.rows + rows, recovery or found.recovery
                found = Taken(number, rows, present, bool(recovery))
            case _:
                break
    return found


def behind(shard: int, number: int, told: int) -> str:
    """Say that Redis knows of fewer rounds than Kafka has."""
    return f"shard {shard}: Kafka has round {told}, Redis knows of {number}: it has lost writes"
