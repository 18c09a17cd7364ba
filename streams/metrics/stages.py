"""Stages, measured: how many records a batch has, how long it takes, and how old its records are when it is done.

Invariant: the stage is called as it is, and what it gives or raises passes unchanged. Neighbours: `app` puts it around each stage.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from streams.batch import Outcome, SourceBatch
from streams.counters import Counters
from streams.publish import Turn

Handler = Callable[[Any], Awaitable[Any]]


def measured(stage: str, handler: Handler, counters: Counters, clock: Callable[[], int]) -> Handler:
    """Give a handler that does the same and counts, once per batch or round. `clock` gives epoch milliseconds."""

    async def measuring(job: Any) -> Any:  # noqa: ANN401 - a stage's own job and outcome
        begun = perf_counter()
        outcome = await handler(job)
        if outcome is Outcome.DONE and isinstance(job, SourceBatch):
            counters.observe("batch_records", stage, value=len(job.records))
            counters.observe("record_age_seconds", stage, value=max(0.0, (clock() - job.records[-1].timestamp) / 1000))
        if outcome is Outcome.OVERTAKEN:
            counters.add("overtaken", stage)
        elif outcome in (Outcome.DONE, Turn.TOLD):
            counters.observe("stage_seconds", stage, value=perf_counter() - begun)
        return outcome

    return measuring
