"""A plot of some rows of figures over a size, as SVG, without a library: the x axis is logarithmic, the y axis begins at 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import log10

WIDTH, HEIGHT, LEFT, TOP = 640, 360, 60, 40
COLOURS = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e6c2f", "#6c3483")


def svg(title: str, unit: str, sizes: Sequence[int], rows: Mapping[str, Sequence[float]]) -> str:
    """Draw each row, one value for each size; sizes rise."""
    right, bottom = WIDTH - 150, HEIGHT - 40
    highest = max(max(row) for row in rows.values()) * 1.1 or 1.0
    low, high = log10(sizes[0]), log10(sizes[-1])

    def x(size: int) -> float:
        return LEFT + (right - LEFT) * ((log10(size) - low) / (high - low) if high > low else 0.5)

    def y(value: float) -> float:
        return bottom - (bottom - TOP) * value / highest

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        _text(LEFT, 20, f"{title} ({unit})"),
        f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="black"/>',
    ]
    parts += [_text(x(size) - 20, bottom + 18, f"{size:,}") for size in sizes]
    for step in range(5):
        value = highest * step / 4
        parts.append(_text(8, y(value) + 4, f"{value:,.0f}"))
        parts.append(f'<path d="M{LEFT} {y(value):.1f}H{right}" stroke="#ddd"/>')
    for at, (name, row) in enumerate(rows.items()):
        colour = COLOURS[at % len(COLOURS)]
        points = [(x(size), y(value)) for size, value in zip(sizes, row, strict=True)]
        line = " ".join(f"{one:.1f},{two:.1f}" for one, two in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{one:.1f}" cy="{two:.1f}" r="3" fill="{colour}"/>' for one, two in points]
        parts.append(_text(right + 8, TOP + 16 * at + 8, name, colour))
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, said: str, colour: str = "black") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}">{escape(said)}</text>'
