"""Progress: looking at working workers many times a second, and what a row of looks says about their pace.

Invariant: time is counted from the last look that saw nothing done to the first that saw all of it done, so
that starting a worker is not part of a rate. Neighbours: `stages` says what counts as done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from resolvers.errors import NexusError
from streams.bench.meters import Meters, Used
from streams.bench.report import TENTHS, Growth, Rate, growth_of

LOOK_SECONDS = 0.1
STALLED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class State:
    """How far the work is: units done, whether any was begun, and whether nothing is left; `signs` are what else shows that it moves."""

    done: int
    begun: bool
    finished: bool
    signs: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """One look: when, how far, and what was used by then."""

    at: float
    state: State
    used: Used


async def watch(state: Callable[[], Awaitable[State]], meters: Meters, check: Callable[[], None]) -> list[Look]:
    """Look until nothing is left. `check` raises if a worker has ended. Raises NexusError when nothing moves any more."""
    looks: list[Look] = []
    moved = time.monotonic()
    while True:
        looks.append(Look(time.monotonic(), await state(), await meters.read()))
        if looks[-1].state.finished:
            return looks
        check()
        if len(looks) < 2 or looks[-1].state != looks[-2].state:
            moved = time.monotonic()
        elif time.monotonic() - moved > STALLED_SECONDS:
            raise NexusError(f"nothing has moved for {STALLED_SECONDS:g} s: {looks[-1].state}")
        await asyncio.sleep(max(0.0, looks[-1].at + LOOK_SECONDS - time.monotonic()))


def of_units(looks: Sequence[Look], count: int) -> list[Look]:
    """Count what was done in units of which there are so many in all, whatever the looks counted."""
    whole = looks[-1].state.done
    if whole in {0, count}:
        return list(looks)
    return [replace(look, state=replace(look.state, done=look.state.done * count // whole)) for look in looks]


def rate_of(name: str, unit: str, count: int, looks: Sequence[Look], peak_mib: float | None = None) -> Rate:
    """Read a rate off the looks."""
    begin, end = looks[_begin(looks)], looks[-1]
    seconds = end.at - begin.at
    cpu, others = end.used.per_unit_us(begin.used, count), end.used.others_cores(begin.used, seconds)
    return Rate(name, unit, count, seconds, cpu, others, peak_mib)


def growths_of(name: str, count: int, looks: Sequence[Look], lag: int) -> list[Growth]:
    """Read off the looks how the cost of a unit changed from tenth to tenth; nothing where there are too few looks to tell.

    What counts as done may be `lag` units behind what was worked until the work ends, when it catches up. So the looks
    before the first and after the last such lag are left out.
    """
    worked = [look for look in looks if lag < look.state.done < count - 2 * lag]
    if len(worked) <= TENTHS:
        return []
    first = worked[0].state.done
    units = worked[-1].state.done - first
    readings: dict[str, Callable[[Look], float]] = {
        "µs": lambda look: look.at * 1e6,
        "CPU µs of worker and Redis": lambda look: ((look.used.worker or 0.0) + (look.used.redis or 0.0)) * 1e6,
        "calls of Redis": lambda look: look.used.redis_calls,
    }
    rows = {of: [(read(look), look.state.done - first) for look in worked] for of, read in readings.items()}
    return [growth_of(name, of, units, tenths(row, units)) for of, row in rows.items()]


def _begin(looks: Sequence[Look]) -> int:
    """Find the last look before anything was begun."""
    return max(0, next((index for index, look in enumerate(looks) if look.state.begun), len(looks)) - 1)


def tenths(rows: Sequence[tuple[float, int]], count: int) -> tuple[float, ...]:
    """Give what each tenth of `count` units took; a row is a reading of a clock, or a counter, and the units done by then.

    Between two readings work is taken to have gone evenly.
    """
    moments = [_moment(rows, count * part / TENTHS) for part in range(TENTHS + 1)]
    return tuple(after - before for before, after in pairwise(moments))


def _moment(rows: Sequence[tuple[float, int]], done: float) -> float:
    """Find the reading at which so much was done."""
    before = rows[0]
    for row in rows:
        if row[1] >= done:
            rest = row[1] - before[1]
            return row[0] if not rest else before[0] + (row[0] - before[0]) * (done - before[1]) / rest
        before = row
    return before[0]
