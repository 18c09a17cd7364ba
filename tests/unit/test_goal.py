from __future__ import annotations

import pytest

from streams.goal import events_in, events_of, goal_after, reached

GOAL = {("events", 0): 100, ("events", 1): 50, ("commands", 0): 3}


def test_events_are_counted_without_the_commands() -> None:
    assert events_in(GOAL) == 150


def test_a_goal_is_reached_when_both_logs_are_applied_up_to_it() -> None:
    assert reached(GOAL, {("events", 0): 100, ("events", 1): 60, ("commands", 0): 3})
    assert not reached(GOAL, {("events", 0): 100, ("events", 1): 60, ("commands", 0): 2})
    assert not reached(GOAL, {("events", 0): 100})


def test_what_was_applied_beyond_a_goal_makes_up_for_nothing() -> None:
    assert events_of({("events", 0): 900, ("events", 1): 20}, GOAL) == 120


@pytest.mark.parametrize(
    ("end", "replayed", "goes_on"),
    [(6_000, 10_000, True), (1_999, 10_000, False), (6_000, 9_000, False)],
    ids=["the log grew by half of what was replayed", "few events came", "the log grows as fast as it is replayed"],
)
def test_the_goal_moves_on_while_less_and_less_comes(end: int, replayed: int, goes_on: bool) -> None:
    former, ends = {("events", 0): 1_000, ("commands", 0): 0}, {("events", 0): end, ("commands", 0): 7}
    assert goal_after(former, ends, replayed) is (ends if goes_on else former)
