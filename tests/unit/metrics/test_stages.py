from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from streams.batch import Outcome, SourceBatch
from streams.counters import Counters
from streams.metrics.stages import measured
from streams.publish import Turn

NOW = 10_000


def handler(outcome: object) -> Any:
    async def handle(job: Any) -> Any:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return handle


def batch() -> SourceBatch:
    records: list[Any] = [SimpleNamespace(offset=offset, timestamp=NOW - 2_500) for offset in range(3)]
    return SourceBatch(TopicPartition("raw.crm", 0), 0, records)


async def test_a_batch_is_measured_once() -> None:
    counters = Counters()
    assert await measured("adapt", handler(Outcome.DONE), counters, lambda: NOW)(batch()) is Outcome.DONE
    spreads = counters.spreads()
    assert spreads["batch_records", "adapt"].total == 3
    assert spreads["record_age_seconds", "adapt"].total == 2.5
    assert sum(spreads["stage_seconds", "adapt"].counts) == 1


async def test_a_turn_counts_only_where_it_told_something() -> None:
    counters = Counters()
    for turn in (Turn.NOTHING, Turn.WAITING, Turn.FENCED, Turn.LOST):
        assert await measured("publish", handler(turn), counters, lambda: NOW)(object()) is turn
    assert counters.spreads() == {}
    await measured("publish", handler(Turn.TOLD), counters, lambda: NOW)(object())
    assert list(counters.spreads()) == [("stage_seconds", "publish")]


async def test_a_batch_that_was_overtaken_is_counted_as_that() -> None:
    counters = Counters()
    await measured("resolve", handler(Outcome.OVERTAKEN), counters, lambda: NOW)(batch())
    assert counters.snapshot() == {"overtaken.resolve": 1}
    assert counters.spreads() == {}


async def test_an_error_passes_unchanged() -> None:
    with pytest.raises(ZeroDivisionError):
        await measured("adapt", handler(ZeroDivisionError()), Counters(), lambda: NOW)(batch())
