"""Dividing a part in Redis: a small one in one call, a large one in portions.

Invariant: every call touches a bounded number of identifiers and links, and leaves whole parts. Neighbours: `redis_settling` takes the
steps, `lua/dividing.lua` says what they do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence

from resolvers.settlement import Divide

Step = Callable[[str, list[object]], Awaitable[tuple[int, ...] | None]]
"""Takes a step; gives what it replied, None where it did nothing. Raises where the case is no longer this worker's."""

MOST_NOTED = 100
"""Of what came of one id so many are told as split off."""


async def divide(step: Step, one: Divide, portion: int) -> None:
    """Divide a part."""
    if len(one.order) <= portion and await step("divide", [one.order[0], one.pieces, one.off]) is not None:
        return
    order = [*one.order[1:], one.order[0]]
    await _flatten(step, one.order[0])
    heads = await _cut(step, one, order, portion)
    at = 0
    for some in _grouped([(heads[piece[0]], len(piece)) for piece in one.pieces], portion):
        await _fold(step, some)
        await step("finish", [[[head, int(at + place < MOST_NOTED)] for place, head in enumerate(some)]])
        at += len(some)
    if one.off:
        while await step("let_go", [heads[one.off[0]]]) != (0,):
            pass


async def _flatten(step: Step, root: int) -> None:
    at = 0
    while True:
        (at,) = await _taken(step, "flatten", [root, at])
        if at == 0:
            return


async def _cut(step: Step, one: Divide, order: Sequence[int], portion: int) -> dict[int, int]:
    """Cut all off in the order of the circle, the root last; gives for each the first of its piece."""
    piece_of = {number: at for at, piece in enumerate((*one.pieces, one.off)) for number in piece}
    first: dict[int, int] = {}
    heads = {number: first.setdefault(piece_of[number], number) for number in order}
    at = 0
    while at < len(order):
        (count,) = await _taken(step, "cut", [order[-1], [[number, heads[number]] for number in order[at : at + portion]]])
        at += count
    return heads


async def _fold(step: Step, heads: Sequence[int]) -> None:
    node = link = 0
    while heads:
        done, node, link = await _taken(step, "fold", [heads, node, link])
        heads = heads[done:]


async def _taken(step: Step, kind: str, payload: list[object]) -> tuple[int, ...]:
    reply = await step(kind, payload)
    assert reply is not None, "only a division of a whole part is refused for its size"
    return reply


def _grouped(pieces: Sequence[tuple[int, int]], most: int) -> Iterator[list[int]]:
    """Group pieces, given by head and size, so that those of one group have no more members than that, or it is one piece."""
    some: list[int] = []
    total = 0
    for head, size in pieces:
        if some and total + size > most:
            yield some
            some, total = [], 0
        some.append(head)
        total += size
    if some:
        yield some
