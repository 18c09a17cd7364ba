"""The table of metrics: what is counted has its row, what has a row is well named, and the page says the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from streams.metrics.exposition import CLOSED, LABELS, OF_WORKER
from streams.metrics.reference import page
from streams.metrics.table import BY_NAME, METRICS, Kind

ROOT = Path(__file__).parents[3]
COUNTING = {"add": Kind.COUNTER, "observe": Kind.HISTOGRAM, "peak": Kind.GAUGE}


def _counted() -> set[tuple[str, Kind, int]]:
    """Find every name that the code counts under, with the number of labels where they are written one by one."""
    found = set()
    for path in sorted((ROOT / "streams").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in COUNTING:
                first = node.args[0] if node.args else None
                if "counters" in ast.unparse(node.func.value) and isinstance(first, ast.Constant):
                    found.add((str(first.value), COUNTING[node.func.attr], len(node.args) - 1))
    return found


def test_everything_that_is_counted_has_its_row() -> None:
    counted = _counted()
    assert len(counted) > 15
    assert [
        (name, kind, labels) for name, kind, labels in counted if (BY_NAME[name].kind, len(BY_NAME[name].labels)) != (kind, labels)
    ] == []


def test_names_are_distinct_and_say_their_unit() -> None:
    assert len({metric.exposed for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert re.fullmatch(r"nexus_[a-z][a-z_]*[a-z]", metric.exposed)
        assert metric.meaning.endswith(".")
        assert (metric.exposed.endswith("_total")) is (metric.kind is Kind.COUNTER)
        assert bool(metric.bounds) is (metric.kind is Kind.HISTOGRAM)
        assert list(metric.bounds) == sorted(set(metric.bounds))
        assert ("_seconds" in metric.exposed) is (metric.unit == "seconds")
        assert ("_bytes" in metric.exposed) is (metric.unit == "bytes")


def test_every_label_is_closed_and_explained() -> None:
    used = {label for metric in METRICS for label in metric.labels}
    assert used == LABELS.keys()
    assert used == CLOSED.keys() | OF_WORKER | {"source", "entity", "topic"}


def test_the_page_is_up_to_date() -> None:
    told = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    assert told == page(), "run: python -m streams.metrics.reference > docs/reference/metrics.md"
