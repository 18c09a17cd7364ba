"""Goals: what the project wants of the figures of a run, as ratios where another machine would give other figures.

Invariant: pure; a figure that a run did not take is None, and never counts as reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from streams.bench.report import Goal, Growth, Latency, Rate, Report

HALF = 0.5

FLOORS = {
    "adapt stage, one process / copy": 0.05,
    "resolve and publish, one process / copy": 0.005,
    "end to end, one worker process / copy": 0.005,
    "worker CPU per event, end to end, µs": 2_000,
    "worker CPU per event with two workers / with one": 1.6,
    "latency at half rate, p50, ms": 10_000,
    "rebuild / live rate": 0.1,
}
"""What even a small run on a busy machine must reach: about a third of what it is on a quiet one, of what varies most about a tenth."""

MOST_CALLS = {"four identifiers seen together, again and again": 0.2, "a chain that becomes one entity": 7.0}
"""Calls of Redis per event, scripts' own included: no other program can change these."""


def goals_of(rates: Sequence[Rate], latency: Sequence[Latency]) -> tuple[Goal, ...]:
    """Hold the figures of a run against what is wanted."""
    return tuple(_goals({rate.name: rate for rate in rates}, {one.share: one for one in latency}))


def fallen(report: Report) -> list[str]:
    """Name the figures that are worse than even a small run on a busy machine may have; a figure that is missing is one."""
    return [*_below_floors(report.goals), *_too_many_calls(report.growth)]


def _below_floors(goals: Sequence[Goal]) -> Iterator[str]:
    for goal in goals:
        floor = FLOORS.get(goal.name)
        if floor is None:
            continue
        value = goal.value
        if value is None or (value > floor if goal.below else value < floor):
            yield f"{goal.name} is {'missing' if value is None else f'{value:.3g}'}, {'over' if goal.below else 'under'} {floor:g}"


def _too_many_calls(growth: Sequence[Growth]) -> Iterator[str]:
    found = {one.name: one.tenths[-1] for one in growth if one.of == "calls of Redis"}
    for name, most in MOST_CALLS.items():
        calls = found.get(name)
        if calls is None or calls > most:
            yield f"{name}: {'no' if calls is None else f'{calls:.1f}'} calls of Redis an event, {most:g} at most"


def _goals(rates: Mapping[str, Rate], latency: Mapping[float, Latency]) -> Iterator[Goal]:
    def of_copy(name: str) -> float | None:
        return rates[name].of_copy if name in rates else None

    one, two, again = rates.get("end to end, 1 worker"), rates.get("end to end, 2 workers"), rates.get("rebuild")
    cpu_one, cpu_two = _worker_us(one), _worker_us(two)
    more = cpu_two / cpu_one if cpu_one and cpu_two else None
    half = latency.get(HALF)
    yield Goal("adapt stage, one process / copy", of_copy("adapt, `mapping`"), 0.5, 0.7)
    yield Goal("resolve and publish, one process / copy", of_copy("resolve + publish"), 0.2, 0.35)
    yield Goal("end to end, one worker process / copy", of_copy("end to end, 1 worker"), 0.12, 0.35)
    yield Goal("worker CPU per event, end to end, µs", cpu_one, 150, 60, below=True)
    yield Goal("worker CPU per event with two workers / with one", more, 1.15, 1.05, below=True)
    yield Goal("latency at half rate, p50, ms", half.p50_ms if half else None, 60, 25, below=True)
    yield Goal("latency at half rate, p99, ms", half.p99_ms if half else None, 250, 100, below=True)
    yield Goal("rebuild / live rate", again.per_second / one.per_second if again and one else None, 2, 5)


def _worker_us(rate: Rate | None) -> float | None:
    return rate.cpu_us.get("worker") if rate else None
