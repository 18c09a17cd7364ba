"""Late: which event brought it that intervals of a state which were told have become others.

Histories alone say what holds, not what came when. But an observation that was known when a history was told left its mark there: the
state has its value at its time, and no value lapsed over it. The newest one of which that is not so came late. Invariant: pure.
Neighbours: `folds` gives it the observations of an entity; `state_changes` asks it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from resolvers.entity import Fact, Point
from resolvers.states import Observation, StateRule, StateRules, holding

_SINCE = attrgetter("since")


def newest_late(
    rules: StateRules, observations: Iterable[Observation], told: Mapping[str, tuple[Point, ...]], state: str, until: int
) -> Fact | None:
    """Give the newest event up to a time (ms) that was not known when these histories were told; of a derived state, of its components.

    None where there is none, as when evidence went away; nor is it known of what memberships carry.
    """
    rule = rules.get(state, StateRule(state))
    if rule.derivation is not None:
        own = {part.state for part in rule.derivation.components if part.of is None}
        found = [newest_late(rules, observations, told, part, until) for part in sorted(own)]
        return max((one for one in found if one is not None), default=None)
    held = holding(rule, (one for one in observations if one[0] == state))
    seen_at = {(source, event_id): at for _, at, source, event_id, _, _ in held}
    history = told.get(state, ())
    for _, at, source, event_id, _, value in reversed(held):
        if at <= until and not _known(history, seen_at, at, value):
            return Fact(at, source, event_id)
    return None


def _known(history: Sequence[Point], seen_at: Mapping[tuple[str, str], int], at: int, value: str) -> bool:
    """Say whether a history tells of an observation: has its value then, and none that lapsed after it but since before it."""
    place = bisect_right(history, at, key=_SINCE)
    if not place or history[place - 1].value != value:
        return False
    following = bisect_left(history, at, key=_SINCE)
    if following == len(history):
        return True
    point = history[following]
    return seen_at.get((point.source, point.event_id), _beginning(history, point)) >= at


def _beginning(history: Sequence[Point], point: Point) -> int:
    """Give the time since which what lapsed to a point had held, where no event that is known brought it."""
    return point.since if point.source else history[0].since
