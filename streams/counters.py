"""What a worker has counted since it started: plain numbers by name and labels.

Invariant: counting never fails and never blocks, and costs less than a microsecond; names are those of `metrics.table`. Neighbours: every
stage counts, once per batch where it can; the worker logs a summary, and `metrics.exposition` writes all for Prometheus.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping

from streams.metrics.table import BY_NAME

Key = tuple[str, ...]
"""A name and its labels, in the table's order."""

MOST_REASONS = 200
"""Beyond this many distinct reasons of dead letters that arrive the rest is counted together."""

OTHER = "other reasons"


class Spread:
    """Values by size: how many lie at or below each of a histogram's bounds and above the one before, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Take a value in."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Counters:
    """Numbers of one worker. For one event loop; not shared between processes."""

    def __init__(self) -> None:
        self._counts: Counter[Key] = Counter()
        self._spreads: dict[Key, Spread] = {}
        self._peaks: dict[Key, float] = {}
        self._reasons: Counter[tuple[str, str]] = Counter()

    def add(self, name: str, *labels: str, count: int = 1) -> None:
        """Count something that happened, such as `records_read` of a source."""
        self._counts[name, *labels] += count

    def observe(self, name: str, *labels: str, value: float) -> None:
        """Take a value into a histogram."""
        key = (name, *labels)
        spread = self._spreads.get(key)
        if spread is None:
            spread = self._spreads[key] = Spread(BY_NAME[name].bounds)
        spread.add(value)

    def peak(self, name: str, *labels: str, value: float) -> None:
        """Keep the highest value that there was."""
        key = (name, *labels)
        if value > self._peaks.get(key, 0.0):
            self._peaks[key] = value

    def dead_letter(self, source: str, reason: str) -> None:
        """Count a dead letter that arrived on the topic by its source and reason."""
        known = (source, reason) in self._reasons or len(self._reasons) < MOST_REASONS
        self._reasons[source, reason if known else OTHER] += 1

    def total(self, name: str) -> int:
        """Add up everything counted under a name."""
        return sum(count for key, count in self._counts.items() if key[0] == name)

    def snapshot(self) -> dict[str, int]:
        """Give every number, keyed by its name and labels with dots between."""
        return {".".join(key): count for key, count in sorted(self._counts.items())}

    def counts(self) -> Mapping[Key, int]:
        """Give every number by its name and labels."""
        return self._counts

    def spreads(self) -> Mapping[Key, Spread]:
        """Give every histogram by its name and labels."""
        return self._spreads

    def peaks(self) -> Mapping[Key, float]:
        """Give every highest value by its name and labels."""
        return self._peaks

    def reasons(self) -> dict[tuple[str, str], int]:
        """Give the number of dead letters that arrived by (source, reason), most frequent first."""
        return dict(self._reasons.most_common())
