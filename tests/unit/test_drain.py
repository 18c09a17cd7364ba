from __future__ import annotations

from typing import Any, cast

import pytest

from resolvers.errors import NexusError
from resolvers.port import Backlog
from streams.drain import Behind, Drain, Stillness, stalled
from streams.settings import settings_from

NOTHING = Backlog(dirty=0, in_flight=False, sweeps=False)


def behind(raw: int) -> Behind:
    return Behind(raw, 0, 0, NOTHING)


class Measured(Drain):
    """A drain whose measures are given; the last one stays."""

    def __init__(self, *measures: int) -> None:
        super().__init__(settings_from({}), *cast("tuple[Any, Any, Any]", (None, None, None)))
        self.measures = list(measures)

    async def behind(self) -> Behind:
        return behind(self.measures.pop(0) if len(self.measures) > 1 else self.measures[0])


def test_stillness_counts_from_the_last_change() -> None:
    now = [0.0]
    stillness = Stillness(lambda: now[0])
    seen = []
    for seconds, raw in ((1, 5), (4, 5), (6, 4), (16, 4)):
        now[0] = seconds
        seen.append(stillness.after(behind(raw)))
    assert seen == [0, 3, 0, 10]


async def test_publishing_goes_on_when_the_pipeline_has_caught_up() -> None:
    reported: list[Behind] = []
    await Measured(30, 20, 10).keep_up(10, 60, reported.append)
    assert [one.raw for one in reported] == [30, 20]


async def test_publishing_does_not_wait_for_a_pipeline_in_which_nothing_moves() -> None:
    with pytest.raises(NexusError, match="nothing has moved for 0 s, and still to do: 30 source records"):
        await Measured(30).keep_up(10, 0)


async def test_waiting_ends_when_nothing_is_behind_or_nothing_moves() -> None:
    assert (await Measured(1, 0).wait(60)).nothing
    assert (await Measured(7).wait(0)).raw == 7


def test_the_error_says_what_is_behind() -> None:
    assert str(stalled(behind(2), 60)) == "nothing has moved for 60 s, and still to do: 2 source records"
