"""States: from what was observed of an entity to the values that it held, and since when.

A history is a list of points: from a point's time on the state has its value, until the next point. So its intervals are half-open,
never overlap, and the last one is open. Invariant: pure; a history is a function of the set of observations, the entity's first time
and the present. Neighbours: `folds` and `redis_rows` gather observations; `state_changes` tells how one history became another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any

import msgspec

from resolvers.carried import ALONE, FALSE, TRUE, Around, Component, Decider, History, carried, deciding, seen_as
from resolvers.entity import Fact, Point, Refusal
from resolvers.expressions import MOST_CHARACTERS, asked, cut

Observation = tuple[str, int, str, str, int, str]
"""A state seen: (state, event time in ms, source, event id, participant, value)."""


@dataclass(frozen=True, slots=True)
class Lapse:
    """A value that was not observed again for `after` ms becomes another."""

    value: str
    becomes: str
    after: int


@dataclass(frozen=True, slots=True)
class Derivation:
    """How a state follows from others: a compiled expression over the present values of its components."""

    components: tuple[Component, ...]
    expression: Any
    _known: dict[tuple[str | None, ...], str | None] = field(default_factory=dict, compare=False, repr=False)

    def value(self, present: tuple[str | None, ...]) -> str | None:
        """Give the value that follows, allowed or not, of the components' values in order; None for none. One that is too long is cut."""
        if present not in self._known:
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            self._known[present] = self._computed(present)
        return self._known[present]

    def _computed(self, present: tuple[str | None, ...]) -> str | None:
        values = {one.name: seen_as(one, value) for one, value in zip(self.components, present, strict=True)}
        return _text(asked(self.expression, values))


@dataclass(frozen=True, slots=True)
class StateRule:
    """The rule of one state. Without `values` every value is allowed."""

    name: str
    values: frozenset[str] | None = None
    initial: str | None = None
    lapses: Mapping[str, Lapse] = field(default_factory=dict)
    derivation: Derivation | None = None


Values = tuple[str | None, ...]

StateRules = Mapping[str, StateRule]
"""The declared states of an entity type, those that others are derived from first."""

NOT_ALLOWED = "the state does not allow this value"
TOO_LONG = f"the value is longer than {MOST_CHARACTERS:,} characters"
FOLLOWS = "the state follows from others, so no event says its value"

_PLAIN = StateRule("")
_MOST_KNOWN = 10_000
_IN_ORDER = itemgetter(1, 2, 3, 4, 5)
_BY_TIME = itemgetter(0)
_BY_STATE = attrgetter("state", "occurred_at", "source", "event_id", "index", "value")


def histories(
    rules: StateRules,
    observations: Iterable[Observation],
    first_seen: int,
    now: int,
    around: Around = ALONE,
    wrong: list[Refusal] | None = None,
) -> dict[str, History]:
    """Compute the history of every state, declared or not, that has one. Times are in ms; `now` bounds what lapses.

    Values that follow and are not allowed are added to `wrong`, as if their event had shown them; not of what is carried, as it follows
    from what was told of others so far.
    """
    seen: dict[str, list[Observation]] = {}
    for one in observations:
        seen.setdefault(one[0], []).append(one)
    found = {name: observed(rules.get(name, _PLAIN), seen[name], first_seen, now) for name in seen}
    from_others: set[str] = set()
    for name, rule in rules.items():
        if rule.derivation is not None:
            if any(part.of is not None or part.state in from_others for part in rule.derivation.components):
                from_others.add(name)
            found[name] = derived(rule, rule.derivation, found, first_seen, around, None if name in from_others else wrong)
        elif name not in found and rule.initial is not None:
            found[name] = observed(rule, (), first_seen, now)
    return {name: found[name] for name in sorted(found) if found[name]}


def observed(rule: StateRule, observations: Iterable[Observation], first_seen: int, now: int) -> History:
    """Compute the history of a state that is observed.

    Of observations at the same time the largest by (source, event id, participant, value) holds, and no other leaves a trace.
    """
    points: list[Point] = []
    value, since, event = rule.initial, first_seen, Fact(0, "", "")
    if value is not None:
        points.append(Point(first_seen, value))
    for _, at, source, event_id, _, now_it_is in holding(rule, observations):
        value = _lapsed(rule, points, value, since, event, at - 1)
        since, event = at, Fact(0, source, event_id)
        if points and points[-1].since == at:  # the initial value, which held for no time
            points.pop()
            value = points[-1].value if points else None
        if now_it_is != value:
            points.append(Point(at, now_it_is, source, event_id))
        value = now_it_is
    _lapsed(rule, points, value, since, event, now)
    return tuple(points)


def holding(rule: StateRule, observations: Iterable[Observation]) -> list[Observation]:
    """Order the observations whose value is allowed, one for each time."""
    allowed = [one for one in observations if _allows(rule, one[5])]
    return list({one[1]: one for one in sorted(allowed, key=_IN_ORDER)}.values())


def _allows(rule: StateRule, value: str) -> bool:
    """Say whether a value may be observed: one that is too long never, nor any of a state that follows from others."""
    return rule.derivation is None and _may_have(rule, value)


def _may_have(rule: StateRule, value: str) -> bool:
    return len(value) <= MOST_CHARACTERS and (rule.values is None or value in rule.values)


def _lapsed(rule: StateRule, points: list[Point], value: str | None, since: int, event: Fact, until: int) -> str | None:
    """Let a value lapse, and what it becomes in turn, as long as that is not after `until`; gives the value then."""
    while value is not None and (lapse := rule.lapses.get(value)) is not None and since + lapse.after <= until:
        since, value = since + lapse.after, lapse.becomes
        points.append(Point(since, value, event.source, event.event_id))
    return value


def derived(
    rule: StateRule,
    derivation: Derivation,
    found: Mapping[str, History],
    first_seen: int,
    around: Around = ALONE,
    wrong: list[Refusal] | None = None,
) -> History:
    """Compute the history of a state that follows from others: each keeps its value until it has another. Only changes are kept.

    A value that is not allowed is added to `wrong`, where it begins to follow.
    """
    moves = [
        (point.since, place, point)
        for place, part in enumerate(derivation.components)
        for point in (found.get(part.state, ()) if part.of is None else carried(part, around.get(part.of, ()), first_seen))
    ]
    if len(derivation.components) > 1:
        moves.sort(key=_BY_TIME)
    present: list[str | None] = [None] * len(derivation.components)
    points: list[Point] = []
    said = derivation.value(tuple(present))
    value = _following(rule, said)
    if not moves or moves[0][0] > first_seen:
        if value is not None:
            points.append(Point(first_seen, value))
        _note_wrong(rule, said, first_seen, ("", ""), wrong)
    else:
        said = None
    for at, together in groupby(moves, key=_BY_TIME):
        moved = [(point.source, point.event_id, (place, point.value)) for _, place, point in together]
        before, said_before = tuple(present), said
        for *_, (place, now) in moved:
            present[place] = now
        said = derivation.value(tuple(present))
        follows = _following(rule, said)
        if follows != (points[-1].value if points else None):
            by = (
                _decider(rule, derivation, moved, before, tuple(present)) if follows != value else ()
            )  # it begins with what it would be alone
            points.append(Point(at, follows, *by))
        if said != said_before:
            _note_wrong(rule, said, at, max(one[:2] for one in moved), wrong)
        value = follows
    return tuple(points)


def _note_wrong(rule: StateRule, said: str | None, at: int, event: tuple[str, str], wrong: list[Refusal] | None) -> None:
    if said is not None and wrong is not None and not _may_have(rule, said):
        wrong.append(Refusal(at, *event, 0, rule.name, said, _why_not(said)))


def _decider(
    rule: StateRule, derivation: Derivation, moved: Sequence[Decider[tuple[int, str | None]]], before: Values, after: Values
) -> tuple[str, str]:
    """Choose the event among those of the components that changed as the expression sees them."""
    parts = derivation.components
    seen = [one for one in moved if seen_as(parts[one[2][0]], before[one[2][0]]) != seen_as(parts[one[2][0]], one[2][1])]
    value = _following(rule, derivation.value(after))

    def with_one(place: int, now: str | None, others: Values) -> str | None:
        return _following(rule, derivation.value((*others[:place], now, *others[place + 1 :])))

    return deciding(
        seen,
        lambda one: with_one(*one, before) == value,
        lambda one: with_one(one[0], before[one[0]], after) != value,
    )


def _following(rule: StateRule, said: str | None) -> str | None:
    return said if said is not None and _may_have(rule, said) else rule.initial


def refused(rules: StateRules, observations: Iterable[Observation], following: Iterable[Refusal] = ()) -> tuple[Refusal, ...]:
    """Give the observations whose value their state may not have, and those values that follow and it may not have, in order."""
    found = [
        Refusal(at, source, event_id, index, state, value, FOLLOWS if rule.derivation is not None else _why_not(value))
        for state, at, source, event_id, index, value in observations
        if not _allows(rule := rules.get(state, _PLAIN), value)
    ]
    return tuple(sorted([*found, *following], key=_BY_STATE))


def _why_not(value: str) -> str:
    """Say why a state may not have a value."""
    return TOO_LONG if len(value) > MOST_CHARACTERS else NOT_ALLOWED


def next_lapse(rules: StateRules, observations: Collection[Observation], first_seen: int, now: int) -> int | None:
    """Tell when the next value lapses, in ms; None for never."""
    due = []
    for name, rule in rules.items():
        if not rule.lapses:
            continue
        mine = holding(rule, (one for one in observations if one[0] == name))
        value, since = (mine[-1][5], mine[-1][1]) if mine else (rule.initial, first_seen)
        while value is not None and (lapse := rule.lapses.get(value)) is not None:
            since, value = since + lapse.after, lapse.becomes
            if since > now:
                due.append(since)
                break
    return min(due, default=None)


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return TRUE if value else FALSE
    return cut(value if isinstance(value, str) else msgspec.json.encode(value, order="deterministic").decode())
