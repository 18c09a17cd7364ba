"""What a worker has counted since it started: plain numbers by name and labels.

Invariant: counting never fails and never blocks. Neighbours: every stage counts; the worker logs a summary.
"""

from __future__ import annotations

from collections import Counter

MOST_REASONS = 200
"""Reasons can quote values; beyond this many distinct ones the rest is counted together."""

OTHER = "other reasons"


class Counters:
    """Numbers of one worker. For one event loop; not shared between processes."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._reasons: Counter[tuple[str, str]] = Counter()

    def add(self, name: str, *labels: str, count: int = 1) -> None:
        """Count something that happened, such as `records.read` of a source."""
        self._counts[name, *labels] += count

    def dead_letter(self, source: str, reason: str) -> None:
        """Count a dead letter by its source and reason."""
        self._counts["dead_letters", source] += 1
        known = (source, reason) in self._reasons or len(self._reasons) < MOST_REASONS
        self._reasons[source, reason if known else OTHER] += 1

    def total(self, name: str) -> int:
        """Add up everything counted under a name."""
        return sum(count for key, count in self._counts.items() if key[0] == name)

    def snapshot(self) -> dict[str, int]:
        """Give every number, keyed by its name and labels with dots between."""
        return {".".join(key): count for key, count in sorted(self._counts.items())}

    def reasons(self) -> dict[tuple[str, str], int]:
        """Give the number of dead letters by (source, reason), most frequent first."""
        return dict(self._reasons.most_common())
