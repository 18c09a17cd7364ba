"""Carried states: what an entity has of the states of those that memberships connect it with.

Invariant: pure; a function of the set of memberships and of the histories of the others. Neighbours: `states` derives states from this;
`folds` and `redis_around` say who is around an entity.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeVar

from resolvers.entity import Fact, Point
from resolvers.expressions import asked

T = TypeVar("T")

History = tuple[Point, ...]

TRUE, FALSE = "true", "false"

_MOST_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class Component:
    """What a derived state is made of: another state, or whether a condition on its value holds."""

    name: str
    state: str
    when: Any = None
    """A compiled expression over `{"value": ...}`, or None for the value itself."""

    of: str | None = None
    """`members` or `groups`, where it is a state of those that memberships connect the entity with; None for its own."""

    every: bool = False
    """Whether the condition must hold for each of them, and not only for one."""

    most: int = 1_000
    """Of an entity with more of them the component is null."""

    _known: dict[str | None, bool] = field(default_factory=dict, compare=False, repr=False)

    def holds(self, value: str | None) -> bool:
        """Say whether the condition holds for a value."""
        if value not in self._known:
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            self._known[value] = bool(asked(self.when, {"value": value}))
        return self._known[value]


@dataclass(frozen=True, slots=True)
class Counterpart:
    """Whom a membership connects an entity with: the histories of its states, and from when to when they count."""

    states: Mapping[str, History]
    begun: Fact | None
    """The first sighting of the membership that does not end it; None where all do: then it carries nothing."""

    ended: Fact | None = None
    """The latest sighting, if it ends the membership."""


Around = Mapping[str, Collection[Counterpart]]
"""The `members` and the `groups` of an entity."""

ALONE: Around = {}

_TIME = itemgetter(0)


Decider = tuple[str, str, T]
"""The source and the id of the event that moved something, and what it moved."""


def deciding(moved: Sequence[Decider[T]], enough: Callable[[T], bool], needed: Callable[[T], bool]) -> tuple[str, str]:
    """Choose the event by which a value became another, where several moves at one time made it.

    The largest by (source, event id) of those that would have been `enough` alone; if none would, of those that were `needed`; else of all.
    """
    if len({one[:2] for one in moved}) == 1:
        return moved[0][:2]
    found = [one[:2] for one in moved if enough(one[2])] or [one[:2] for one in moved if needed(one[2])] or [one[:2] for one in moved]
    return max(found)


def seen_as(component: Component, value: str | None) -> str | bool | None:
    """Give what the expression of a derived state sees of a component that has a value."""
    if component.of is not None:
        return None if value is None else value == TRUE
    return value if component.when is None else component.holds(value)


def carried(component: Component, others: Collection[Counterpart], first_seen: int) -> History:
    """Tell since when a condition holds for one of the others, or for each of them; nothing of too many. Times are in ms.

    A membership carries from its first sighting on until it ended; one that ended and began again, without a gap. What was before the
    entity's first time counts from then on, and no event brought it.
    """
    if len(others) > component.most:
        return ()
    moves: list[tuple[int, str, str, int, int]] = [(first_seen, "", "", 0, 0)]
    holding, counting = 0, 0
    for one in others:
        held, counted = False, False
        for at, source, event_id, holds, counts in _steps(component, one):
            move = (holds - held, counts - counted)
            moves.append((at, source, event_id, *move) if at > first_seen else (first_seen, "", "", *move))
            held, counted = holds, counts
    points: list[Point] = []
    for at, together in groupby(sorted(moves), key=_TIME):
        moved = [(source, event_id, (more, fewer)) for _, source, event_id, more, fewer in together]
        before = holding, counting
        holding, counting = holding + sum(one[0] for *_, one in moved), counting + sum(one[1] for *_, one in moved)
        value = _met(component, holding, counting)
        if not points:
            points.append(Point(at, value))  # of the entity's first time
        elif points[-1].value != value:
            points.append(Point(at, value, *_decider(component, [one for one in moved if one[2] != (0, 0)], before, (holding, counting))))
    return tuple(points)


def _met(component: Component, holding: int, counting: int) -> str:
    return TRUE if holding and (not component.every or holding == counting) else FALSE


def _decider(
    component: Component, moved: Sequence[Decider[tuple[int, int]]], before: tuple[int, int], after: tuple[int, int]
) -> tuple[str, str]:
    value = _met(component, *after)
    return deciding(
        moved,
        lambda one: _met(component, before[0] + one[0], before[1] + one[1]) == value,
        lambda one: _met(component, after[0] - one[0], after[1] - one[1]) != value,
    )


def _steps(component: Component, one: Counterpart) -> list[tuple[int, str, str, bool, bool]]:
    """List when the condition may change for one of them: time, source, event id, whether it holds then, whether the membership does.

    The first sighting brings what the other holds then, also what it came to hold at that very time.
    """
    begun, ended = one.begun, one.ended
    if begun is None or (ended is not None and ended.occurred_at <= begun.occurred_at):
        return []
    points = one.states.get(component.state, ())
    value = next((point.value for point in reversed(points) if point.since <= begun.occurred_at), None)
    steps = [(begun.occurred_at, begun.source, begun.event_id, component.holds(value), True)]
    steps += [
        (point.since, point.source, point.event_id, component.holds(point.value), True)
        for point in points
        if begun.occurred_at < point.since and (ended is None or point.since < ended.occurred_at)
    ]
    return steps if ended is None else [*steps, (ended.occurred_at, ended.source, ended.event_id, False, False)]
