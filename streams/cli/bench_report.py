"""What a run of the benchmark measured, as tables in Markdown: to read on a terminal and to keep in a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streams.bench import Goal, Growth, Latency, Rate, Report

_RATES = ("what", "units", "a second", "of copy", "worker µs", "Redis µs", "Kafka µs", "MiB", "others")
_GROWTH = ("what an event costs", "in", "events", "first tenth", "middle", "last tenth", "last/first", "last/middle")
_LATENCY = ("from due to be sent to its entity held, ms", "records a second", "p50", "p90", "p99", "p99.9", "most", "probes")
_GOALS = ("what is wanted", "is", "at least", "aim", "reached")
_LEGEND = "µs are CPU time per unit; MiB is a worker's peak; others is how many cores were busy with something else meanwhile."


def told(report: Report) -> Iterator[str]:
    """Give the lines of a report."""
    machine = report.machine
    yield f"{machine.processor}, {machine.cores} cores, {machine.memory_gib:g} GiB, {machine.system}, load {machine.load:g} at the start"
    yield f"Python {machine.python}, {machine.kafka}, {machine.redis}, {machine.libraries}"
    yield f"{report.began}, {report.seconds:.0f} s, {', '.join(f'{count:,} {name}' for name, count in report.sizes.items() if count)}"
    yield ""
    yield from table(_RATES, map(_rate, report.rates))
    yield _LEGEND
    if report.growth:
        yield ""
        yield from table(_GROWTH, map(_grown, report.growth))
    if report.latency:
        yield ""
        yield from table(_LATENCY, map(_latency, report.latency))
    if report.goals:
        yield ""
        yield from table(_GOALS, map(_goal, report.goals))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lay out a table: the first column to the left, figures to the right."""
    listed = [head, *rows]
    widths = [max(len(row[column]) for row in listed) for column in range(len(head))]
    for number, row in enumerate(listed):
        cells = [
            cell.ljust(width) if not column else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield f"| {' | '.join(cells)} |"
        if number == 0:
            yield f"|{'|'.join('-' * (width + 2) if not column else '-' * (width + 1) + ':' for column, width in enumerate(widths))}|"


def _rate(rate: Rate) -> tuple[str, ...]:
    share = "" if rate.of_copy is None else f"{rate.of_copy:.3f}"
    cpu = (_figure(rate.cpu_us.get(who)) for who in ("worker", "redis", "kafka"))
    others = "" if rate.others_cores is None else f"{rate.others_cores:.1f}"
    return rate.name, f"{rate.count:,} {rate.unit}", f"{rate.per_second:,.0f}", share, *cpu, _figure(rate.peak_mib), others


def _grown(one: Growth) -> tuple[str, ...]:
    costs = (f"{cost:.1f}" for cost in (one.tenths[0], one.middle, one.tenths[-1]))
    return one.name, one.of, f"{one.events:,}", *costs, f"{one.last_to_first:.2f}", f"{one.last_to_middle:.2f}"


def _latency(one: Latency) -> tuple[str, ...]:
    waits = (one.p50_ms, one.p90_ms, one.p99_ms, one.p999_ms, one.most_ms)
    return f"{one.share:g} of one worker's rate", f"{one.records_per_second:,.0f}", *(f"{wait:.0f}" for wait in waits), f"{one.probes:,}"


def _goal(one: Goal) -> tuple[str, ...]:
    if one.reached is None:
        return one.name, "", f"{one.at_least:g}", f"{one.aim:g}", "not measured"
    return one.name, f"{one.value:.3g}", f"{one.at_least:g}", f"{one.aim:g}", "yes" if one.reached else "no"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"
