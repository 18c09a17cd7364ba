"""The tempo of long work: how far it is, how fast it goes, how long it will take, and for how long nothing has moved.

Neighbours: `rebuild` measures with it, its command shows what it says.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

WINDOW_SECONDS = 20.0
"""A rate is that of the last so many seconds."""


class Phase(Enum):
    """What a rebuild does, in words for what it counts."""

    APPLYING = "events applied"
    TELLING = "output keys told"


@dataclass(frozen=True, slots=True)
class Look:
    """How far a phase is. `left_seconds` is None while nothing moves."""

    phase: Phase
    done: int
    total: int
    per_second: float
    left_seconds: float | None


class Tempo:
    """Remembers the last looks at one piece of work."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looks: deque[tuple[float, int]] = deque()
        self._moved_at = clock()
        self.still_seconds = 0.0

    def look(self, phase: Phase, done: int, total: int) -> Look:
        """Note what is done by now. It may become less: then the rate is nothing until it grows again."""
        now = self._clock()
        if not self._looks or done != self._looks[-1][1]:
            self._moved_at = now
        self.still_seconds = now - self._moved_at
        self._looks.append((now, done))
        while len(self._looks) > 2 and now - self._looks[1][0] >= WINDOW_SECONDS:
            self._looks.popleft()
        since, before = self._looks[0]
        rate = max(0.0, (done - before) / (now - since)) if now > since else 0.0
        return Look(phase, done, total, rate, (total - done) / rate if rate else None)
