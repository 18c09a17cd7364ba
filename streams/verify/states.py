"""States, recomputed: which value each held from when on, by looking at all observations at once.

Written from docs/how-to/declare-a-state.md, apart from the resolver. Neighbours: `recompute` gathers observations,
`expected` asks for histories.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, cast

import jmespath
import msgspec

from streams.events import Event, Participant
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.settings.states import ComponentSettings, StateSettings
    from streams.verify.expected import State

History = list[tuple[int, str | None]]
"""(from when on in ms, value), the oldest first; None for no value."""

LONGEST = 1_000
"""A longer value is none."""

NOT_ALLOWED = "the state does not allow this value"
TOO_LONG = "the value is longer than 1,000 characters"
FOLLOWS = "the state follows from others, so no event says its value"
"""Why a value is refused, as the timeline says it."""

_EVER = -(10**15)
"""Before all times, in ms."""

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


Span = tuple[int | None, int | None]
"""When a membership began, None where nothing says that it did, and when it ended, None where it has not; in ms."""

Side = tuple[list[tuple[int, bool]], Span]
"""Of one around an entity: (from when on, whether the condition holds), the first from ever, and from when to when the membership held."""


class Others(Protocol):
    """What else a derived state may be made of: other states of the entity, and of those whom memberships connect it with."""

    def own(self, name: str) -> History:
        """Give the history of another state."""

    def around(self, of: str) -> Sequence[tuple[Callable[[str], History], Span]]:
        """Give `members` or `groups`: their histories by name, and from when to when the membership held."""


class DeclaredStates:
    """The states that the settings declare."""

    def __init__(self, settings: Settings) -> None:
        """Read the settings."""
        self._states = settings.states
        self._expressions: dict[str, Any] = {}

    def seen(self, event: Event, participant: Participant) -> list[tuple[str, str]]:
        """Say what a participant of an event shows: (state, value)."""
        mine = [one for one in self._states if one.entity == participant.entity]
        renamed = {name for one in mine if one.participant is not None for name in (one.name, one.participant)}
        shown = {(name, value) for name, value in participant.states.items() if name not in renamed}
        shown |= {(one.name, participant.states[one.participant]) for one in mine if one.participant in participant.states}
        plain = msgspec.to_builtins(event) if any(one.rules for one in mine) else {}
        plain = {name: value for name, value in plain.items() if name not in {"origin", "recorded_at"}}
        for one in mine:
            for rule in one.rules:
                named = (rule.event, event.name), (rule.type, event.type), (rule.source, event.source), (rule.role, participant.role)
                if all(wanted in {None, found} for wanted, found in named) and (rule.when is None or self._search(rule.when, plain)):
                    value = rule.value if rule.value_of is None else self._search(rule.value_of, plain)
                    text = value if value is None or isinstance(value, str) else msgspec.json.encode(value, order="deterministic").decode()
                    if text:
                        shown.add((one.name, text))
        return sorted((name, cut(value)) for name, value in shown)

    def named(self, entity_type: str, observed: Iterable[State]) -> list[str]:
        """Name the states that an entity may have: those declared for its type, and those observed."""
        return sorted({one.name for one in self._states if one.entity == entity_type} | {one[0] for one in observed})

    def history(self, entity_type: str, name: str, observed: Iterable[State], first: int, now: int, others: Others) -> History:
        """Compute one history of an entity that was first seen at a time."""
        state = self._declared(entity_type, name)
        if state is None or state.derived is None:
            return _held(state, [one for one in observed if one[0] == name], first, now)
        said = self._said(state, first, others)
        return _changes([(at, state.initial if value is None or _not_allowed(state, value) else value) for at, value in said])

    def _declared(self, entity_type: str, name: str) -> StateSettings | None:
        return next((one for one in self._states if one.entity == entity_type and one.name == name), None)

    def refuses(self, entity_type: str, name: str, value: str) -> str | None:
        """Say why a value that is observed is refused; None where it is not."""
        state = self._declared(entity_type, name)
        return FOLLOWS if state is not None and state.derived is not None else _not_allowed(state, value)

    def follows_from(self, entity_type: str, name: str) -> set[str]:
        """Name all states of an entity that one of its own follows from, itself among them; nothing where memberships carry any of it."""
        state = self._declared(entity_type, name)
        found = {name}
        for part in state.derived.components.values() if state is not None and state.derived is not None else ():
            before = self.follows_from(entity_type, part.state) if part.of is None else set[str]()
            if not before:
                return set()
            found |= before
        return found

    def refused_following(self, entity_type: str, first: int, others: Others) -> Iterator[tuple[str, int, str]]:
        """Give the values that follow and are refused, where they begin to follow: (state, from when on in ms, value)."""
        for state in self._states:
            if state.entity == entity_type and state.derived is not None and self.follows_from(entity_type, state.name):
                for at, value in _changes(self._said(state, first, others)):
                    if value is not None and _not_allowed(state, value):
                        yield state.name, at, value

    def unbrought(self, entity_type: str, first: int, now: int) -> set[int]:
        """Give the times at which states of an entity change by no event: its first, and when what it begins with lapses."""
        begins = [_lapsing(one, first, one.initial, now + 1) for one in self._states if one.entity == entity_type]
        return {first, *(at for each in begins for at, _ in each)}

    def _part(self, part: ComponentSettings, others: Others) -> History | list[Side] | None:
        """Gather what a component is made of: a history, or of each of those around, when the condition holds and in which span."""
        if part.of is None:
            return others.own(part.state)
        around = others.around(part.of)
        if len(around) > part.most:
            return None
        condition = part.any or part.all or ""
        met = {
            value: bool(self._search(condition, {"value": value}))
            for value in {None, *(one for known, _ in around for _, one in known(part.state))}
        }
        return [([(_EVER, met[None]), *((at, met[value]) for at, value in known(part.state))], span) for known, span in around]

    def _said(self, state: StateSettings, first: int, others: Others) -> History:
        """Ask the expression of a derived state at each time at which a component may change; what is too long is cut."""
        assert state.derived is not None
        parts = {one: self._part(part, others) for one, part in state.derived.components.items()}
        carried = {name for name, one in state.derived.components.items() if one.of is not None}
        times = {first}
        for name, part in parts.items():
            if name not in carried:
                times |= {at for at, _ in cast("History", part)}
            for steps, span in cast("list[Side]", part or []) if name in carried else []:
                times |= {at for at in (*(at for at, _ in steps), *span) if at is not None and at > first}
        values: History = []
        for at in sorted(times):
            present: dict[str, Any] = {}
            for name, part in parts.items():
                component = state.derived.components[name]
                if name in carried:
                    present[name] = None if part is None else _met(cast("list[Side]", part), at, every=component.all is not None)
                    continue
                value = _at(cast("History", part), at)
                present[name] = value if component.when is None else bool(self._search(component.when, {"value": value}))
            found = self._search(state.derived.value, present)
            if isinstance(found, bool):
                found = str(found).lower()
            elif found is not None and not isinstance(found, str):
                found = msgspec.json.encode(found, order="deterministic").decode()
            values.append((at, None if found is None else cut(found)))
        return values

    def _search(self, expression: str, what: object) -> Any:  # noqa: ANN401 - whatever an expression gives
        if expression not in self._expressions:
            self._expressions[expression] = jmespath.compile(expression)
        try:
            return self._expressions[expression].search(what)
        except Exception:  # noqa: BLE001 - a function that refuses what it is given, or Python itself
            return None


def cut(value: str) -> str:
    """Keep the beginning of a value, or of a membership's role, that is too long."""
    return value if len(value) <= LONGEST else f"{value[:LONGEST]}\u2026"


def _not_allowed(state: StateSettings | None, value: str) -> str | None:
    """Say why a state may not have a value."""
    if len(value) > LONGEST:
        return TOO_LONG
    return NOT_ALLOWED if state is not None and state.values is not None and value not in state.values else None


def _at(history: History, at: int) -> str | None:
    place = bisect_right(history, at, key=lambda point: point[0])
    return history[place - 1][1] if place else None


def _met(sides: list[Side], at: int, *, every: bool) -> bool:
    holding = [steps for steps, (begun, ended) in sides if begun is not None and begun <= at and (ended is None or at < ended)]
    found = [steps[bisect_right(steps, at, key=lambda step: step[0]) - 1][1] for steps in holding]
    return bool(found) and (all(found) if every else any(found))


def _held(state: StateSettings | None, observed: list[State], first: int, now: int) -> History:
    """Let the largest observation of each moment hold, and its value lapse until the next one."""
    known = [one for one in observed if len(one[3]) <= LONGEST]
    allowed = [one for one in known if state is None or state.values is None or one[3] in state.values]
    largest: dict[int, State] = {}
    for one in allowed:
        at = one[1][0]
        if at not in largest or one[1:] > largest[at][1:]:
            largest[at] = one
    held: History = sorted((at, one[3]) for at, one in largest.items())
    if state is not None and state.initial is not None and (not held or held[0][0] > first):
        held.insert(0, (first, state.initial))
    if not held:
        return []
    ends = [after for (after, _) in held[1:]]
    values: History = []
    for (at, value), end in zip(held, [*ends, now + 1], strict=True):
        values += _lapsing(state, at, value, end)
    return _changes(values)


def _lapsing(state: StateSettings | None, at: int, value: str | None, end: int) -> Iterator[tuple[int, str | None]]:
    yield at, value
    lapses = {one.value: one for one in state.lapses} if state is not None else {}
    while value in lapses:
        at += int(lapses[value].after[:-1]) * _SECONDS[lapses[value].after[-1]] * 1_000
        value = lapses[value].becomes
        if at >= end:
            return
        yield at, value


def _changes(values: History) -> History:
    return [after for before, after in pairwise([(0, None), *values]) if before[1] != after[1]]
