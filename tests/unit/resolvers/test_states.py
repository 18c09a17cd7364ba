"""Histories and what the timeline tells of them, where that is more than the properties of any order look at."""

from __future__ import annotations

from typing import Any

import jmespath
import pytest

from resolvers.carried import Component
from resolvers.entity import MOST_STATE_BYTES, Point, states_told
from resolvers.state_changes import MOST_INTERVALS, state_changes
from resolvers.states import Derivation, StateRule, histories

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
