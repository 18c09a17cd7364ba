"""Plots of a kept report of `nexus bench`, as SVG files beside it: latency, and where the processors' time goes.

Run with `python -m benchmarks.report_plots [REPORT]`, without it of the newest `*-bench.json` in `benchmarks/results`. Plain SVG, so that
nothing must be installed to draw it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

RESULTS = Path(__file__).parent / "results"
WIDTH, ROW, LEFT, RIGHT, TOP = 760, 26, 230, 80, 44
COLOURS = ("#3b6ea5", "#c8553d", "#6a994e", "#8d6a9f", "#b08900")

Bars = Sequence[tuple[str, Sequence[float]]]
"""Rows: a name, and a figure for each series."""


def stacked(title: str, unit: str, series: Sequence[str], rows: Bars) -> str:
    """Draw rows of figures that add up."""
    most = max((sum(figures) for _, figures in rows), default=1.0) or 1.0
    scale = (WIDTH - LEFT - RIGHT) / most
    parts = [*_head(title, unit, series, len(rows))]
    for number, (name, figures) in enumerate(rows):
        y, x = TOP + number * ROW, float(LEFT)
        parts.append(_text(LEFT - 8, y + 15, name, "end"))
        for colour, figure in zip(COLOURS, figures, strict=False):
            parts.append(f'<rect x="{x:.1f}" y="{y}" width="{figure * scale:.1f}" height="18" fill="{colour}"/>')
            x += figure * scale
        parts.append(_text(x + 6, y + 15, f"{sum(figures):.0f}"))
    return _whole(parts, len(rows))


def side_by_side(title: str, unit: str, series: Sequence[str], rows: Bars) -> str:
    """Draw rows of figures that do not add up: a thin bar for each."""
    most = max((max(figures) for _, figures in rows), default=1.0) or 1.0
    scale = (WIDTH - LEFT - RIGHT) / most
    height = ROW * len(series)
    parts = [*_head(title, unit, series, len(rows) * len(series))]
    for number, (name, figures) in enumerate(rows):
        y = TOP + number * height
        parts.append(_text(LEFT - 8, y + height / 2, name, "end"))
        for at, (colour, figure) in enumerate(zip(COLOURS, figures, strict=False)):
            parts.append(f'<rect x="{LEFT}" y="{y + at * 20 + 2}" width="{figure * scale:.1f}" height="16" fill="{colour}"/>')
            parts.append(_text(LEFT + figure * scale + 6, y + at * 20 + 15, f"{figure:.0f}"))
    return _whole(parts, len(rows) * len(series))


def _head(title: str, unit: str, series: Sequence[str], _: int) -> Iterable[str]:
    yield _text(8, 18, f"{title} ({unit})", weight="bold")
    for number, (name, colour) in enumerate(zip(series, COLOURS, strict=False)):
        x = LEFT + number * 110
        yield f'<rect x="{x}" y="26" width="12" height="12" fill="{colour}"/>'
        yield _text(x + 17, 36, name)


def _text(x: float, y: float, text: str, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'


def _whole(parts: Iterable[str], rows: int) -> str:
    height = TOP + rows * ROW + 12
    style = 'font-family="sans-serif" font-size="13"'
    frame = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {style}><rect width="100%" height="100%" fill="white"/>'
    )
    return "\n".join([frame, *parts, "</svg>", ""])


def plots(report: dict[str, Any]) -> dict[str, str]:
    """Draw what a report has, by file name."""
    cpu = [
        (one["name"], [one["cpu_us"].get(who) or 0.0 for who in ("worker", "redis", "kafka")])
        for one in report["rates"]
        if one["cpu_us"] and "times" not in one["name"]
    ]
    latency = [
        (f"at {one['share']:g} of the rate", [one[name] for name in ("p50_ms", "p90_ms", "p99_ms", "p999_ms")]) for one in report["latency"]
    ]
    return {
        "cpu.svg": stacked("Processor time", "µs a record, event or key", ("worker", "Redis", "Kafka"), cpu),
        "latency.svg": side_by_side("From due to be sent to its entity held", "ms", ("p50", "p90", "p99", "p99.9"), latency),
    }


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", nargs="?", type=Path, help="a report; else the newest of a whole run")
    file = parser.parse_args().report or max(RESULTS.glob("*-bench.json"))
    for name, drawn in plots(json.loads(file.read_text(encoding="utf-8"))).items():
        target = file.with_name(f"{file.stem}-{name}")
        target.write_text(drawn, encoding="utf-8")
        print(target)


if __name__ == "__main__":
    main()
