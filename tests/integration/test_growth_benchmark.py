"""The benchmark of growth runs, and reports all of its figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import growth


@pytest.mark.parametrize("shape", ["persons", "hub"])
def test_growth_reports_every_figure(shape: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["growth", "--identifiers", "3000", "--shape", shape, "--out", str(tmp_path)])
    growth.main()

    (kept,) = tmp_path.glob("*.json")
    report = json.loads(kept.read_text())
    assert [row["mark"] for row in report["marks"]] == [1_000, 3_000]
    for row in report["marks"]:
        assert all(row[name] > 0 for name in row if name != "redis_us_by_script")
        assert {"apply", "take", "keep", "finish"} <= set(row["redis_us_by_script"])
    assert report["machine"]["allocator"]
    assert report["ratios"]["redis"] > 0
    assert "<polyline" in kept.with_suffix(".svg").read_text()
