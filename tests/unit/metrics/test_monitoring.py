"""The rules and the dashboard name what there is, and each alert says what to do."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from streams.metrics.table import METRICS, Kind
from tests.monitoring import MONITORING, ROOT, Query, alert_queries, panel_queries, panels, rules

QUERIES = alert_queries() + panel_queries()
EXPOSED = {
    name: metric
    for metric in METRICS
    for name in ([f"{metric.exposed}_{part}" for part in ("bucket", "sum", "count")] if metric.kind is Kind.HISTOGRAM else [metric.exposed])
}
OF_PROMETHEUS = {"instance", "job", "le"}


def names(text: str) -> set[str]:
    return set(re.findall(r"\bnexus_[a-z_]+", text))


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.where)
def test_every_metric_that_is_asked_for_exists(query: Query) -> None:
    assert names(query.text) <= EXPOSED.keys()
    assert names(query.text) or re.search(r"\b(up|process_\w+)\b", query.text)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.where)
def test_every_label_that_is_asked_for_is_one_of_its_metrics(query: Query) -> None:
    grouped = re.findall(r"(?:by|on|group_left) \(([^)]*)\)", query.text)
    asked = {label.strip() for labels in grouped for label in labels.split(",")} | set(re.findall(r"(\w+)=\"", query.text))
    known = {label for name in names(query.text) for label in EXPOSED[name].labels}
    assert asked <= known | OF_PROMETHEUS


def test_every_metric_that_counts_is_on_the_dashboard() -> None:
    shown = {EXPOSED[name].name for query in panel_queries() for name in names(query.text)}
    assert {metric.name for metric in METRICS if metric.kind is not Kind.GAUGE} <= shown


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_each_alert_has_a_runbook_and_a_test(rule: dict[str, Any]) -> None:
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^## (\w+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert rule["alert"] in headings
    assert anchor == rule["alert"].lower()
    tested = yaml.safe_load((MONITORING / "rules.test.yml").read_text(encoding="utf-8"))["tests"]
    expected = [one for test in tested for one in test["alert_rule_test"] if one["alertname"] == rule["alert"]]
    assert [one for one in expected if one["exp_alerts"]]


def test_each_runbook_is_of_an_alert() -> None:
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs/how-to/answer-alerts.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == [rule["alert"] for rule in rules()]


def test_panels_are_distinct_and_none_lies_over_another() -> None:
    assert len({panel["id"] for panel in panels()}) == len(panels())
    cells = [
        (x, y)
        for grid in (panel["gridPos"] for panel in panels())
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
