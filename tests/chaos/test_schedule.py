"""The schedule deals faults out evenly, from its seed alone."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.chaos.faults import FAULTS
from tests.chaos.schedule import WORLD_ROUNDS, Plan, schedule

KINDS = tuple(FAULTS)


@pytest.mark.parametrize("seed", range(5))
def test_in_a_hundred_rounds_every_kind_strikes_at_least_five_times(seed: int) -> None:
    counted = Counter(plan.kinds[0] for plan in schedule(seed, 100, KINDS))
    assert set(counted) == set(KINDS)
    assert min(counted.values()) >= 5


def test_the_same_seed_gives_the_same_rounds() -> None:
    assert schedule(7, 30, KINDS) == schedule(7, 30, KINDS)
    assert schedule(7, 30, KINDS) != schedule(8, 30, KINDS)


@pytest.mark.parametrize("seed", range(5))
def test_no_world_begins_with_a_fault_that_needs_an_earlier_copy(seed: int) -> None:
    assert not any(plan.needs_copy for plan in schedule(seed, 100, KINDS)[::WORLD_ROUNDS])


def test_some_rounds_have_two_faults_of_different_targets() -> None:
    pairs = [plan.kinds for plan in schedule(1, 100, KINDS) if len(plan.kinds) == 2]
    assert 5 < len(pairs) < 50
    assert all(FAULTS[first].target != FAULTS[second].target for first, second in pairs)


def test_kinds_that_were_asked_for_are_all_there_is() -> None:
    assert {kind for plan in schedule(1, 20, ("freeze", "net-cut")) for kind in plan.kinds} == {"freeze", "net-cut"}


def test_one_kind_alone_is_every_round() -> None:
    assert [plan.kinds for plan in schedule(1, 3, ("redis-old-snapshot",))] == [("redis-old-snapshot",)] * 3


def test_a_round_is_written_and_read_back() -> None:
    plan = Plan(12345, ("freeze", "net-cut"))
    assert str(plan) == "12345:freeze+net-cut"
    assert Plan.parse(str(plan)) == plan


@pytest.mark.parametrize("text", ["12345", "x:freeze", ":freeze", "1:earthquake"])
def test_what_is_no_round_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write SEED:KIND|there is no such fault"):
        Plan.parse(text)


def test_a_round_held_again_has_another_seed() -> None:
    plan = Plan(1, ("freeze",))
    assert plan.again().kinds == plan.kinds
    assert plan.again().seed != plan.seed
    assert plan.again() == plan.again()
