"""Histories and what the timeline tells of them, where that is more than the properties of any order look at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jmespath
import pytest

from resolvers.carried import Component, Counterpart, carried
from resolvers.entity import MOST_STATE_BYTES, Fact, Point, Refusal, states_told
from resolvers.state_changes import MOST_INTERVALS, refusals, state_changes
from resolvers.states import FOLLOWS, NOT_ALLOWED, TOO_LONG, Derivation, Observation, StateRule, derived, histories, refused

HOUR = 3_600_000


def history(*values: str | None, start: int = 0) -> tuple[Point, ...]:
    return tuple(Point(start + place * HOUR, value, "s", f"e{place}") for place, value in enumerate(values))


def replayed(told: dict[str, str | None], lines: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    for line in lines:
        if "to" in line:
            told[line["entered_at"]] = line["to"]
            continue
        if line["old"] is None:
            told.clear()
        for one in line["old"] or ():
            assert told.pop(one["since"]) == one["value"]
        told |= {one["since"]: one["value"] for one in line["new"]}
    return sorted(told.items())


def test_a_long_correction_stands_in_several_records_that_fit() -> None:
    old = history(*("ab"[place % 2] for place in range(3 * MOST_INTERVALS)))
    new = (Point(-HOUR, "z"), *(Point(one.since, one.value and one.value + "!") for one in old), Point(10**13, "end"))
    told: dict[str, str | None] = {}
    first = replayed(told, [change.data for change in state_changes({}, {"x": old})])
    assert len(first) == len(old)
    lines = [change.data for change in state_changes({"x": old}, {"x": new})]
    assert max(len(line.get("old", ())) + len(line.get("new", ())) for line in lines) <= MOST_INTERVALS
    assert [value for _, value in replayed(told, lines)] == [one.value for one in new]
    anew = [change.data for change in state_changes({"x": old[-1:]}, {"x": new}, whole=False)]
    assert anew[0]["old"] is None
    assert [value for _, value in replayed({"1999": "gone"}, anew)] == [one.value for one in new]


def test_an_interval_whose_end_moved_is_told_as_corrected() -> None:
    old, new = (Point(0, "a"), Point(3 * HOUR, "b")), (Point(0, "a"), Point(2 * HOUR, "c"), Point(3 * HOUR, "b"))
    found = [
        [
            [(one["value"], one["since"][11:13], one["until"] and one["until"][11:13]) for one in change.data[side]]
            for side in ("old", "new")
        ]
        for each in ((old, new), (new, old))
        for change in state_changes({"x": each[0]}, {"x": each[1]})
    ]
    short, long = [("a", "00", "02"), ("c", "02", "03")], [("a", "00", "03")]
    assert found == [[long, short], [short, long]]


def test_what_goes_on_ends_an_interval_and_corrects_none() -> None:
    old = history("a", "b")
    assert [change.kind for change in state_changes({"x": old}, {"x": history("a", "b", "c")})] == ["state.changed"]


def test_a_document_has_room_for_the_first_states_by_name() -> None:
    states = {f"s{number:04}": Point(0, "v" * 1_000) for number in range(400)}
    told = states_told(states)
    assert 200 < len(told) < MOST_STATE_BYTES // 1_000
    assert list(told) == sorted(states)[: len(told)]


@pytest.mark.parametrize("expression", ["length(of)", "starts_with(of, 'x')", "sum(of)", "contains(`5`, of)"])
def test_an_expression_that_can_not_be_answered_gives_no_value(expression: str) -> None:
    derivation = Derivation((Component("of", "some_state"),), jmespath.compile(expression))
    rules = {"some_state": StateRule("some_state"), "of_it": StateRule("of_it", initial="none", derivation=derivation)}
    assert [one.value for one in histories(rules, [], 0, HOUR)["of_it"]] == ["none"]
    condition = Derivation((Component("of", "some_state", jmespath.compile(expression.replace("of", "value"))),), jmespath.compile("of"))
    rules["of_it"] = StateRule("of_it", derivation=condition)
    assert [one.value for one in histories(rules, [], 0, HOUR)["of_it"]] == ["false"]


def derived_of(expression: str, *, first_seen: int = 0, **found: tuple[Point, ...]) -> list[tuple[int, str | None, str]]:
    """Derive a state of others, and name its events."""
    derivation = Derivation(tuple(Component(name, name) for name in sorted(found)), jmespath.compile(expression))
    return [(one.since, one.value, one.event_id) for one in derived(StateRule("it"), derivation, found, first_seen)]


ON, ALSO = (Point(5, "on", "s", "e1"),), (Point(5, "on", "s", "e9"),)


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("a", "e1"),  # whatever else happened then
        ("b && 'yes'", "e9"),
        ("(a || b) && 'yes'", "e9"),  # either would do: the larger
        ("a && b && 'yes'", "e9"),  # both are needed
        ("a && (b || 'yes')", "e9"),  # a alone would have made another value of it
        ("b == null && 'no' || a && 'yes'", "e9"),
    ],
)
def test_a_derived_value_names_the_event_that_decided(expression: str, named: str) -> None:
    assert derived_of(expression, a=ON, b=ALSO)[-1][2] == named


def test_what_an_entity_begins_with_is_of_no_event_unless_one_decided() -> None:
    assert derived_of("a && 'yes' || 'no'", first_seen=5, a=ON, b=ALSO) == [(5, "yes", "e1")]
    assert derived_of("a == 'x' && 'yes' || 'no'", first_seen=5, a=ON, b=ALSO) == [(5, "no", "")]
    assert derived_of("c && 'yes'", first_seen=5, a=ON, c=()) == []


@pytest.mark.parametrize(("every", "named"), [(False, ["", "e1", "e7"]), (True, ["", "e3", "e5"])])
def test_what_is_carried_names_the_event_that_decided(every: bool, named: list[str]) -> None:
    others = [
        Counterpart({"use": (Point(5, "on", "s", "e1"), Point(7, "off", "s", "e5"))}, Fact(1, "s", "e0")),
        Counterpart(
            {"use": (Point(5, "off", "s", "e8"), Point(6, "on", "s", "e3"), Point(7, "on", "s", "e6"), Point(8, "off", "s", "e7"))},
            Fact(1, "s", "e0"),
        ),
    ]
    component = Component("some", "use", jmespath.compile("value == 'on'"), "members", every)
    assert [(one.value, one.event_id) for one in carried(component, others, 0)] == list(zip(("false", "true", "false"), named, strict=True))


def test_who_leaves_decides_only_if_that_changed_it() -> None:
    begun = Fact(1, "s", "e0")
    one, other = Counterpart({"use": ON}, begun, Fact(9, "s", "e4")), Counterpart({"use": ()}, begun, Fact(9, "s", "e8"))
    component = Component("some", "use", jmespath.compile("value == 'on'"), "members")
    assert [(one.since, one.value, one.event_id) for one in carried(component, [one, other], 0)][-1] == (9, "false", "e4")


def carried_of(*others: Counterpart, every: bool = False, condition: str = "value == 'on'") -> list[tuple[int, str | None, str]]:
    component = Component("some", "use", jmespath.compile(condition), "members", every)
    return [(one.since, one.value, one.event_id) for one in carried(component, others, 0)]


@pytest.mark.parametrize("first", [4, 5])
def test_what_was_before_a_membership_is_not_carried(first: int) -> None:
    on_and_off = {"use": (Point(2, "on", "s", "e1"), Point(3, "off", "s", "e2"), Point(first, "on", "s", "e9"), Point(8, "off", "s", "e3"))}
    found = carried_of(Counterpart(on_and_off, Fact(5, "s", "e4"), Fact(7, "s", "e5")))
    assert found == [(0, "false", ""), (5, "true", "e4"), (7, "false", "e5")]


def test_who_comes_decides_only_if_that_changed_it() -> None:
    on, idle = Counterpart({"use": ON}, Fact(1, "s", "e2")), Counterpart({}, Fact(9, "s", "e8"))
    came = Counterpart({"use": ON}, Fact(9, "s", "e7"))
    assert carried_of(on, idle, came, every=True) == [(0, "false", ""), (5, "true", "e1"), (9, "false", "e8")]
    assert carried_of(on, idle, came) == [(0, "false", ""), (5, "true", "e1")]


def test_no_value_counts_from_the_first_sighting_on_too() -> None:
    assert carried_of(Counterpart({}, Fact(5, "s", "e4")), condition="value == null") == [(0, "false", ""), (5, "true", "e4")]


def test_a_membership_of_which_only_the_end_was_seen_carries_nothing() -> None:
    for begun in (None, Fact(9, "s", "e3")):
        assert carried_of(Counterpart({"use": ON}, begun, Fact(9, "s", "e4"))) == [(0, "false", "")]
    only_ended = Counterpart({"use": ()}, None, Fact(9, "s", "e4"))
    assert carried_of(Counterpart({"use": ON}, Fact(1, "s", "e0")), only_ended, every=True)[-1] == (5, "true", "e1")


def wrong_of(expression: str, *, first_seen: int = 0, **found: tuple[Point, ...]) -> list[tuple[int, str, str, str]]:
    """Derive a state that may be `yes` or `no` alone, and list what it was refused."""
    derivation = Derivation(tuple(Component(name, name) for name in sorted(found)), jmespath.compile(expression))
    wrong: list[Refusal] = []
    rule = StateRule("it", frozenset({"yes", "no"}), "no")
    derived(rule, derivation, found, first_seen, wrong=wrong)
    assert all(one.reason == (TOO_LONG if len(one.value) > 1_000 else NOT_ALLOWED) for one in wrong)
    return [(one.occurred_at, one.source, one.event_id, one.value) for one in wrong]


def test_what_follows_and_is_not_allowed_is_refused_where_it_begins_to_follow() -> None:
    assert wrong_of("a", a=ON) == [(5, "s", "e1", "on")]
    assert wrong_of("a", a=(*ON, Point(7, "yes", "s", "e2"), Point(8, "on", "s", "e3"))) == [(5, "s", "e1", "on"), (8, "s", "e3", "on")]
    assert wrong_of("a && 'yes'", a=ON) == []
    assert wrong_of("'never'", a=ON) == [(0, "", "", "never")]  # what it begins with, and goes on with
    assert wrong_of("'never'", first_seen=5, a=ON) == [(5, "s", "e1", "never")]
    assert wrong_of("join('', [a, a])", a=(Point(5, "x" * 600, "s", "e1"),)) == [(5, "s", "e1", "x" * 1_000 + "\u2026")]


def test_what_is_observed_is_refused_with_its_reason() -> None:
    follows = StateRule("app_stage", derivation=Derivation((Component("use", "app_use"),), jmespath.compile("use")))
    rules = {"app_use": StateRule("app_use", frozenset({"on", "x" * 2_000})), "app_stage": follows}

    def why(state: str, value: str) -> list[str]:
        seen: Observation = (state, 5, "s", "e1", 0, value)
        return [one.reason for one in refused(rules, [seen])]

    assert why("app_use", "on") == why("undeclared", "y" * 1_000) == []
    assert why("app_use", "off") == [NOT_ALLOWED] == ["the state does not allow this value"]
    assert why("app_use", "x" * 2_000) == why("undeclared", "y" * 1_001) == [TOO_LONG] == ["the value is longer than 1,000 characters"]
    assert why("app_stage", "on") == why("app_stage", "y" * 1_001) == [FOLLOWS]
    assert FOLLOWS == "the state follows from others, so no event says its value"


def test_what_an_event_says_of_a_state_that_follows_is_refused_for_that_also_where_it_follows() -> None:
    follows = Refusal(5, "s", "e1", 0, "app_stage", "on", NOT_ALLOWED)
    rules = {"app_stage": StateRule("app_stage", frozenset(), derivation=Derivation((), jmespath.compile("'on'")))}
    found = refused(rules, [("app_stage", 5, "s", "e1", 0, "on")], [follows])
    assert [one.data["reason"] for one in refusals((), found)] == [FOLLOWS]


def test_a_refusal_is_told_once() -> None:
    one, begins = Refusal(5, "s", "e1", 0, "it", "on"), Refusal(9, "", "", 0, "it", "never")
    assert len(list(refusals((), (one, one, begins)))) == 2
    assert not list(refusals((one, begins), (one, replace(begins, occurred_at=2))))  # it begins earlier now


def test_what_others_carry_is_not_refused_as_it_may_pass() -> None:
    some = Component("some", "use", jmespath.compile("value == 'on'"), of="members")
    rules = {
        "carried": StateRule("carried", frozenset({"live"}), derivation=Derivation((some,), jmespath.compile("some && 'live' || 'quiet'"))),
        "own": StateRule("own", frozenset({"x"}), derivation=Derivation((Component("it", "carried"),), jmespath.compile("it || 'none'"))),
        "plain": StateRule("plain", frozenset({"x"}), derivation=Derivation((Component("use", "use"),), jmespath.compile("use || 'none'"))),
    }
    wrong: list[Refusal] = []
    histories(rules, [], 0, HOUR, {"members": [], "groups": []}, wrong)
    assert [one.state for one in wrong] == ["plain"]
