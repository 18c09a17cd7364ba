from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from resolvers.errors import SettingsError, StoreLost
from resolvers.port import Backlog, Ends, Reread
from streams import rebuild
from streams.crew import Worker, WorkerFailed
from streams.goal import Logs
from streams.rebuild import Plan, Rebuilding, Summary, beside
from streams.settings import settings_from
from streams.tempo import Look, Phase


class World(Logs):
    """Logs and a space in which workers do at once all that their stage has to do. `coming` events come while it is told."""

    def __init__(self, events: int, applied: int = 0, dirty: int = 0, coming: int = 0) -> None:
        super().__init__(settings_from({}), *cast("tuple[Any, Any, Any]", (None, None, {})))
        self.events, self.position, self.dirty, self.coming = events, applied, dirty, coming
        self.lost = False
        self.again: tuple[Reread, ...] = ()
        self.held: list[Ends] = []
        self.worked: list[str] = []
        self.said: list[str] = []
        self.shown: list[Look] = []

    async def ends(self) -> dict[tuple[str, int], int]:
        return {("events", 0): self.events, ("commands", 0): 2}

    async def applied(self) -> dict[tuple[str, int], int]:
        return {("events", 0): self.position, ("commands", 0): 2}

    async def hold(self, ends: Ends) -> None:
        self.held.append(ends)

    async def rereads(self) -> tuple[Reread, ...]:
        return self.again

    async def backlog(self) -> Backlog:
        if self.lost:
            self.lost, self.position = False, 0
            raise StoreLost("the space is gone")
        return Backlog(self.dirty, 0, 0, rereads=len(self.again))

    @asynccontextmanager
    async def workers(self, stage: str) -> AsyncIterator[Sequence[Worker]]:
        self.worked.append(stage)
        if stage == "resolve":
            self.dirty += self.events - self.position
            self.position = self.events
        elif not self.lost:
            self.dirty = 0
            self.events += self.coming
        yield [cast("Worker", self)]

    def check(self) -> None:
        return

    def say(self, line: str) -> None:
        self.said.append(line)

    def show(self, look: Look) -> None:
        self.shown.append(look)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild, "POLL_SECONDS", 0)


async def completed(world: World) -> Summary:
    target = settings_from({"space": "other"})
    return await Rebuilding(target, cast("Any", world), world, cast("Any", world.workers), world).complete()


async def test_everything_is_applied_and_then_told() -> None:
    world = World(events=40)
    summary = await completed(world)
    assert world.worked == ["resolve", "publish"]
    assert world.held == [{("events", 0): 40, ("commands", 0): 2}]
    assert world.said == ["replaying 40 events of nexus.events into space other"]
    assert (summary.space, summary.events, summary.begun_at, summary.came) == ("other", 40, 0, 0)


async def test_a_space_that_was_begun_goes_on_from_there() -> None:
    world = World(events=40, applied=15)
    assert (await completed(world)).begun_at == 15
    assert world.said == ["resuming space other at 15 of 40 events"]


async def test_what_is_applied_and_not_told_is_only_told() -> None:
    world = World(events=40, applied=40, dirty=7)
    await completed(world)
    assert world.worked == ["publish"]
    assert world.shown[-1].phase is Phase.TELLING


async def test_what_an_erasure_has_to_be_read_again_is_applied_before_anything_is_told() -> None:
    world = World(events=40, applied=40, dirty=7)
    world.again = (Reread(0, 10, 40, frozenset()),)
    hold = world.hold

    async def holding(ends: Ends) -> None:
        world.again = ()
        await hold(ends)

    world.hold = holding  # type: ignore[method-assign]
    await completed(world)
    assert world.worked == ["resolve", "publish"]


async def test_a_space_that_holds_everything_is_left_alone() -> None:
    world = World(events=40, applied=40)
    summary = await completed(world)
    assert (world.worked, world.said, summary.seconds, summary.events) == ([], [], 0.0, 40)


async def test_few_events_that_come_meanwhile_are_left_to_others_and_counted() -> None:
    assert (await completed(World(events=40, coming=9))).came == 9


async def test_a_redis_that_forgets_while_it_is_told_is_filled_again() -> None:
    world = World(events=40, applied=40, dirty=7)
    workers = world.workers

    @asynccontextmanager
    async def forgetful(stage: str) -> AsyncIterator[Sequence[Worker]]:
        world.lost = not world.worked
        async with workers(stage) as group:
            yield group

    world.workers = forgetful  # type: ignore[method-assign]
    await completed(world)
    assert world.worked == ["publish", "resolve", "publish"]


async def test_a_worker_that_ends_ends_the_rebuild(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(events=40)

    def check() -> None:
        raise WorkerFailed("a worker ended with exit code 1: nexus worker ended: the log is gone")

    monkeypatch.setattr(world, "check", check)
    with pytest.raises(WorkerFailed, match="the log is gone"):
        await completed(world)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ("live", "--into live: that is the live space of these settings"),
        ("No Good", "--into: space: 'No Good': must match"),
    ],
)
def test_the_live_space_and_impossible_names_are_refused(space: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        beside(settings_from({"space": "live"}), Plan(space))


def test_the_new_space_has_the_settings_of_the_live_one_but_for_what_is_its_own() -> None:
    live = settings_from({"worker": {"batch_records": 70, "admin_port": 8080}, "sources": {"crm": {"topic": "raw", "adapter": "segment"}}})
    target = beside(live, Plan("other"))
    assert (target.space, target.worker.batch_records, target.worker.admin_port) == ("other", 70, None)
    assert (target.sources, target.entities, target.topic("events")) == (live.sources, live.entities, "nexus.events")
    assert beside(live, Plan("other", batch_records=9)).worker.batch_records == 9


def test_a_rate_counts_what_this_call_did() -> None:
    counts: Mapping[str, int] = {"entities": 1}
    assert Summary("other", 1_000, 400, 0, 2.0, 1.0, counts).events_per_second == 200.0
