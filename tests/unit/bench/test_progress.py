from __future__ import annotations

import pytest

from resolvers.errors import NexusError
from streams.bench.meters import Meters, Used
from streams.bench.progress import Look, State, growths_of, of_units, rate_of, tenths, watch


def look(at: float, done: int, *, finished: bool = False, worker: float = 0.0, calls: int = 0) -> Look:
    return Look(at, State(done, done > 0, finished), Used(worker=worker, redis=0.0, redis_calls=calls))


def test_a_rate_leaves_the_start_of_the_worker_out() -> None:
    looks = [look(0.0, 0), look(2.0, 0, worker=1.0), look(2.5, 400, worker=1.2), look(3.0, 1_000, finished=True, worker=1.5)]
    rate = rate_of("resolve", "events", 1_000, looks)
    assert rate.seconds == 1.0
    assert rate.per_second == 1_000
    assert rate.cpu_us["worker"] == pytest.approx(500)


def test_what_is_told_after_the_last_unit_belongs_to_the_rate() -> None:
    assert rate_of("all", "records", 100, [look(1.0, 0), look(2.0, 100), look(3.0, 100, finished=True)]).seconds == 2.0


def test_work_that_was_over_at_the_first_look_has_a_rate() -> None:
    assert rate_of("quick", "events", 10, [look(1.0, 10, finished=True)]).seconds == 0.0


def test_what_was_done_is_counted_in_units_of_which_there_are_so_many() -> None:
    looks = [look(1.0, 0), look(2.0, 30), look(3.0, 90, finished=True)]
    assert [one.state.done for one in of_units(looks, 30)] == [0, 10, 30]
    assert of_units(looks, 90) == looks
    assert of_units(looks[:1], 30) == looks[:1]


def test_tenths_of_steady_work_are_alike() -> None:
    assert tenths([(0.0, 0), (5.0, 50), (10.0, 100)], 100) == pytest.approx((1.0,) * 10)


def test_tenths_show_where_work_slowed_down() -> None:
    assert tenths([(0.0, 0), (9.0, 90), (14.0, 100)], 100) == pytest.approx((1.0,) * 9 + (5.0,))


def test_growth_is_told_of_time_of_cpu_time_and_of_calls() -> None:
    steady = [look(at, at * 10, worker=at / 10, calls=at * 100) for at in range(1, 11)]
    looks = [look(0.0, 0), *steady, look(12.0, 110, worker=1.1, calls=1_300), look(99.0, 125, finished=True, worker=50.0)]
    wall, cpu, calls = growths_of("resolve", 125, looks, lag=5)
    assert wall.events == 100
    assert wall.last_to_first == pytest.approx(2.0)
    assert cpu.last_to_first == pytest.approx(1.0)
    assert cpu.tenths[0] == pytest.approx(10_000)
    assert (calls.tenths[0], calls.tenths[-1]) == pytest.approx((10, 30))


def test_a_few_looks_tell_no_growth() -> None:
    assert growths_of("resolve", 100, [look(0.0, 0), look(1.0, 50), look(2.0, 100, finished=True)], lag=5) == []


class StillMeters(Meters):
    def __init__(self) -> None:
        self.readings = 0

    async def read(self) -> Used:
        self.readings += 1
        return Used()


async def test_watching_ends_when_nothing_is_left() -> None:
    states = iter([State(0, begun=False, finished=False), State(5, begun=True, finished=True)])

    async def state() -> State:
        return next(states)

    looks = await watch(state, StillMeters(), lambda: None)
    assert [one.state.done for one in looks] == [0, 5]


async def test_a_worker_that_ended_ends_the_watch() -> None:
    async def state() -> State:
        return State(0, begun=False, finished=False)

    def check() -> None:
        raise NexusError("a worker ended")

    with pytest.raises(NexusError, match="a worker ended"):
        await watch(state, StillMeters(), check)


async def test_a_drain_of_what_is_done_already_is_no_standstill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.bench.progress.STALLED_SECONDS", 0.05)
    monkeypatch.setattr("streams.bench.progress.LOOK_SECONDS", 0.02)
    left = iter(range(10, -1, -1))

    async def state() -> State:
        dirty = next(left)
        return State(100, begun=True, finished=dirty == 0, signs=(dirty,))

    assert len(await watch(state, StillMeters(), lambda: None)) == 11
