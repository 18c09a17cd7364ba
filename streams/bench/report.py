"""The report of a run: what was measured, on which machine, as values that can be kept as a file.

Invariant: figures carry their unit in their name; a figure that could not be taken is None. Neighbours: each
measurement gives one of these, `session` gathers them, `nexus bench` prints them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import orjson

from streams.bench.machine import Machine

COPY = "copy"
"""The measurement that others are compared with."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast something was done. `cpu_us` is CPU time per unit, by who spent it.

    `tenths` are the seconds that each tenth of the units took.
    """

    name: str
    unit: str
    count: int
    seconds: float
    cpu_us: Mapping[str, float | None] = field(default_factory=dict)
    peak_mib: float | None = None
    tenths: tuple[float, ...] = ()

    @property
    def per_second(self) -> float:
        """Give the units done in a second."""
        return self.count / max(self.seconds, 1e-9)


@dataclass(frozen=True, slots=True)
class Growth:
    """What an event cost in the first, the middle and the last tenth of a run, in microseconds `of` something."""

    name: str
    of: str
    events: int
    first_us: float
    middle_us: float
    last_us: float

    @property
    def last_to_first(self) -> float:
        """Give how many times the first tenth's cost the last one costs."""
        return self.last_us / max(self.first_us, 1e-9)

    @property
    def last_to_middle(self) -> float:
        """Give how many times the middle tenths' cost the last one costs: free of the warming up at the start."""
        return self.last_us / max(self.middle_us, 1e-9)


@dataclass(frozen=True, slots=True)
class Latency:
    """How long after the call that sends a record a read_committed consumer held its entity, in milliseconds."""

    probes: int
    records_per_second: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    most_ms: float


@dataclass(frozen=True, slots=True)
class Report:
    """One run. `began` is RFC 3339; `sizes` are what it was asked for."""

    what: str
    began: str
    seconds: float
    machine: Machine
    sizes: Mapping[str, int]
    rates: tuple[Rate, ...]
    growth: tuple[Growth, ...]
    latency: Latency | None = None

    def of_copy(self, rate: Rate) -> float | None:
        """Give a rate as a part of plain copying in the same run; None for units that are not copied."""
        copies = [one for one in self.rates if one.name.startswith(COPY)]
        if rate.unit not in {"records", "events"} or not copies:
            return None
        seconds = sum(one.seconds for one in copies)
        return rate.per_second / (sum(one.count for one in copies) / max(seconds, 1e-9))

    def as_json(self) -> dict[str, Any]:
        """Give the report with what follows from its figures, rounded to what they can tell."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        for row, rate in zip(plain["rates"], self.rates, strict=True):
            row |= {"per_second": rate.per_second, "of_copy": self.of_copy(rate)}
        for row, one in zip(plain["growth"], self.growth, strict=True):
            row |= {"last_to_first": one.last_to_first, "last_to_middle": one.last_to_middle}
        rounded: dict[str, Any] = _rounded(plain)
        return rounded


def growth_of(name: str, of: str, events: int, tenths: Sequence[float]) -> Growth:
    """Read the growth off the seconds that each tenth of the events took."""
    us = [seconds / (events / len(tenths)) * 1e6 for seconds in tenths]
    half = len(us) // 2
    return Growth(name, of, events, us[0], (us[half - 1] + us[half]) / 2, us[-1])


def write_report(report: Report, directory: Path) -> Path:
    """Keep a report as `<day>-<what>.json`, in place of an earlier one of the same day; gives the file."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / f"{report.began[:10]}-{report.what}.json"
    file.write_bytes(orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2) + b"\n")
    return file


def _rounded(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return (
        float(f"{value:.4g}") if isinstance(value, float) and abs(value) < 1_000 else round(value, 1) if isinstance(value, float) else value
    )
