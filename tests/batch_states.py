"""States by the plainest means: what value a state has at one moment, asked of every moment at which it may change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from resolvers.carried import Component
from resolvers.entity import Fact
from resolvers.folds import World, of_centre
from resolvers.instant import read_instant
from resolvers.memory import MemoryResolver
from resolvers.rules import Rules
from resolvers.states import Observation, StateRule
from tests.telling import Topics

Histories = dict[str, dict[int, str | None]]
"""By state, its value from each time on."""


Other = tuple[Histories, int | None, int | None]
"""Somebody around an entity, when the membership began, if it did, and when it ended."""


def batch_histories(
    rules: Mapping[str, StateRule],
    observations: Collection[Observation],
    first_seen: int,
    now: int,
    around: Mapping[str, Sequence[Other]] | None = None,
) -> Histories:
    """Compute all histories of one entity, with its `members` and `groups` around it.

    A value lapses where that time has come, or its state was observed later.
    """
    others = around or {}
    names = {*rules, *(one[0] for one in observations)}
    ages = [0]
    for lapse in (one for rule in rules.values() for one in rule.lapses.values()):  # a value may lapse after any sum of times
        ages += [age + lapse.after for age in ages]
    moments = sorted({first_seen, *(one[1] for one in observations)})
    latest = max([now, *moments])
    moments = sorted({at + age for at in moments for age in ages if age == 0 or at + age <= latest})
    near = [one for each in others.values() for one in each]
    moves = {when for told, _, _ in near for history in told.values() for when in history}
    moves |= {at for _, *span in near for at in span if at is not None}
    moments = sorted({*moments, *(at for at in moves if at > first_seen)})

    def value(name: str, at: int) -> str | None:
        rule = rules.get(name, StateRule(name))
        if rule.derivation is not None:
            return _derived(rule, lambda state: value(state, at), lambda one: _around(one, others.get(one.of or "", ()), at))
        mine = [one for one in observations if one[0] == name and (rule.values is None or one[5] in rule.values)]
        last = max((one for one in mine if one[1] <= at), key=lambda one: one[1:], default=None)
        until = at if any(one[1] > at for one in mine) else min(at, now)
        held, since = (last[5], last[1]) if last else (rule.initial, first_seen)
        while held is not None and held in rule.lapses and since + rule.lapses[held].after <= until:
            since, held = since + rule.lapses[held].after, rule.lapses[held].becomes
        return held

    found: Histories = {}
    for name in sorted(names):
        before: str | None = None
        for at in moments:
            if (holds := value(name, at)) != before:
                found.setdefault(name, {})[at] = before = holds
    return found


def _around(component: Component, others: Sequence[Other], at: int) -> bool | None:
    """Say whether a condition holds for one of the others, or for each, at a moment."""
    if len(others) > component.most:
        return None
    found = []
    for told, begun, ended in others:
        if begun is not None and begun <= at and (ended is None or ended > at):
            history = told.get(component.state, {})
            since = max((when for when in history if when <= at), default=None)
            found.append(bool(component.when.search({"value": None if since is None else history[since]})))
    return any(found) and (all(found) or not component.every)


def _derived(rule: StateRule, value: Callable[[str], str | None], around: Callable[[Component], bool | None]) -> str | None:
    assert rule.derivation is not None
    values: dict[str, str | bool | None] = {}
    for one in rule.derivation.components:
        if one.of is not None:
            values[one.name] = around(one)
        else:
            values[one.name] = value(one.state) if one.when is None else bool(one.when.search({"value": value(one.state)}))
    found = rule.derivation.expression.search(values)
    if isinstance(found, bool):
        found = "true" if found else "false"
    assert found is None or isinstance(found, str)
    return found if found is not None and (rule.values is None or found in rule.values) else rule.initial


def plain_spans(resolver: MemoryResolver, world: World) -> dict[tuple[str, str], tuple[int | None, int | None]]:
    """Say when each membership began and ended, looking at all of its sightings at once."""
    sightings: dict[tuple[str, str], list[tuple[Fact, bool]]] = {}
    for pair, seen in resolver._kept.memberships.items():
        member, group = (of_centre(resolver._kept.links[one], world.owner) for one in pair)
        if member and group:
            sightings.setdefault((member, group), []).extend(seen)
    begun = {who: min((fact.occurred_at for fact, ends in seen if not ends), default=None) for who, seen in sightings.items()}
    last = {who: max(seen) for who, seen in sightings.items()}
    return {who: (begun[who], fact.occurred_at if ends else None) for who, (fact, ends) in last.items()}


def plain_histories(resolver: MemoryResolver, rules: Rules, now: int) -> dict[str, Histories]:
    """Compute all histories of the set of observations and memberships, those of whom memberships connect again and again."""
    world, links = resolver.world(), resolver._kept.links.values()
    found: dict[str, Histories] = {}
    spans = plain_spans(resolver, world)
    for _ in range(sum(map(len, rules.states.rules.values()))):
        around: dict[str, dict[str, list[Other]]] = {name: {"members": [], "groups": []} for name in world.entities}
        for (member, group), span in spans.items() if found else ():
            around[member]["groups"].append((found[group], *span))
            around[group]["members"].append((found[member], *span))
        for name, view in world.entities.items():
            observed = {one for link in links if of_centre(link, world.owner) == name for one in link.states}
            found[name] = batch_histories(rules.states.of(view.entity_type), observed, view.first, now, around[name])
    return found


def check_histories(resolver: MemoryResolver, rules: Rules, now: int, *told: Topics) -> None:
    """Check that the histories of all states are those of the set of observations at a present in ms, and that timelines tell them."""
    world = resolver.world()
    wanted = plain_histories(resolver, rules, now)
    for name, view in world.entities.items():
        expected = wanted[name]
        assert {state: {one.since: one.value for one in history} for state, history in view.states.items()} == expected
        for topics in told:
            told_of = {state: history for state, history in topics.timeline[name].states.items() if history}
            assert {state: {read_instant(at): value for at, value in history.items()} for state, history in told_of.items()} == expected
