"""What must agree between the states of the settings. Neighbour: `checks` runs this with everything else."""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError
from typing import TYPE_CHECKING

from resolvers.state_rules import in_order
from streams.settings.expressions import expression_problems, literals_of, names_in
from streams.settings.problem import Path, Problem, suggestion

if TYPE_CHECKING:
    from streams.settings.model import Settings
    from streams.settings.states import ComponentSettings, StateSettings


def state_problems(settings: Settings) -> Iterator[Problem]:
    """List what is wrong with the states."""
    by_type: dict[str, dict[str, StateSettings]] = {}
    for index, one in enumerate(settings.states):
        path: Path = ("states", index)
        if one.entity not in settings.entities:
            known = list(settings.entities)
            yield Problem(
                (*path, "entity"), one.entity, f"must be a declared entity type: {', '.join(known)}{suggestion(one.entity, known)}"
            )
        if one.name in by_type.setdefault(one.entity, {}):
            yield Problem((*path, "name"), one.name, f"is declared already for {one.entity}")
        by_type[one.entity][one.name] = one
    for index, one in enumerate(settings.states):
        yield from _state(("states", index), one)
        for name, component in one.derived.components.items() if one.derived else ():
            yield from _component(("states", index, "derived", "components", name), one, component, settings)
    try:
        list(in_order(settings.states))
    except CycleError as error:
        types = {entity for entity, _ in error.args[1]}
        circle = " <- ".join(name if len(types) == 1 else f"{name} of {entity}" for entity, name in error.args[1])
        yield Problem(
            ("states",), circle, f"states of {' and '.join(sorted(types))} are derived from each other in a circle; take one out of it"
        )


def _state(path: Path, one: StateSettings) -> Iterator[Problem]:
    allowed = one.values
    named: list[tuple[Path, str | None]] = [(("initial",), one.initial)]
    named += [(("rules", at, "value"), rule.value) for at, rule in enumerate(one.rules)]
    named += [(("lapses", at, key), getattr(lapse, key)) for at, lapse in enumerate(one.lapses) for key in ("value", "becomes")]
    for where, value in named:
        if value is not None and allowed is not None and value not in allowed:
            yield Problem((*path, *where), value, f"must be one of {', '.join(allowed)}{suggestion(value, allowed)}")
    yield from _lapses(path, one)
    for at, rule in enumerate(one.rules):
        here = (*path, "rules", at)
        if (rule.value is None) == (rule.value_of is None):
            yield Problem((*here, "value"), rule.value, "either value or value_of must be given")
        if not any((rule.event, rule.type, rule.source, rule.when)):
            yield Problem(here, "{}", "needs an event, type, source or when, or it would fit every event")
        yield from expression_problems(here, {"when": rule.when, "value_of": rule.value_of})
    if one.derived is None:
        return
    if one.rules or one.lapses or one.participant is not None:
        yield Problem((*path, "derived"), one.name, "a derived state is not observed: leave out participant, rules and lapses")
    yield from expression_problems((*path, "derived"), {"value": one.derived.value})
    yield from _names((*path, "derived", "value"), one.derived.value, list(one.derived.components))
    for value in sorted(literals_of(one.derived.value) - set(allowed or ())) if allowed else ():
        yield Problem((*path, "derived", "value"), value, f"must be one of {', '.join(allowed or ())}{suggestion(value, allowed or ())}")


def _names(path: Path, expression: str, known: list[str]) -> Iterator[Problem]:
    """Find what an expression asks for and can't be given: it would be null, for ever."""
    for name in sorted(names_in(expression) - set(known)):
        yield Problem(path, name, f"is nothing that it can ask for: {', '.join(known)}{suggestion(name, known)}")


def _component(path: Path, one: StateSettings, component: ComponentSettings, settings: Settings) -> Iterator[Problem]:
    own = component.of is None
    known = [other.name for other in settings.states if not own or other.entity == one.entity]
    if component.state not in known:
        whose = f"a declared state of {one.entity}" if own else "a declared state"
        yield Problem((*path, "state"), component.state, f"must be {whose}: {', '.join(known)}{suggestion(component.state, known)}")
    conditions = {"when": component.when, "any": component.any, "all": component.all}
    yield from expression_problems(path, conditions)
    for key, condition in conditions.items():
        yield from _names((*path, key), condition or "value", ["value"])
    if own and (component.any or component.all):
        yield Problem((*path, "of"), component.of, "any and all are of members or groups: say of whom")
    elif not own and (component.any is None) == (component.all is None):
        yield Problem(path, component.state, f"of {component.of}, either any or all must be given")
    elif not own and component.when is not None:
        yield Problem((*path, "when"), component.when, f"of {component.of}, any or all is the condition: leave out when")


def _lapses(path: Path, one: StateSettings) -> Iterator[Problem]:
    becomes: dict[str, str] = {}
    for at, lapse in enumerate(one.lapses):
        if lapse.value in becomes:
            yield Problem((*path, "lapses", at, "value"), lapse.value, "lapses already; give each value one lapse")
        becomes[lapse.value] = lapse.becomes
    for value in becomes:
        seen = [value]
        while (after := becomes.get(seen[-1])) is not None and after not in seen:
            seen.append(after)
        if after == value:
            yield Problem((*path, "lapses"), " -> ".join([*seen, value]), "values lapse in a circle, for ever; take one out of it")
            return
