from __future__ import annotations

from streams.verify import Difference, Report

WRONG = [Difference("redis.trait", f"per_{one}", "expected 1, found 2") for one in range(3)] + [
    Difference("entities.ghost", "per_9", "unknown")
]


def test_a_report_without_differences_is_one_line() -> None:
    report = Report([], {"events": 1_200, "entities": 30}, 1.25)
    assert report.ok
    assert list(report.lines(5)) == ["ok: 1,200 events, 30 entities; 1.2 s"]


def test_differences_are_grouped_and_cut() -> None:
    report = Report(WRONG, {"events": 9}, 0.5)
    assert not report.ok
    assert list(report.lines(2)) == [
        "redis.trait: 3 differences",
        "    per_0: expected 1, found 2",
        "    per_1: expected 1, found 2",
        "    ... and 1 more",
        "entities.ghost: 1 difference",
        "    per_9: unknown",
        "NOT ok, 4 differences: 9 events; 0.5 s",
    ]


def test_a_pipeline_that_is_still_working_is_not_ok() -> None:
    report = Report([], {}, 30.0, ["5 output keys are not told yet"])
    assert not report.ok
    assert next(iter(report.lines(5))) == "still working: 5 output keys are not told yet"


def test_json_counts_all_and_shows_some() -> None:
    shown = Report(WRONG, {"events": 9}, 0.5).as_json(1)
    assert shown["differences"]["redis.trait"] == {"count": 3, "examples": [{"subject": "per_0", "text": "expected 1, found 2"}]}
    assert (shown["ok"], shown["checked"]) == (False, {"events": 9})
