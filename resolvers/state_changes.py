"""State changes: what the timeline tells when the histories of an entity's states became others.

Invariant: who replays these records in order holds the histories: `state.changed` adds a point at the end, `state.corrected` takes the
points of its `old` intervals out and puts those of its `new` ones in; one whose `old` is null, all that was told of the state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from resolvers.change import NOBODY, Change
from resolvers.entity import Fact, Point, Refusal
from resolvers.instant import write_instant

Histories = Mapping[str, Sequence[Point]]
Interval = dict[str, Any]

MOST_INTERVALS = 1_000
"""So many intervals stand in one record, which must fit its topic."""


def state_changes(old: Histories, new: Histories, *, whole: bool = True) -> Iterator[Change]:
    """Tell how each state's history came from what was told. One of which not the `whole` is known any more is told anew."""
    for name in sorted(old.keys() | new.keys()):
        if whole and old.get(name) == new.get(name):
            continue
        if whole:
            yield from _changes(name, list(old.get(name, ())), list(new.get(name, ())))
        else:
            yield from _corrected(name, None, _intervals(new.get(name, ()), ()), (*new.get(name, ()), *old.get(name, ()))[:1])


def refusals(old: Iterable[Refusal], new: Iterable[Refusal]) -> Iterator[Change]:
    """Tell which values were refused since."""
    known = set(old)
    for one in new:
        if one not in known:
            data = {"state": one.state, "value": one.value, "reason": "the state does not allow this value"}
            yield Change("state.refused", Fact(one.occurred_at, one.source, one.event_id), data)


def _changes(name: str, old: list[Point], new: list[Point]) -> Iterator[Change]:
    kept = [point for point in new if old and point.since <= old[-1].since]
    before = 0
    while before < min(len(old), len(kept)) and _same(old[before], kept[before]):
        before += 1
    behind = 0
    while behind < min(len(old), len(kept)) - before and _same(old[-1 - behind], kept[-1 - behind]):
        behind += 1
    was, now = old[before : len(old) - behind], kept[before : len(kept) - behind]
    if was or now:
        out, put_in = _intervals(was, old[len(old) - behind :]), _intervals(now, [*kept[len(kept) - behind :], *new[len(kept) :]])
        yield from _corrected(name, out, put_in, [*now, *was][:1])
    value = kept[-1].value if kept else None
    for point in new[len(kept) :]:
        data = {"state": name, "from": value, "to": point.value, "entered_at": write_instant(point.since)}
        yield Change("state.changed", _event(point), data)
        value = point.value


def _corrected(name: str, old: list[Interval] | None, new: list[Interval], cause: Sequence[Point]) -> Iterator[Change]:
    """Tell a correction, in several records where it is long: first all that goes, then what comes."""
    event = _event(cause[0]) if cause else NOBODY
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
