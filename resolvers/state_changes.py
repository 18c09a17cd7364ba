"""State changes: what the timeline tells when the histories of an entity's states became others.

Invariant: who replays these records in order holds the histories: `state.changed` adds a point at the end, `state.corrected` takes the
points of its `old` intervals out and puts those of its `new` ones in; one whose `old` is null, all that was told of the state. An interval
of which only the end moved is among both; but not for what `state.changed` goes on with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from resolvers.change import NOBODY, Change
from resolvers.entity import Fact, Late, Point, Refusal, nothing_late
from resolvers.instant import write_instant

Histories = Mapping[str, tuple[Point, ...]]
Interval = dict[str, Any]

MOST_INTERVALS = 1_000
"""So many intervals stand in one record, which must fit its topic."""


def state_changes(
    old: Histories, new: Histories, *, whole: bool = True, late: Late = nothing_late, founding: Fact = NOBODY
) -> Iterator[Change]:
    """Tell how each state's history came from what was told. One of which not the `whole` is known any more is told anew.

    `late` names the event that brought a correction, `founding` is the entity's first.
    """
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name, ()), new.get(name, ())
        if not whole:
            yield from _corrected(name, NOBODY, None, _intervals(now, ()))
        elif was != now:
            yield from _changes(name, was, now, partial(late, old, name), founding)


def refusals(old: Iterable[Refusal], new: Iterable[Refusal]) -> Iterator[Change]:
    """Tell which values were refused since, and why.

    What an entity begins with, which no event brought, is refused once, whenever it begins.
    """
    known = {_refused(one) for one in old}
    for one in new:
        if _refused(one) not in known:
            known.add(_refused(one))
            data = {"state": one.state, "value": one.value, "reason": one.reason}
            yield Change("state.refused", Fact(one.occurred_at, one.source, one.event_id), data)


def _refused(one: Refusal) -> tuple[object, ...]:
    return (one.occurred_at, one.source, one.event_id, one.index, one.state, one.value) if one.source else (one.state, one.value)


def _changes(name: str, old: Sequence[Point], new: Sequence[Point], late: Callable[[int], Fact | None], founding: Fact) -> Iterator[Change]:
    kept = [point for point in new if old and point.since <= old[-1].since]
    before, behind = _alike(old, kept)
    was, now = old[before : len(old) - behind], kept[before : len(kept) - behind]
    if was or now:
        event = late(max(point.since for point in (*was, *now))) or (founding if _begins_earlier(old, new) else NOBODY)
        if before and _since(old, before) != _since(new, before):
            before -= 1
        was, now = old[before : len(old) - behind], kept[before : len(kept) - behind]
        yield from _corrected(name, event, _intervals(was, old[len(old) - behind :]), _intervals(now, new[len(kept) - behind :]))
    value = kept[-1].value if kept else None
    for point in new[len(kept) :]:
        data = {"state": name, "from": value, "to": point.value, "entered_at": write_instant(point.since)}
        yield Change("state.changed", _event(point), data)
        value = point.value


def _alike(old: Sequence[Point], new: Sequence[Point]) -> tuple[int, int]:
    """Count the points that are the same from the beginning on, and those up to the end."""
    least, before, behind = min(len(old), len(new)), 0, 0
    while before < least and _same(old[before], new[before]):
        before += 1
    while behind < least - before and _same(old[-1 - behind], new[-1 - behind]):
        behind += 1
    return before, behind


def _begins_earlier(old: Sequence[Point], new: Sequence[Point]) -> bool:
    """Say whether what an entity begins with, which no event of a state brought, has come to hold earlier."""
    return bool(new) and not new[0].source and not old[0].source and new[0].since < old[0].since


def _since(points: Sequence[Point], place: int) -> int | None:
    return points[place].since if place < len(points) else None


def _corrected(name: str, event: Fact, old: list[Interval] | None, new: list[Interval]) -> Iterator[Change]:
    """Tell a correction, in several records where it is long: first all that goes, then what comes."""
    pieces: list[tuple[list[Interval] | None, list[Interval]]] = [(old, new)]
    if len(old or ()) + len(new) > MOST_INTERVALS:
        pieces = [(some, []) for some in _pieces(old)] if old is not None else [(None, [])]
        pieces += [([], some) for some in _pieces(new)]
    for goes, comes in pieces:
        yield Change("state.corrected", event, {"state": name, "old": goes, "new": comes})


def _pieces(intervals: list[Interval]) -> Iterator[list[Interval]]:
    for at in range(0, len(intervals), MOST_INTERVALS):
        yield intervals[at : at + MOST_INTERVALS]


def _same(one: Point, other: Point) -> bool:
    return (one.since, one.value) == (other.since, other.value)


def _event(point: Point) -> Fact:
    return Fact(point.since, point.source, point.event_id) if point.source else Fact(point.since, NOBODY.source, NOBODY.event_id)


def _intervals(points: Sequence[Point], after: Sequence[Point]) -> list[Interval]:
    ends = [write_instant(point.since) for point in (*points, *after)][1:] if points else []
    untils = [*ends[: len(points)], *[None] * (len(points) - len(ends))]
    return [{"value": point.value, "since": write_instant(point.since), "until": end} for point, end in zip(points, untils, strict=True)]
