"""Rebuilding: the whole log replayed into a space beside the live one, by workers of its own.

The events and commands are applied first, by workers that only resolve; then everything is told at once, by workers
that only publish. So every output key is told as it ends, not as it changed on the way, and the end does not depend
on how busy the log is. How far it came lies in Redis: whoever begins again goes on from there.
Invariant: nothing of the live space is touched, and the logs are only read.
Neighbours: `nexus rebuild` shows what happens here; `crew` runs the workers; `discard` takes a space away before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import msgspec
from aiokafka.structs import TopicPartition

from resolvers.errors import NexusError, SettingsError, StoreLost, StoreMismatch
from resolvers.port import Backlog, Ends, Reread, Resolver
from streams.crew import Worker, crew
from streams.dump import whole_topic
from streams.goal import Logs, events_in, events_of, goal_after, reached, reading
from streams.graph import graph_of
from streams.patience import patiently
from streams.preflight import prepare
from streams.settings import Settings, settings_from
from streams.settings.sections import Stage
from streams.tempo import Look, Phase, Tempo

COUNTED = ("entities", "identifiers", "memberships")

POLL_SECONDS = 0.2
STALLED_SECONDS = 60.0
"""When nothing moves for this long beyond what workers wait for Kafka and Redis, something is stuck."""

HOLD_SECONDS = 30.0
"""A hold ends when the first worker of the telling phase looks at it; a recovery that is under way for longer is another's."""

_ENDED = frozenset({"merged", "split", "erased"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rebuild is asked for. Without `batch_records` the settings' own holds."""

    space: str
    workers: int = 1
    batch_records: int | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of a rebuild. `seconds` are those of this call; `begun_at` is how many events were there before it.

    `came` counts events that came meanwhile and are not applied. `counts` is of the keys that live, by topic.
    """

    space: str
    events: int
    begun_at: int
    came: int
    applying_seconds: float
    telling_seconds: float
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Give the seconds of both phases."""
        return self.applying_seconds + self.telling_seconds

    @property
    def events_per_second(self) -> float:
        """Give events per second, from the first that was read to the last output key told."""
        return (self.events - self.begun_at) / max(self.seconds, 1e-9)


class Watcher(Protocol):
    """Whoever follows a rebuild."""

    def say(self, line: str) -> None:
        """Take a line for people."""

    def show(self, look: Look) -> None:
        """Take a look; there are several a second, and a last one when a phase is over."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What of a phase is done, of all that there is to do; `over` when its workers are to stop."""

    done: int
    total: int
    over: bool


def beside(settings: Settings, plan: Plan) -> Settings:
    """Give the settings of the new space. Raises SettingsError where it is the live one or has no name that a space can have."""
    if plan.space == settings.space:
        raise SettingsError(f"--into {plan.space}: that is the live space of these settings; a rebuild needs another one beside it")
    settings_from({"space": plan.space}, "--into")
    changed: dict[str, object] = {"admin_port": None}  # it is the live worker's on this host
    if plan.batch_records is not None:
        changed["batch_records"] = plan.batch_records
    return settings.model_copy(update={"space": plan.space, "worker": settings.worker.model_copy(update=changed)})


async def rebuild(settings: Settings, plan: Plan, directory: Path, watcher: Watcher) -> Summary:
    """Replay everything that is in the logs now into the plan's space, and tell it. `directory` is for the workers' logs.

    Cancelled, it stops its workers and leaves a space that the next call goes on with. Raises NexusError when a worker
    ends by itself or nothing moves any more.
    """
    target = beside(settings, plan)

    def workers_of(stage: Stage) -> AbstractAsyncContextManager[Sequence[Worker]]:
        own = target.model_copy(update={"worker": target.worker.model_copy(update={"stages": [stage]})})
        return crew(own, directory / stage, plan.workers, tied=True)

    async with _opened(target) as resolver, reading(target, resolver) as logs:
        done = await Rebuilding(target, resolver, logs, workers_of, watcher).complete()
    return replace(done, counts={word: await living(target, word) for word in COUNTED})


@asynccontextmanager
async def _opened(target: Settings) -> AsyncIterator[Resolver]:
    """Make what is missing of the space, and open it."""
    resolver = graph_of(target)
    try:
        try:
            await prepare(target, resolver)
        except StoreMismatch as error:
            raise StoreMismatch(f"{error}; or throw away what is there with --fresh") from error
        yield resolver
    finally:
        await resolver.close()


class Rebuilding:
    """One call's way from what a space holds to what the logs hold."""

    def __init__(
        self,
        target: Settings,
        resolver: Resolver,
        logs: Logs,
        workers_of: Callable[[Stage], AbstractAsyncContextManager[Sequence[Worker]]],
        watcher: Watcher,
    ) -> None:
        """`target` is the new space's settings; `workers_of` runs workers with one stage of it, stopped at the end of the block."""
        self._target = target
        self._resolver = resolver
        self._logs = logs
        self._workers_of = workers_of
        self._watcher = watcher
        self._goal: Ends = {}
        self._begun_at = 0
        self._most_keys = 0
        self._seconds = dict.fromkeys(Phase, 0.0)
        self._phase_began = 0.0  # when its workers were ready
        self._hold_seconds = HOLD_SECONDS
        self._patience_seconds = STALLED_SECONDS + max(target.kafka.connect_seconds, target.redis.connect_seconds)

    async def complete(self) -> Summary:
        """Apply and tell until both are done. Where Redis forgets on the way, what it lost is applied again."""
        self._goal = await self._logs.ends()
        begun_at = self._begun_at = events_of(await self._logs.applied(), self._goal)
        if not await self._done():
            self._watcher.say(_beginning(self._target, begun_at, events_in(self._goal)))
        while not await self._done():
            if await self._applied():
                self._most_keys = 0
                await self._work(Phase.TELLING, "publish", self._telling)
            else:
                await self._hold()
                await self._work(Phase.APPLYING, "resolve", self._applying)
        applied = await self._logs.applied()
        came = max(0, events_in(await self._logs.ends()) - events_in(applied))
        spent = self._seconds
        return Summary(self._target.space, events_in(applied), begun_at, came, spent[Phase.APPLYING], spent[Phase.TELLING])

    async def _work(self, phase: Phase, stage: Stage, measure: Callable[[], Awaitable[Measure]]) -> None:
        """Run workers with one stage until a measure says that the phase is over."""
        begin, tempo = time.monotonic(), Tempo()
        try:
            async with self._workers_of(stage) as workers:
                self._phase_began = time.monotonic()
                while True:
                    for worker in workers:
                        worker.check()
                    now = await measure()
                    self._watcher.show(tempo.look(phase, now.done, now.total))
                    if now.over:
                        return
                    if tempo.still_seconds > self._patience_seconds:
                        raise NexusError(f"nothing has moved for {tempo.still_seconds:.0f} s: {now.done:,} of {now.total:,} {phase.value}")
                    await asyncio.sleep(POLL_SECONDS)
        finally:
            self._seconds[phase] += time.monotonic() - begin

    async def _applying(self) -> Measure:
        """Count events, but for those to be applied once more. It is over when the goal is reached and does not move on."""
        applied = await self._logs.applied()
        over = await self._applied()
        if over:
            former, self._goal = self._goal, goal_after(self._goal, await self._logs.ends(), events_in(self._goal) - self._begun_at)
            over, self._begun_at = self._goal is former, events_in(former)
        again = sum(one.end - one.start for one in await self._rereads())
        return Measure(max(0, events_of(applied, self._goal) - again), events_in(self._goal), over)

    async def _telling(self) -> Measure:
        """Count output keys. It is over when there are no more, and when Redis has gone back and must apply again."""
        backlog = await self._backlog()
        if backlog is None:
            return Measure(0, self._most_keys, over=True)
        left = backlog.dirty + backlog.in_flight
        self._most_keys = max(self._most_keys, left)
        if backlog.recovering and time.monotonic() - self._phase_began > self._hold_seconds:
            # no hold of our own lasts so long: Redis lost what was told, and waits for the logs as they are now; applying goes on to there
            self._goal = await self._logs.ends()
        over = backlog.empty or not await self._applied()
        return Measure(self._most_keys - left, self._most_keys, over)

    async def _applied(self) -> bool:
        """Say whether the goal is reached, and nothing is to be applied once more for an erasure."""
        backlog = await self._backlog()
        return reached(self._goal, await self._logs.applied()) and not (backlog and backlog.rereads)

    async def _done(self) -> bool:
        backlog = await self._backlog()
        return backlog is not None and backlog.empty and reached(self._goal, await self._logs.applied())

    async def _backlog(self) -> Backlog | None:
        """Count what is not told; None when Redis was just found to have lost the space, which is there anew by then."""
        try:
            return await patiently(self._resolver.backlog, "counting the outbox", self._target.redis.connect_seconds)
        except StoreLost:
            return None

    async def _rereads(self) -> tuple[Reread, ...]:
        with suppress(StoreLost):
            return await patiently(self._resolver.rereads, "asking what to read again", self._target.redis.connect_seconds)
        return ()

    async def _hold(self) -> None:
        """Have publishing wait, so that workers that others run on this space do not tell what changes again at once."""
        with suppress(StoreLost):
            await patiently(lambda: self._resolver.hold(self._goal), "holding the outbox", self._target.redis.connect_seconds)


def _beginning(target: Settings, begun_at: int, events: int) -> str:
    if begun_at:
        return f"resuming space {target.space} at {begun_at:,} of {events:,} events"
    return f"replaying {events:,} events of {target.topic('events')} into space {target.space}"


class _Status(msgspec.Struct):
    status: str = "active"


_status = msgspec.json.Decoder(_Status).decode


async def living(settings: Settings, word: str) -> int:
    """Count the keys of a compacted topic that are there and did not end. Holds the keys of one partition at a time."""
    topic = settings.topic(word)
    places = [TopicPartition(topic, partition) for partition in range(settings.partitions)]
    count, partition, alive = 0, 0, set[bytes]()
    async for record in whole_topic(settings, places):
        if record.partition != partition:
            count, partition, alive = count + len(alive), record.partition, set()
        if record.value is None or _status(record.value).status in _ENDED:
            alive.discard(record.key)
        else:
            alive.add(record.key)
    return count + len(alive)
