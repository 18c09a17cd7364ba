"""Reports are written, read back and joined."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from streams.bench.machine import Machine
from tests.chaos.__main__ import join
from tests.chaos.report import Report, Round, code_of, joined, line

MACHINE = Machine("Some CPU", 2, 8.0, "Linux", "3.11.7", "Apache Kafka 4.2.1", "valkey 9.1.2", "redis 8.1.0", 0.1)
ROUND = Round(
    number=1,
    world=1,
    seed=42,
    kinds=("freeze",),
    records=2_000,
    in_flight=(120,),
    hits=(("worker-1 frozen for 7.0 s",),),
    restarts=0,
    ends=(),
    seconds=15.0,
    judge_seconds=2.0,
    recovered_seconds=4.0,
    violations=(),
)
BOTH = replace(ROUND, kinds=("freeze", "net-cut"), in_flight=(12, 1_300), hits=(("a",), ("b", "c")), restarts=2, recovered_seconds=8.0)
WRONG = replace(ROUND, recovered_seconds=None, violations=("entity.ghost: per_x",))


def report(seed: int, *rounds: Round) -> Report:
    return Report(seed, "2026-01-01T00:00:00.000Z", MACHINE, list(rounds), seconds=600, code="abc123")


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = report(7, ROUND, BOTH)
    written.write(tmp_path / "new" / "report.json")
    assert Report.read(tmp_path / "new" / "report.json") == written


def test_joined_reports_count_each_fault_of_every_round() -> None:
    lines = list(joined([report(7, ROUND, BOTH), report(8, WRONG)]))
    assert "| freeze | 3 | 3 | 6,000 | 2 | 6.0 | 8.0 | 1 |" in lines
    assert "| net-cut | 1 | 2 | 2,000 | 2 | 8.0 | 8.0 | 0 |" in lines
    assert "| all | 3 | 5 | 6,000 | 2 | 6.0 | 8.0 | 1 |" in lines
    assert "| 8 | abc123 | 2026-01-01T00:00:00.000Z | 1 | 10 | 0 | 1 | Some CPU | 2 | Apache Kafka 4.2.1 | valkey 9.1.2 |" in lines


def test_joining_says_by_its_exit_code_whether_all_was_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(7, ROUND).write(tmp_path / "right.json")
    report(8, WRONG).write(tmp_path / "wrong.json")
    assert join([str(tmp_path / "right.json")]) == 0
    assert join([str(tmp_path / "right.json"), str(tmp_path / "wrong.json")]) == 1
    assert "| freeze | 2 |" in capsys.readouterr().out


@pytest.mark.parametrize(("in_flight", "counts"), [((5,), True), ((0,), False), ((None,), False), ((5, None), True), ((5, 0), False)])
def test_a_round_counts_when_its_faults_hit_with_records_in_flight(in_flight: tuple[int | None, ...], counts: bool) -> None:
    assert replace(ROUND, in_flight=in_flight).counts is counts


def test_a_round_of_which_one_fault_hit_nothing_does_not_count() -> None:
    assert BOTH.counts
    assert not replace(BOTH, in_flight=(12, None), hits=(("a",), ())).counts


def test_the_code_is_that_of_a_repository(tmp_path: Path) -> None:
    assert code_of(tmp_path) == ""


def test_a_round_is_told_in_one_line() -> None:
    assert line(BOTH, 20) == (
        "   1/20 freeze+net-cut             2,000 records, 12, 1,300 in flight, 3 hits, 2 restarts, recovered in 8.0 s, "
        "15.0 s of which the judge 2.0: right (world 1, 42)"
    )
