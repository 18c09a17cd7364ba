"""State rules: from what the settings declare of states to the rules that compute them, and to what events say of them.

Invariant: made once, of declarations that a settings check has passed. Neighbours: `states` computes histories by these rules;
`evidence` asks what an event says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any, Protocol

import jmespath
import msgspec

from resolvers.carried import Component
from resolvers.expressions import asked
from resolvers.states import Derivation, Lapse, StateRule, StateRules

_NOT_OF_THE_EVENT = {"origin", "recorded_at"}
"""Where a record lay, and when it was written, never influence an outcome."""

_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class EventRuleDeclaration(Protocol):
    """Which events say that a state has a value; every part that is left out (None) fits any event."""

    @property
    def event(self) -> str | None: ...
    @property
    def type(self) -> str | None: ...
    @property
    def source(self) -> str | None: ...
    @property
    def role(self) -> str | None: ...
    @property
    def when(self) -> str | None: ...
    @property
    def value(self) -> str | None: ...
    @property
    def value_of(self) -> str | None: ...


class LapseDeclaration(Protocol):
    """A value that was not observed again for some time becomes another."""

    @property
    def value(self) -> str: ...
    @property
    def becomes(self) -> str: ...
    @property
    def after(self) -> str: ...


class ComponentDeclaration(Protocol):
    """A state, or whether a condition on its value holds; `of` members or groups: `any` or `all` of them."""

    @property
    def state(self) -> str: ...
    @property
    def when(self) -> str | None: ...
    @property
    def of(self) -> str | None: ...
    @property
    def any(self) -> str | None: ...
    @property
    def all(self) -> str | None: ...
    @property
    def most(self) -> int: ...


class DerivedDeclaration(Protocol):
    """How a state follows from others."""

    @property
    def components(self) -> Mapping[str, ComponentDeclaration]: ...
    @property
    def value(self) -> str: ...


class StateDeclaration(Protocol):
    """What the settings say of one state."""

    @property
    def name(self) -> str: ...
    @property
    def entity(self) -> str: ...
    @property
    def values(self) -> Sequence[str] | None: ...
    @property
    def initial(self) -> str | None: ...
    @property
    def participant(self) -> str | None: ...
    @property
    def rules(self) -> Sequence[EventRuleDeclaration]: ...
    @property
    def lapses(self) -> Sequence[LapseDeclaration]: ...
    @property
    def derived(self) -> DerivedDeclaration | None: ...


@dataclass(frozen=True, slots=True)
class _EventRule:
    state: str
    entity_type: str
    wanted: Mapping[str, str]
    role: str | None
    when: Any
    value: str | None
    value_of: Any

    def says(self, event: Mapping[str, Any]) -> str | None:
        if any(event.get(name) != value for name, value in self.wanted.items()) or (self.when is not None and not asked(self.when, event)):
            return None
        if self.value_of is None:
            return self.value
        found = asked(self.value_of, event)
        if found is not None and not isinstance(found, str):
            found = msgspec.json.encode(found, order="deterministic").decode()
        return found or None


@dataclass(frozen=True, slots=True)
class States:
    """All states of a space: `rules` by entity type, and what participants and events say of them."""

    rules: Mapping[str, StateRules] = field(default_factory=dict)
    _named: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    _events: tuple[_EventRule, ...] = ()
    carried: Mapping[str, Collection[str]] = field(default_factory=dict)
    """By `members` and `groups`: the states of theirs that others are derived from."""

    @classmethod
    def declared(cls, states: Iterable[StateDeclaration]) -> States:
        """Make the rules of declarations."""
        chosen = list(states)
        by_type: dict[str, dict[str, StateDeclaration]] = {}
        named: dict[tuple[str, str], tuple[str, ...]] = {}
        for one in chosen:
            by_type.setdefault(one.entity, {})[one.name] = one
            if one.participant is not None:
                named[one.entity, one.participant] = (*named.get((one.entity, one.participant), ()), one.name)
                named.setdefault((one.entity, one.name), ())
        rules: dict[str, dict[str, StateRule]] = {}
        for entity_type, name in in_order(chosen):
            rules.setdefault(entity_type, {})[name] = _rule(by_type[entity_type][name])
        components = [each for one in chosen if one.derived for each in one.derived.components.values()]
        carried = {of: frozenset(one.state for one in components if one.of == of) for of in ("members", "groups")}
        found = {of: states for of, states in carried.items() if states}
        return cls(rules, named, tuple(_event_rule(one, rule) for one in chosen for rule in one.rules), found)

    def of(self, entity_type: str) -> StateRules:
        """Give the rules of an entity type's states."""
        return self.rules.get(entity_type, {})

    def looks_around(self, entity_type: str) -> dict[str, int]:
        """Say of whom an entity of this type has states, `members` or `groups`, and how many of them count at most."""
        found: dict[str, int] = {}
        for rule in self.of(entity_type).values():
            for one in rule.derivation.components if rule.derivation else ():
                if one.of is not None:
                    found[one.of] = max(found.get(one.of, 0), one.most)
        return found

    def of_participant(self, entity_type: str, carried: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Say which states have which values by what a participant carries. A state that others are read from is not kept itself."""
        for name, value in carried.items():
            for state in self._named.get((entity_type, name), (name,)):
                yield state, value

    def of_event(self, event: object) -> list[tuple[str, str | None, str, str]]:
        """Say what an event makes of states: (entity type, role of the participant or None for any, state, value)."""
        if not self._events:
            return []
        plain = {name: value for name, value in msgspec.to_builtins(event).items() if name not in _NOT_OF_THE_EVENT}
        return [(one.entity_type, one.role, one.state, value) for one in self._events if (value := one.says(plain)) is not None]


NO_STATES = States()


Declared = tuple[str, str]
"""(entity type, state)."""


def in_order(states: Sequence[StateDeclaration]) -> Iterator[Declared]:
    """Order states, those that others are derived from first. Raises graphlib.CycleError.

    Members and groups may be of any type that has the state.
    """
    declared = {(one.entity, one.name) for one in states}
    sorter: TopologicalSorter[Declared] = TopologicalSorter()
    for one in states:
        before: set[Declared] = set()
        for each in one.derived.components.values() if one.derived else ():
            before |= {(one.entity, each.state)} if each.of is None else {other for other in declared if other[1] == each.state}
        sorter.add((one.entity, one.name), *sorted(before))
    return (one for one in sorter.static_order() if one in declared)


def meaning(one: StateDeclaration) -> list[Any]:
    """Write all that decides which values a state has, and when, as plain values."""
    events = [[rule.event, rule.type, rule.source, rule.role, rule.when, rule.value, rule.value_of] for rule in one.rules]
    lapses = [[each.value, each.becomes, milliseconds(each.after)] for each in one.lapses]
    derived = one.derived and [[[name, *_meaning(each)] for name, each in one.derived.components.items()], one.derived.value]
    values = None if one.values is None else sorted(one.values)
    return [one.entity, one.name, values, one.initial, one.participant, events, lapses, derived]


def _meaning(one: ComponentDeclaration) -> list[Any]:
    return [one.state, one.when] if one.of is None else [one.state, one.of, one.any, one.all, one.most]


def milliseconds(duration: str) -> int:
    """Read `90s`, `15m`, `12h` or `30d`."""
    return int(duration[:-1]) * _UNITS[duration[-1]]


def _rule(one: StateDeclaration) -> StateRule:
    lapses = {each.value: Lapse(each.value, each.becomes, milliseconds(each.after)) for each in one.lapses}
    values = None if one.values is None else frozenset(one.values)
    return StateRule(one.name, values, one.initial, lapses, _derivation(one.derived) if one.derived else None)


def _derivation(derived: DerivedDeclaration) -> Derivation:
    components = (
        Component(name, one.state, _compiled(one.any or one.all or one.when), one.of, every=one.all is not None, most=one.most)
        for name, one in derived.components.items()
    )
    return Derivation(tuple(components), jmespath.compile(derived.value))


def _event_rule(state: StateDeclaration, one: EventRuleDeclaration) -> _EventRule:
    wanted = {"name": one.event, "type": one.type, "source": one.source}
    fits = {name: value for name, value in wanted.items() if value is not None}
    return _EventRule(state.name, state.entity, fits, one.role, _compiled(one.when), one.value, _compiled(one.value_of))


def _compiled(expression: str | None) -> Any:  # noqa: ANN401 - jmespath tells no types
    return None if expression is None else jmespath.compile(expression)
