"""Settling: read a case's evidence from Redis, compute what it says, and write that back step by step.

Invariant: whatever arrives meanwhile, a step is taken only by who holds the case, and only while who may connect is as it
was when the evidence was read. Neighbours: `settlement` computes; `lua/settle.lua` takes the steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgpack

from resolvers.division import Enemies, Guard
from resolvers.edge import strength
from resolvers.identifier import Identifier
from resolvers.redis_dividing import divide
from resolvers.redis_rows import BIAS_MS, pack
from resolvers.rules import EntityRule, Rules
from resolvers.scripts import Bounds, Reply
from resolvers.settlement import Joining, Member, Settlement, settlement_of
from resolvers.sighting import Usable

Call = Callable[..., Awaitable[tuple[Reply, list[Any]]]]

ROWS_AT_ONCE = 300
"""Nodes or links that one call reads: some milliseconds of Redis's time."""

LARGE = 2_000
"""Of a case with more links it is computed beside the event loop what they say."""


_LETTERS = {Guard.LIMIT: "l", Guard.SIZE: "s", Guard.FORBIDDEN: "f"}


class _SupersededError(Exception):
    """Somebody else holds the case, or who may connect has changed: then the case was given back, and is due again."""


async def settle(call: Call, rules: Rules, codes: Mapping[tuple[str, str], int], bounds: Bounds) -> int:
    """Settle the case that has been due for longest, if one is; gives how many cases wait."""
    word, rest = await call("begin_settling", bounds.lease_ms)
    if word is Reply.NONE:
        return int(rest[0])
    case, fence, epoch, seq = rest
    settling = _Settling(call, rules, codes, (case, fence, epoch, bounds.lease_ms), seq, bounds)
    with suppress(_SupersededError):
        await settling.run()
    return 1


class _Settling:
    """One case, in one worker's hands."""

    def __init__(
        self, call: Call, rules: Rules, codes: Mapping[tuple[str, str], int], held: tuple[int, int, int, int], seq: int, bounds: Bounds
    ) -> None:
        self._call = call
        self._rules = rules
        self._types = {code: named for named, code in codes.items()}
        self._held = held
        self._seq = seq
        self._bounds = bounds
        self._extended = asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Read, compute, write. Raises _SupersededError."""
        roots = sorted({root async for (root,) in self._pages("roots", [[self._held[0], "0"]])})
        rows = [row async for row in self._read("nodes", roots)]
        members = [self._member(row) for row in rows]
        links = [self._joining(*row) async for row in self._read("links", [one.number for one in members])]
        if members:
            links += _corrected(members, [row[7] for row in rows])
            enemies = {row[2]: set(row[6]) for row in rows if row[6]}
            rule = self._rules.entities[members[0].usable.identifier.entity_type]
            await self._write(await self._computed(members, links, rule, enemies))
        await self._step("end", [self._seq])

    async def _computed(self, members: list[Member], links: list[Joining], rule: EntityRule, enemies: Enemies) -> Settlement:
        if len(links) <= LARGE:
            return settlement_of(members, links, rule, enemies)
        computing = asyncio.ensure_future(asyncio.to_thread(settlement_of, members, links, rule, enemies))
        while not (await asyncio.wait({computing}, timeout=self._half_a_lease))[0]:
            await self._step("hold", [])
        return computing.result()

    @property
    def _half_a_lease(self) -> float:
        return self._held[3] / 2000

    def _member(self, row: list[Any]) -> Member:
        number, root, digest, code, off, stale, _, _, founds = row
        entity_type, kind = self._types[code]
        usable = Usable(Identifier(entity_type, kind, ""), digest, self._rules.entities[entity_type].identifiers[kind].priority)
        return Member(number, root, usable, bool(off), bool(stale), bool(founds))

    def _joining(self, number: int, first: int, members: list[int]) -> Joining:
        return Joining(number, first - BIAS_MS, tuple(members))

    async def _read(self, what: str, numbers: Sequence[int]) -> AsyncIterator[list[Any]]:
        for at in range(0, len(numbers), ROWS_AT_ONCE):
            async for row in self._pages(what, [[number, 0] for number in numbers[at : at + ROWS_AT_ONCE]]):
                yield row

    async def _pages(self, what: str, todo: list[list[Any]]) -> AsyncIterator[list[Any]]:
        while todo:
            if asyncio.get_running_loop().time() > self._extended + self._half_a_lease:
                await self._step("hold", [])
            word, rest = await self._call("evidence", what, pack(todo), ROWS_AT_ONCE, *self._held[:3])
            if word is Reply.GONE:
                await self._step("hold", [])  # gives the case back, if it is this one's
                raise _SupersededError
            (packed,) = rest
            rows, todo = msgpack.unpackb(packed, raw=True)
            for row in rows:
                yield row

    async def _write(self, found: Settlement) -> None:
        for one in found.divisions:
            await divide(self._step, one, self._bounds.portion)
        for some in self._portions(found.unions):
            await self._step("unite", [[one.one, one.other, one.link] for one in some])
        stay = [number for parts in found.apart for number in parts]
        for some in self._portions([*stay, *found.whole]):
            await self._step("reveal", some)
        for some in self._portions(found.refusals):
            await self._step("refuse", [[one.stronger, one.weaker, one.link, _LETTERS[one.guard]] for one in some])
        await self._release(found)

    async def _release(self, found: Settlement) -> None:
        """Let whole components go, and give those in several parts a case each: all but the first."""
        for some in self._portions(found.whole):
            if await self._step("release", [self._seq, 0, some, 1]) is None:
                return
        for parts in found.apart[1:]:
            into = -1
            portions = list(self._portions(parts))
            for some in portions:
                released = await self._step("release", [self._seq, into, some, int(some is portions[-1])])
                if released is None:
                    return
                (into,) = released

    def _portions(self, steps: Sequence[Any]) -> Iterator[Sequence[Any]]:
        for at in range(0, len(steps), self._bounds.steps):
            yield steps[at : at + self._bounds.steps]

    async def _step(self, kind: str, payload: object) -> tuple[int, ...] | None:
        """Take a step; gives what it replied, None where it did nothing: it must wait, or be taken in portions. Raises _SupersededError."""
        word, rest = await self._call("settle", kind, *self._held, pack(payload))
        if word is Reply.GONE:
            raise _SupersededError
        self._extended = asyncio.get_running_loop().time()
        return tuple(map(int, rest)) if rest else None


def _corrected(members: Sequence[Member], linked: Iterable[Sequence[bytes]]) -> Iterator[Joining]:
    """Write the pairs that corrections link as links without a number; `linked` are digests and times in turn, of each member."""
    by_digest = {one.usable.digest: one for one in members if not one.off}
    for one, pairs in zip(members, linked, strict=True):
        for digest, issued in zip(pairs[::2], pairs[1::2], strict=True):
            other = by_digest.get(digest)
            if other is not None and not one.off and strength(one.usable) < strength(other.usable):
                yield Joining(0, int(issued) - BIAS_MS, (one.number, other.number))
