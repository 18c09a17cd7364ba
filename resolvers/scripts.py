"""Lua: the scripts of `resolvers/lua/`, loaded in this one place, each prepended with what it needs, and their replies."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from importlib.resources import files
from time import perf_counter
from typing import Any

from redis.asyncio import Redis

from resolvers.entity import LISTED_IDENTIFIERS

_PRELUDES: dict[str, tuple[str, ...]] = {
    "open": ("records",),
    "apply": ("records", "graph", "guards", "place", "erased"),
    "correct": ("records", "graph", "guards", "place"),
    "walk": ("records", "graph", "guards", "place", "erased", "names"),
    "take": ("records", "graph", "present", "names", "view"),
    "sweep": ("records", "graph"),
    "begin_settling": ("records", "graph"),
    "evidence": ("records",),
    "settle": ("records", "graph", "guards", "place", "dividing"),
    "look": ("records", "graph", "names", "view"),
    "pending": ("records", "outbox"),
    "keep": ("records", "graph", "place", "living"),
    "carry": ("records", "graph", "place", "living"),
    "around": ("records",),
    "observed": ("records", "graph", "names", "view"),
    "finish": ("records",),
    "backlog": ("records", "graph", "present"),
    "recover": ("records", "outbox"),
    "begin_reading": ("records",),
    "retell": ("records",),
    "end_reading": ("records",),
    "tell_again": ("records", "graph"),
    "rights": (),
}

COMMANDS = tuple(name for name in _PRELUDES if name != "rights")
"""The names of all scripts with which a space is worked on."""

Timing = Callable[[str, float], None]
"""Told of each call: the command, and the seconds until its answer, or until it failed."""

_BOUNDS = {
    "INLINE": "inline",
    "LISTED": "listed",
    "PATIENCE": "patience",
    "SETTLED_WITHIN": "settled_ms",
    "MOVED": "moved",
    "PORTION": "portion",
    "OBSERVED": "observed",
    "IDLE": "idle_ms",
}
"""How scripts call the fields of Bounds."""

_READ_ONLY = {"look", "backlog", "evidence", "around", "observed", "rights"}
"""Scripts that write nothing, and say so: Redis runs them when it is full, and on a replica."""


class Reply(Enum):
    """The closed set of words that a script's reply starts with."""

    OK = b"OK"
    NONE = b"NONE"
    KEPT = b"KEPT"
    BUSY = b"BUSY"
    GONE = b"GONE"
    GAP = b"GAP"
    LOST = b"LOST"
    BEHIND = b"BEHIND"
    HELD = b"HELD"
    UNREAD = b"UNREAD"
    REMAINS = b"REMAINS"
    LATER = b"LATER"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one call may do by itself, and how much one document shows.

    `inline` identifiers or memberships are retold in the call that changed their entity; more are left to sweeps.
    `listed` identifiers, the oldest, stand in an entity's document. Settling a case takes `steps` unions or parts at once; of a case
    of at most `moved` parts that meets another they are moved there, a larger one is put into it as it is. A part that has more
    identifiers or links than `portion` is divided in portions of so many. A case waits `patience` times as long as settling it took, a
    small one a second or so at most; for `lease_ms` after a worker's last step nobody else takes it. A recovery that has applied the
    logs waits `settled_ms` at most for cases to be settled, and for what erasures ask to be read again. Of an entity's states `observed`
    observations come with its row; more are read page by page, and it rests `patience` times as long as it took to tell. Values of states
    lapse as the times of events pass, and by the clock once a partition had no event for `idle_ms`.
    """

    inline: int = 64
    listed: int = LISTED_IDENTIFIERS
    steps: int = 50
    moved: int = 50
    portion: int = 250
    patience: int = 10
    lease_ms: int = 3_000
    settled_ms: int = 10_000
    observed: int = 500
    idle_ms: int = 5_000


@lru_cache(maxsize=1_000)
def source_of(command: str, bounds: Bounds) -> str:
    """Read a command's whole source, once for the same bounds. The first line makes Redis refuse a script up front when memory is short.

    The bounds that it names come next, and no others: Lua has room for 200 locals.
    """
    folder = files("resolvers") / "lua"
    source = "\n".join((folder / f"{name}.lua").read_text(encoding="utf-8") for name in (*_PRELUDES[command], command))
    flags = " flags=no-writes" if command in _READ_ONLY else ""
    named = [f"local {name} = {getattr(bounds, field)}" for name, field in _BOUNDS.items() if re.search(rf"\b{name}\b", source)]
    return "\n".join((f"#!lua{flags}", *named, source))


class Scripts:
    """Every command of the graph, registered once with one client."""

    def __init__(self, redis: Redis, base: str, bounds: Bounds, timing: Timing = lambda *_: None) -> None:
        """Register the scripts; `base` is the space's base key, the only key that they are given."""
        self._timing = timing
        self._base = base
        self._scripts = {command: redis.register_script(source_of(command, bounds)) for command in _PRELUDES}

    async def call(self, command: str, *arguments: bytes | str | int) -> tuple[Reply, list[Any]]:
        """Run a command; gives the word and the rest of its reply."""
        begun = perf_counter()
        try:
            reply = await self._scripts[command](keys=[self._base], args=list(arguments))
        finally:
            self._timing(command, perf_counter() - begun)
        return Reply(reply[0]), reply[1:]
