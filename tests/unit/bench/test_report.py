from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from streams.bench import Goal, Growth, Latency, Rate, Report, write_report
from streams.bench.goals import FLOORS, MOST_CALLS, fallen, goals_of
from streams.bench.latency import quantile
from streams.bench.machine import Machine
from streams.bench.report import growth_of
from streams.bench.session import together
from streams.cli.bench_report import table, told

MACHINE = Machine("EPYC", 2, 24.0, "Linux", "3.11.7", "Apache Kafka 4.2.1", "valkey 9.1.2", "aiokafka 0.14.0", 0.5)
REPORT = Report(
    "bench",
    "2024-05-01T10:00:00.000Z",
    200.0,
    MACHINE,
    {"records": 60_000},
    (
        Rate("plain aiokafka, in batches", "records", 60_000, 0.5),
        Rate("resolve", "events", 60_000, 15.0, {"worker": 101.23456, "redis": 90.0, "kafka": None}, 0.25, 154.0, 100_000.0),
        Rate("publish", "output keys", 50_000, 10.0, copied_per_second=100_000.0),
    ),
    (growth_of("resolve", "µs", 100, [1.0, *[2.0] * 8, 3.0]),),
    (Latency(300, 150.0, 0.5, 20.0, 30.0, 40.0, 45.0, 50.0),),
    (Goal("end to end / copy", 0.02, 0.12, 0.35), Goal("CPU", 140.0, 150, 60, below=True), Goal("rebuild / live", None, 2, 5)),
)


def test_a_report_is_kept_under_its_day_and_name(tmp_path: Path) -> None:
    file = write_report(REPORT, tmp_path / "results")
    assert file.name == "2024-05-01-bench.json"
    kept = orjson.loads(file.read_bytes())
    assert kept["rates"][1]["per_second"] == 4_000
    assert kept["rates"][1]["of_copy"] == 0.04
    assert kept["rates"][1]["cpu_us"] == {"worker": 101.2, "redis": 90.0, "kafka": None}
    assert kept["growth"][0]["last_to_first"] == 3.0
    assert kept["machine"]["cores"] == 2


def test_output_keys_are_not_compared_with_copied_records() -> None:
    assert REPORT.rates[2].of_copy is None


def test_growth_is_told_against_the_first_and_the_middle_tenths() -> None:
    growth = Growth("resolve", "µs", 100, (1.0, 2.0, 2.0, 2.0, 2.0, 4.0, 2.0, 2.0, 2.0, 6.0))
    assert (growth.last_to_first, growth.middle, growth.last_to_middle) == (6.0, 3.0, 2.0)


def test_the_copies_together_are_the_one_in_the_middle_and_their_range() -> None:
    copies = [Rate("copying", "records", 1_000, seconds) for seconds in (1.0, 0.1, 0.5)]
    assert together(copies).name == "copying, 3 times: 1,000 to 10,000"
    assert together(copies).per_second == 2_000


@pytest.mark.parametrize(("part", "expected"), [(0.5, 5), (0.9, 9), (0.99, 10), (1.0, 10), (0.01, 1)])
def test_a_quantile_is_one_of_the_values(part: float, expected: int) -> None:
    assert quantile(range(1, 11), part) == expected


def test_tables_are_markdown_with_figures_to_the_right() -> None:
    assert list(table(("what", "a second"), [("copy", "1"), ("resolve", "22")])) == [
        "| what    | a second |",
        "|---------|---------:|",
        "| copy    |        1 |",
        "| resolve |       22 |",
    ]


def test_a_report_names_its_machine_and_every_measurement() -> None:
    text = "\n".join(told(REPORT))
    assert "EPYC, 2 cores, 24 GiB" in text
    cells = [
        cell.strip()
        for line in text.splitlines()
        if line.startswith("| resolve  ") and "60,000" in line
        for cell in line.strip("|").split("|")
    ]
    assert cells == ["resolve", "60,000 events", "4,000", "0.040", "101", "90", "", "154", "0.2"]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert ["0.5 of one worker's rate", "150", "20", "30", "40", "45", "50", "300"] in rows


def test_a_report_says_which_goals_are_reached() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in told(REPORT)]
    assert ["end to end / copy", "0.02", "0.12", "0.35", "no"] in rows
    assert ["CPU", "140", "150", "60", "yes"] in rows
    assert ["rebuild / live", "", "2", "5", "not measured"] in rows


def test_goals_are_ratios_of_what_was_measured() -> None:
    one = Rate("end to end, 1 worker", "records", 1_000, 1.0, {"worker": 100.0}, copied_per_second=10_000.0)
    two = Rate("end to end, 2 workers", "records", 1_000, 1.0, {"worker": 110.0})
    found = {goal.name: goal.value for goal in goals_of([one, two, Rate("rebuild", "events", 1_000, 0.5)], REPORT.latency)}
    assert found["end to end, one worker process / copy"] == 0.1
    assert found["worker CPU per event with two workers / with one"] == 1.1
    assert (found["latency at half rate, p50, ms"], found["rebuild / live rate"]) == (20.0, 2.0)
    assert found["adapt stage, one process / copy"] is None


def test_what_has_fallen_far_is_named() -> None:
    calls = [growth_of(name, "calls of Redis", 10, [most] * 10) for name, most in MOST_CALLS.items()]
    goals = tuple(Goal(name, floor, 1, 1, below=floor > 1) for name, floor in FLOORS.items())
    good = replace(REPORT, goals=goals, growth=tuple(calls))
    assert not fallen(good)
    worse = tuple(replace(goal, value=None if goal.value is None else goal.value * (1.01 if goal.below else 0.99)) for goal in goals)
    assert len(fallen(replace(good, goals=worse, growth=()))) == len(FLOORS) + len(MOST_CALLS)
    assert "is missing" in fallen(replace(good, goals=tuple(replace(goal, value=None) for goal in goals)))[0]
