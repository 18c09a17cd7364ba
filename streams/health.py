"""Health: whether a worker gets on, and whether it has all it needs, in words.

Invariant: a worker that only waits for Kafka or Redis is alive, since another one would wait too; it is not ready.
Everything here is told by others, and nothing is asked. Neighbours: the channels of `batch` tell of jobs, `patience`
of what does not answer; `admin` shows the verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)

from resolvers.errors import RedisUnavailable
from streams.batch import Job

FORGOTTEN_SECONDS = 120.0
"""What was not said again for so long is no trouble any more: whoever met it has left."""

_BY_TYPE: tuple[tuple[type[Exception], str], ...] = (
    (OutOfMemoryError, "Redis is full"),
    (BusyLoadingError, "Redis is loading its data"),
    (ReadOnlyError, "Redis takes no writes: it is a replica, or failing over"),
    (MasterDownError, "Redis is a replica that has lost its master"),
    (ClusterDownError, "the cluster of Redis is failing over"),
    (TryAgainError, "the cluster of Redis is moving keys"),
)
_BY_WORD = {
    "MISCONF": "Redis takes no writes: it can't save to its disk",
    "NOREPLICAS": "Redis takes no writes: too few replicas follow it",
    "BUSY": "Redis is busy with a long script",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer, with what is missing where it is no, and what else is worth knowing."""

    ok: bool
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Failing:
    """A call to the outside that is tried again and again."""

    what: str
    words: str
    error: str
    since: float
    said: float


class StageHealth:
    """The jobs of one stage: which wait or run, and when one was last finished."""

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self.name = name
        self._clock = clock
        self._queued: dict[Job[Any], float] = {}
        self._running: set[Job[Any]] = set()
        self._finished = float("-inf")

    def queued(self, job: Job[Any]) -> None:
        """Note that a job waits for an agent."""
        self._queued[job] = self._clock()

    def begun(self, job: Job[Any]) -> None:
        """Note that an agent has taken a job."""
        self._queued.setdefault(job, self._clock())
        self._running.add(job)

    def ended(self, job: Job[Any]) -> None:
        """Note that a job is over, well or badly."""
        self._finished = self._clock()
        self._queued.pop(job, None)
        self._running.discard(job)

    def progressed(self) -> None:
        """Note that a long job gets on."""
        self._finished = self._clock()

    def stuck_for(self, excused_until: float) -> float:
        """Give for how many seconds there has been work and no progress; what was before `excused_until` does not count."""
        if not self._queued:
            return 0.0
        return self._clock() - max(min(self._queued.values()), self._finished, excused_until)

    def words(self, seconds: float) -> str:
        """Say what is stuck."""
        oldest = min(self._queued, key=lambda job: self._queued[job])
        how = "is at work" if oldest in self._running else "waits for an agent"
        running = len(self._running)
        jobs = f"{running} of {len(self._queued)} jobs at work"
        return f"stage {self.name} has finished nothing for {seconds:.0f} s; {oldest.subject or 'its oldest job'} {how}, {jobs}"


class Health:
    """What a worker knows of its own health. `clock` gives seconds and never goes back."""

    def __init__(self, clock: Callable[[], float], stuck_seconds: float) -> None:
        self._clock = clock
        self._stuck_seconds = stuck_seconds
        self._stages: dict[str, StageHealth] = {}
        self._holding: dict[str, Callable[[], Sequence[object]]] = {}
        self._failing: dict[object, _Failing] = {}
        self._troubled = float("-inf")
        self._phase = "the worker is starting"
        self._recovery = ""

    def stage(self, name: str) -> StageHealth:
        """Give the part of one stage, which is told of its jobs."""
        return self._stages.setdefault(name, StageHealth(name, self._clock))

    def holding(self, stage: str, places: Callable[[], Sequence[object]]) -> None:
        """Know how to ask which partitions a stage holds."""
        self._holding[stage] = places

    def started(self) -> None:
        """Note that everything of the worker has begun."""
        self._phase = ""

    def stopping(self) -> None:
        """Note that the worker takes on nothing more."""
        self._phase = "the worker is stopping"

    def recovering(self, waits_for: str) -> None:
        """Note that what Redis lost is being replayed, and what that waits for; an empty text says that it is over."""
        self._recovery = waits_for

    def fails(self, call: object, what: str, error: Exception) -> None:
        """Note that a call to Kafka or Redis has failed and will be tried again."""
        now = self._troubled = self._clock()
        known = self._failing.get(call)
        self._failing[call] = _Failing(what, words_of(error), str(error), known.since if known else now, now)

    def over(self, call: object) -> None:
        """Note that nobody waits for the call any more."""
        if self._failing.pop(call, None):
            self._troubled = self._clock()

    def held(self) -> dict[str, int]:
        """Count the partitions that each stage holds."""
        return {name: len(places()) for name, places in self._holding.items()}

    def stuck(self) -> dict[str, float]:
        """Give for how many seconds each stage has had work and no progress."""
        return {name: max(0.0, stage.stuck_for(self._troubled)) for name, stage in self._stages.items()}

    def failing(self) -> int:
        """Count the calls to Kafka and Redis that fail and are tried again."""
        now = self._clock()
        return sum(now - one.said <= FORGOTTEN_SECONDS for one in self._failing.values())

    def live(self) -> Verdict:
        """Say whether work gets on. Time in which Kafka or Redis did not answer is no time without progress."""
        stuck = [(stage, stage.stuck_for(self._troubled)) for stage in self._stages.values()]
        missing = tuple(stage.words(seconds) for stage, seconds in stuck if seconds > self._stuck_seconds)
        return Verdict(not missing, missing, self._troubles())

    def ready(self) -> Verdict:
        """Say whether the worker has all it needs."""
        missing = (self._phase, *self._troubles()) if self._phase else self._troubles()
        return Verdict(not missing, missing, tuple(self._notes()))

    def _notes(self) -> list[str]:
        held = {name: ", ".join(str(place) for place in places()) for name, places in self._holding.items()}
        notes = [f"{name} holds {places or 'no partition'}" for name, places in held.items()]
        return [f"recovery is under way: {self._recovery}", *notes] if self._recovery else notes

    def _troubles(self) -> tuple[str, ...]:
        """Say what does not answer: one line for each way in which it does not, with the call that has waited longest."""
        now = self._clock()
        self._failing = {call: one for call, one in self._failing.items() if now - one.said <= FORGOTTEN_SECONDS}
        longest: dict[str, _Failing] = {}
        counts: dict[str, int] = {}
        for one in sorted(self._failing.values(), key=lambda failing: failing.since):
            longest.setdefault(one.words, one)
            counts[one.words] = counts.get(one.words, 0) + 1
        return tuple(
            f"{words}: {one.what}{_more(counts[words] - 1)}, for {now - one.since:.0f} s: {one.error}" for words, one in longest.items()
        )


def words_of(error: Exception) -> str:
    """Say in a few words what is wrong outside, from the error that a call met or its cause."""
    cause = error.__cause__
    for kind, words in _BY_TYPE:
        if isinstance(cause, kind):
            return words
    if isinstance(error, RedisUnavailable):
        return _BY_WORD.get(str(cause).partition(" ")[0], "Redis does not answer")
    return "Kafka does not answer"


def _more(count: int) -> str:
    return f" and {count} more" if count else ""
