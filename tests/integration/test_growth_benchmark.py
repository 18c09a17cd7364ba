"""The benchmark of growth runs, and reports all of its figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import growth


@pytest.mark.parametrize(("shape", "calls", "size"), [("persons", 21, 750), ("hub", 18, 1_150)])
def test_growth_reports_every_figure(shape: str, calls: float, size: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures that no other program on the machine can change, calls of Redis and bytes, are bounded too."""
    monkeypatch.setattr(sys, "argv", ["growth", "--identifiers", "3000", "--shape", shape, "--out", str(tmp_path)])
    growth.main()

    (kept,) = tmp_path.glob("*.json")
    report = json.loads(kept.read_text())
    assert [row["mark"] for row in report["marks"]] == [1_000, 3_000]
    for row in report["marks"]:
        assert all(row[name] > 0 for name in row if name != "redis_us_by_script")
        assert {"apply", "take", "keep", "finish"} <= set(row["redis_us_by_script"])
    assert report["marks"][-1]["calls"] <= calls
    assert report["marks"][-1]["bytes_per_identifier"] <= size
    assert report["machine"]["redis"].count(",") == 1
    assert report["ratios"]["redis"] > 0
    assert "<polyline" in kept.with_suffix(".svg").read_text()
