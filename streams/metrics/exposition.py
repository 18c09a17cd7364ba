"""The exposition: everything that was counted and what can be asked now, in the form that Prometheus reads.

Invariant: each metric of the table is written, and nothing else of ours; a label's value that is not of its closed set becomes
`other`. Neighbours: `counters` has the numbers, `gauges` asks for what is true now, `admin` serves the text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import TypeVar

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from resolvers.errors import Why
from resolvers.scripts import COMMANDS
from streams.counters import Counters, Key, Spread
from streams.metrics.table import METRICS, OTHER, Kind, Metric

Number = TypeVar("Number", int, float, Spread)

LABELS = {
    "source": "the sources of the settings; `events` and `commands` for their dead letters; `other` for events of none of them",
    "reason": f"the class of a dead letter's reason: {', '.join(f'`{why.value}`' for why in Why)}; the whole reason is in its headers",
    "stage": "`adapt`, `resolve`, `commands`, `publish`",
    "topic": "the topics of the settings that a stage reads",
    "partition": "numbers",
    "script": f"the scripts of Redis: {', '.join(f'`{name}`' for name in COMMANDS)}",
    "output": "`entities`, `identifiers`, `memberships`, `timeline`",
    "entity": "the entity types of the settings",
    "guard": "`limit`, `size`, `forbidden`",
    "again": "`yes` where it may have been told before, since Redis had lost writes; else `no`",
    "waiting": "`dirty` output keys, keys of rounds `in_flight`, `sweeps`, `cases` of guards, `rereads` for erasures, `recovering` shards",
    "version": "of nexus-streams",
    "python": "version of Python",
    "space": "the setting",
    "fingerprint": "of the rules",
}
"""What each label can be, for people."""

CLOSED: Mapping[str, frozenset[str]] = {
    "reason": frozenset(why.value for why in Why),
    "stage": frozenset({"adapt", "resolve", "commands", "publish"}),
    "script": frozenset(COMMANDS),
    "output": frozenset({"entities", "identifiers", "memberships", "timeline"}),
    "guard": frozenset({"limit", "size", "forbidden"}),
    "again": frozenset({"yes", "no"}),
    "waiting": frozenset({"dirty", "in_flight", "sweeps", "cases", "rereads", "recovering"}),
}
"""The values of labels that the code closes; those of the settings come beside them."""

OF_WORKER = frozenset({"version", "python", "space", "fingerprint", "partition"})
"""Labels whose values the worker makes itself."""

Values = Iterable[tuple[tuple[str, ...], float]]
"""Labels in the table's order, and the number."""

Gauge = Callable[[], Values]


class Exposition(Collector):
    """Writes the metrics of one worker."""

    def __init__(self, counters: Counters, gauges: Mapping[str, Gauge], closed: Mapping[str, frozenset[str]]) -> None:
        """`gauges` are asked when it is written; `closed` are the values of labels that the settings close."""
        self._counters = counters
        self._gauges = gauges
        self._closed = {**CLOSED, **closed}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def text(self) -> bytes:
        """Write everything, as Prometheus's text format has it."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Family]:
        """Give the metrics in the table's order."""
        for metric in METRICS:
            match metric.kind:
                case Kind.COUNTER:
                    yield self._counter(metric)
                case Kind.HISTOGRAM:
                    yield self._histogram(metric)
                case Kind.GAUGE:
                    yield self._gauge(metric)

    def _counter(self, metric: Metric) -> Family:
        family = CounterMetricFamily(metric.exposed, metric.meaning, labels=metric.labels)
        counts: Counter[Key] = Counter(dict.fromkeys(self._expected(metric), 0))
        for labels, number in (*_of(metric, self._counters.counts()), *self._asked(metric)):
            counts[self._allowed(metric, labels)] += int(number)
        for labels, count in counts.items():
            family.add_metric(labels, count)
        return family

    def _histogram(self, metric: Metric) -> Family:
        family = HistogramMetricFamily(metric.exposed, metric.meaning, labels=metric.labels)
        bounds = [*map(str, metric.bounds), "+Inf"]
        for labels, spread in _of(metric, self._counters.spreads()):
            family.add_metric(self._allowed(metric, labels), list(zip(bounds, _upto(spread), strict=True)), spread.total)
        return family

    def _gauge(self, metric: Metric) -> Family:
        family = GaugeMetricFamily(metric.exposed, metric.meaning, labels=metric.labels)
        for labels, value in (*_of(metric, self._counters.peaks()), *self._asked(metric)):
            family.add_metric(self._allowed(metric, labels), value)
        return family

    def _asked(self, metric: Metric) -> Values:
        ask = self._gauges.get(metric.name)
        return ask() if ask is not None else ()

    def _expected(self, metric: Metric) -> Iterator[Key]:
        """Give every combination of labels that may come, so that the first one counted is a rise from 0; not of what is asked."""
        if metric.name not in self._gauges:
            yield from product(*(sorted(self._closed[label]) for label in metric.labels))

    def _allowed(self, metric: Metric, labels: Key) -> Key:
        return tuple(
            value if label in OF_WORKER or value in self._closed[label] else OTHER
            for label, value in zip(metric.labels, labels, strict=True)
        )


def _of(metric: Metric, numbers: Mapping[Key, Number]) -> list[tuple[Key, Number]]:
    return [(key[1:], number) for key, number in list(numbers.items()) if key[0] == metric.name]


def _upto(spread: Spread) -> Iterator[int]:
    """Add up a histogram's counts: how many lie at or below each bound."""
    total = 0
    for count in spread.counts:
        total += count
        yield total
