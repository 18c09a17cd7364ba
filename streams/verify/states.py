"""States, recomputed: which value each held from when on, by looking at all observations at once.

Written from docs/how-to/declare-a-state.md, apart from the resolver. Neighbours: `recompute` gathers observations,
`expected` asks for histories.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import jmespath
import msgspec

from streams.events import Event, Participant
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.settings.states import StateSettings
    from streams.verify.expected import State

History = list[tuple[int, str | None]]
"""(from when on in ms, value), the oldest first; None for no value."""

LONGEST = 1_000
"""A longer value is none."""

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class DeclaredStates:
    """The states that the settings declare."""

    def __init__(self, settings: Settings) -> None:
        """Read the settings."""
        self._states = settings.states
        self._expressions: dict[str, Any] = {}

    def seen(self, event: Event, participant: Participant) -> list[tuple[str, str]]:
        """Say what a participant of an event shows: (state, value)."""
        mine = [one for one in self._states if one.entity == participant.entity]
        renamed = {one.participant for one in mine} - {None}
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
                    if text and len(text) <= LONGEST:
                        shown.add((one.name, text))
        return sorted(shown)

    def histories(self, entity_type: str, observed: Iterable[State], first: int, now: int) -> dict[str, History]:
        """Compute the histories of one entity that was first seen at a time."""
        seen: dict[str, list[State]] = {}
        for one in observed:
            seen.setdefault(one[0], []).append(one)
        mine = {one.name: one for one in self._states if one.entity == entity_type}
        found: dict[str, History] = {}

        def history(name: str) -> History:
            if name not in found:
                state = mine.get(name)
                if state is not None and state.derived is not None:
                    parts = {one: history(part.state) for one, part in state.derived.components.items()}
                    found[name] = self._follows(state, parts, first)
                else:
                    found[name] = _held(state, seen.get(name, []), first, now)
            return found[name]

        return {name: known for name in sorted({*seen, *mine}) if (known := history(name))}

    def _follows(self, state: StateSettings, parts: dict[str, History], first: int) -> History:
        assert state.derived is not None
        times = sorted({first, *(since for part in parts.values() for since, _ in part)})
        values: History = []
        for at in times:
            present: dict[str, Any] = {}
            for name, part in parts.items():
                place = bisect_right(part, at, key=lambda point: point[0])
                value = part[place - 1][1] if place else None
                when = state.derived.components[name].when
                present[name] = value if when is None else bool(self._search(when, {"value": value}))
            found = self._search(state.derived.value, present)
            if isinstance(found, bool):
                found = str(found).lower()
            elif found is not None and not isinstance(found, str):
                found = msgspec.json.encode(found, order="deterministic").decode()
            allowed = found is not None and len(found) <= LONGEST and (state.values is None or found in state.values)
            values.append((at, found if allowed else state.initial))
        return _changes(values)

    def _search(self, expression: str, what: object) -> Any:  # noqa: ANN401 - whatever an expression gives
        if expression not in self._expressions:
            self._expressions[expression] = jmespath.compile(expression)
        try:
            return self._expressions[expression].search(what)
        except Exception:  # noqa: BLE001 - a function that refuses what it is given, or Python itself
            return None


def _held(state: StateSettings | None, observed: list[State], first: int, now: int) -> History:
    """Let the largest observation of each moment hold, and its value lapse until the next one."""
    allowed = [one for one in observed if state is None or state.values is None or one[3] in state.values]
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
