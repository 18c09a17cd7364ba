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

TENTHS = 10
"""Parts that a run is cut into to see whether an event's cost grows."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast something was done. `cpu_us` is CPU time per unit, by who spent it.

    `others_cores` is how many cores were busy with something else meanwhile; `copied_per_second` what plain aiokafka
    copied right before and after.
    """

    name: str
    unit: str
    count: int
    seconds: float
    cpu_us: Mapping[str, float | None] = field(default_factory=dict)
    others_cores: float | None = None
    peak_mib: float | None = None
    copied_per_second: float | None = None

    @property
    def per_second(self) -> float:
        """Give the units done in a second."""
        return self.count / max(self.seconds, 1e-9)

    @property
    def of_copy(self) -> float | None:
        """Give the rate as a part of plain copying in the same minute; None for a unit that is not copied."""
        return self.per_second / self.copied_per_second if self.copied_per_second and self.unit != "output keys" else None


@dataclass(frozen=True, slots=True)
class Growth:
    """What an event cost in each tenth of a run; `of` says in what: microseconds of time or CPU time, calls of Redis."""

    name: str
    of: str
    events: int
    tenths: tuple[float, ...]

    @property
    def last_to_first(self) -> float:
        """Give how many times the first tenth's cost the last one costs."""
        return self.tenths[-1] / max(self.tenths[0], 1e-9)

    @property
    def last_to_middle(self) -> float:
        """Give how many times the middle tenths' cost the last one costs: free of the warming up at the start."""
        return self.tenths[-1] / max(self.middle, 1e-9)

    @property
    def middle(self) -> float:
        """Give the mean cost of the two tenths in the middle."""
        half = len(self.tenths) // 2
        return (self.tenths[half - 1] + self.tenths[half]) / 2


@dataclass(frozen=True, slots=True)
class Latency:
    """How long after it was due to be sent a record's entity was held by a read_committed consumer, in milliseconds.

    `share` is the part that the pace was of the rate that one worker had reached.
    """

    probes: int
    records_per_second: float
    share: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    most_ms: float


@dataclass(frozen=True, slots=True)
class Goal:
    """What the project wants of a figure. `below`: smaller is better. `value` None: not measured in this run."""

    name: str
    value: float | None
    at_least: float
    aim: float
    below: bool = False

    @property
    def reached(self) -> bool | None:
        """Say whether it is what it must be at least."""
        if self.value is None:
            return None
        return self.value <= self.at_least if self.below else self.value >= self.at_least


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
    latency: tuple[Latency, ...] = ()
    goals: tuple[Goal, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Give the report with what follows from its figures, rounded to what they can tell."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        for row, rate in zip(plain["rates"], self.rates, strict=True):
            row |= {"per_second": rate.per_second, "of_copy": rate.of_copy}
        for row, one in zip(plain["growth"], self.growth, strict=True):
            row |= {"last_to_first": one.last_to_first, "last_to_middle": one.last_to_middle}
        rounded: dict[str, Any] = _rounded(plain)
        return rounded


def growth_of(name: str, of: str, events: int, costs: Sequence[float]) -> Growth:
    """Make a growth of what each tenth of the events cost."""
    return Growth(name, of, events, tuple(one / (events / len(costs)) for one in costs))


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
