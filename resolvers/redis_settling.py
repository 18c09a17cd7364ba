"""Settling: read a case's evidence from Redis, compute what it says, and write that back step by step.

Invariant: whatever arrives meanwhile, a step is taken only by who holds the case, and only while who may connect is as it
was when the evidence was read. Neighbours: `settlement` computes; `lua/settle.lua` takes the steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgpack

from resolvers.identifier import Identifier
from resolvers.redis_rows import BIAS_MS, pack
from resolvers.rules import Rules
from resolvers.scripts import Reply
from resolvers.settlement import Joining, Member, Settlement, settlement_of
from resolvers.sighting import Usable

Call = Callable[..., Awaitable[tuple[Reply, list[Any]]]]

ROWS_AT_ONCE = 1_000
"""Nodes or links that one call reads: some milliseconds of Redis's time."""

STEPS_AT_ONCE = 50
"""Unions, or parts that leave a case, of one call."""

LARGE = 2_000
"""Of a case with more links it is computed beside the event loop what they say."""

_OFF, _STALE = 3, 16


class _SupersededError(Exception):
    """Somebody else holds the case, or who may connect has changed."""


async def settle(call: Call, rules: Rules, codes: Mapping[tuple[str, str], int], lease_ms: int) -> int:
    """Settle the case that has been due for longest, if one is; gives how many cases wait."""
    word, rest = await call("begin_settling", lease_ms)
    if word is Reply.NONE:
        return int(rest[0])
    case, fence, epoch, seq, roots = rest
    settling = _Settling(call, rules, codes, (case, fence, epoch, lease_ms), seq)
    with suppress(_SupersededError):
        await settling.run(msgpack.unpackb(roots))
    return 1


class _Settling:
    """One case, in one worker's hands."""

    def __init__(self, call: Call, rules: Rules, codes: Mapping[tuple[str, str], int], held: tuple[int, int, int, int], seq: int) -> None:
        self._call = call
        self._rules = rules
        self._types = {code: named for named, code in codes.items()}
        self._held = held
        self._seq = seq

    async def run(self, roots: Sequence[int]) -> None:
        """Read, compute, write. Raises _SupersededError."""
        members = [self._member(*row) async for row in self._read("nodes", roots)]
        links = [self._joining(*row) async for row in self._read("links", [one.number for one in members])]
        if members:
            rule = self._rules.entities[members[0].usable.identifier.entity_type]
            if len(links) > LARGE:
                await self._write(await asyncio.to_thread(settlement_of, members, links, rule, {}))
            else:
                await self._write(settlement_of(members, links, rule, {}))
        await self._step("end", [self._seq])

    def _member(self, number: int, root: int, digest: bytes, code: int, flags: int) -> Member:
        entity_type, kind = self._types[code]
        usable = Usable(Identifier(entity_type, kind, ""), digest, self._rules.entities[entity_type].identifiers[kind].priority)
        return Member(number, root, usable, bool(flags & _OFF), bool(flags & _STALE))

    def _joining(self, number: int, first: int, members: list[int]) -> Joining:
        return Joining(number, first - BIAS_MS, tuple(members))

    async def _read(self, what: str, numbers: Sequence[int]) -> AsyncIterator[list[Any]]:
        for at in range(0, len(numbers), ROWS_AT_ONCE):
            todo = [[number, 0] for number in numbers[at : at + ROWS_AT_ONCE]]
            while todo:
                _, (packed,) = await self._call("evidence", what, pack(todo), ROWS_AT_ONCE)
                rows, todo = msgpack.unpackb(packed, raw=True)
                for row in rows:
                    yield row

    async def _write(self, found: Settlement) -> None:
        for one in found.divisions:
            await self._step("divide", [one.root, one.pieces, one.off])
        for some in _portions(found.unions):
            await self._step("unite", [[one.one, one.other, one.link] for one in some])
        stay = [number for parts in found.apart for number in parts]
        for some in _portions([*stay, *found.whole]):
            await self._step("reveal", some)
        await self._release(found)

    async def _release(self, found: Settlement) -> None:
        """Let whole components go, and give those in several parts a case each: all but the first."""
        for some in _portions(found.whole):
            if await self._step("release", [self._seq, 0, some]) is None:
                return
        for parts in found.apart[1:]:
            into: int | None = -1
            for some in _portions(parts):
                if (into := await self._step("release", [self._seq, into, some])) is None:
                    return

    async def _step(self, kind: str, payload: object) -> int | None:
        """Take a step; gives the case to which was released, None where that must wait. Raises _SupersededError."""
        word, rest = await self._call("settle", kind, *self._held, pack(payload))
        if word is Reply.GONE:
            raise _SupersededError
        return int(rest[0]) if rest else None


def _portions(steps: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for at in range(0, len(steps), STEPS_AT_ONCE):
        yield steps[at : at + STEPS_AT_ONCE]
