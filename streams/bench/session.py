"""One run: every measurement in turn, on one ground, in one order.

Plain copying comes before and after every other measurement, because machines that are shared change their pace.
Neighbours: `nexus bench` asks for a run and shows its report.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

from streams.bench.goals import goals_of
from streams.bench.ground import Ground, Own, Say, dropped, ground, with_stages
from streams.bench.latency import EVERY, latency
from streams.bench.machine import this_machine
from streams.bench.plain_copy import copy, copy_by_librdkafka, send_by_send
from streams.bench.report import Growth, Latency, Rate, Report
from streams.bench.sightings import CHAIN, REPEATED, grow
from streams.bench.stages import Measured, Shift, adapt, end_to_end, publish, resolve, resolve_and_publish, shift
from streams.bench.stream import product_records, segment_records
from streams.rebuild import Plan, rebuild
from streams.records_file import read_records
from streams.settings import Settings
from streams.tempo import Look
from streams.times import format_time

SHARES = (0.1, 0.5, 0.9)
"""Latency is measured at these parts of the rate that one worker reaches."""

ALL = ("adapt", "resolve", "publish")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured: source records, events of the stories of growth, and probes of latency."""

    records: int = 60_000
    sightings: int = 100_000
    probes: int = 1_000


FULL = Sizes()
QUICK = Sizes(records=6_000, sightings=10_000, probes=50)


async def hold(
    settings: Settings, directory: Path, sizes: Sizes, what: str, say: Say, own: Own | None = None, *, wall: Callable[[], float] = time.time
) -> Report:
    """Measure everything once. `directory` is for the stack and the workers' logs; `what` names the run. Raises NexusError.

    Addresses that the settings name are used as they are, in topics and spaces of the run's own. Of `own` records, at most as many
    as the sizes say, the stages and the whole are measured, under the settings' entities and sources.
    """
    began, begin = format_time(round(wall() * 1000)), time.monotonic()
    async with ground(settings, directory, say, own) as made:
        machine = await this_machine(made.kafka_name, made.redis)
        run = _Run(made, sizes, say, own)
        await run.all()
        sizes = run.sizes
    latency, goals = tuple(run.latency), () if own else goals_of(run.rates, run.latency)
    return Report(what, began, time.monotonic() - begin, machine, asdict(sizes), tuple(run.rates), tuple(run.growth), latency, goals)


class _Silent:
    """Follows a rebuild without a word."""

    def say(self, line: str) -> None:
        """Take a line."""

    def show(self, look: Look) -> None:
        """Take a look."""


class _Run:
    """The measurements in their order, and what they gave so far."""

    def __init__(self, made: Ground, sizes: Sizes, say: Say, own: Own | None) -> None:
        self.sizes = sizes
        self.rates: list[Rate] = []
        self.growth: list[Growth] = []
        self.latency: list[Latency] = []
        self._ground = made
        self._own = own
        self._say = say
        self._copies: list[Rate] = []

    async def all(self) -> None:
        """Measure."""
        await self._fill()
        self._said(await copy(self._ground, "plain aiokafka, send by send", send_by_send))
        if (other := await copy_by_librdkafka(self._ground, "plain confluent-kafka")) is not None:
            self._said(other)
        await self._copy()
        await self._adapt()
        await self._stages()
        await self._end_to_end()
        self.rates.insert(0, together(self._copies))
        if not self._own:
            await self._sightings()

    async def _fill(self) -> None:
        """Write the source records; of the benchmark's own twice, for two adapters."""
        if self._own:
            self._say(f"writing the records of {self._own.file}")
            count = await self._ground.fill(self._own.source, islice(read_records(self._own.file), self.sizes.records))
            self.sizes = Sizes(count, 0, 0)
            return
        self._say(f"writing {self.sizes.records:,} source records, twice")
        await self._ground.fill("product", product_records(self.sizes.records))
        await self._ground.fill("segment", segment_records(self.sizes.records))

    async def _copy(self) -> float:
        """Copy plainly, and give the rate."""
        self._copies.append(await copy(self._ground, "plain aiokafka, in batches"))
        return self._copies[-1].per_second

    async def _add(self, measured: Measured) -> None:
        """Keep a rate, beside that of plain copying right before and right after."""
        around = (self._copies[-1].per_second + await self._copy()) / 2
        self._said(replace(measured.rate, copied_per_second=around))

    def _said(self, rate: Rate) -> None:
        self.rates.append(rate)
        self._say(f"{rate.name}: {rate.per_second:,.0f} {rate.unit} a second")

    async def _adapt(self) -> None:
        """Adapt both sources; what comes of the products, or of the user's own records, is the log that the next measurements read."""
        site = await self._ground.site("adapt", ["adapt"])
        await self._add(await adapt(self._ground, site, f"adapt, `{site.sources[self._ground.source].adapter}`"))
        if self._own:
            return
        segment = await self._ground.site("segment", ["adapt"], "segment", fresh_log=True)
        await self._add(await adapt(self._ground, segment, "adapt, `segment`"))

    async def _stages(self) -> None:
        alone = await self._ground.site("alone", ["resolve"])
        resolved = await resolve(self._ground, alone)
        self.growth += resolved.growth
        await self._add(resolved)
        await self._add(await publish(self._ground, with_stages(alone, ["publish"])))
        await dropped(alone)
        both = await self._ground.site("both", ["resolve", "publish"])
        await self._add(await resolve_and_publish(self._ground, both))
        await dropped(both)

    async def _end_to_end(self) -> None:
        """Measure two workers first: the records of the latency come after one worker's, and are not theirs to do."""
        two = await self._ground.site("two", ALL, fresh_log=True)
        async with shift(self._ground, two, workers=2) as at_work:
            pair = await end_to_end(at_work, "end to end, 2 workers")
        await self._add(pair)
        await dropped(two)
        one = await self._ground.site("one", ALL, fresh_log=True)
        async with shift(self._ground, one) as at_work:
            single = await end_to_end(at_work, "end to end, 1 worker")
            self.growth += single.growth
            await self._add(single)
            if not self._own:
                await self._latency(at_work, single.rate.per_second)
        await self._rebuild(one)
        await dropped(one)

    async def _latency(self, at_work: Shift, rate: float) -> None:
        first = self.sizes.records
        for share in SHARES:
            self._say(f"sending {self.sizes.probes} probes, at {share:g} of that rate")
            self.latency.append(await latency(at_work, self.sizes.probes, rate, share, first))
            first += self.sizes.probes * EVERY

    async def _rebuild(self, live: Settings) -> None:
        plan = Plan(f"{live.space}-again")
        target = live.model_copy(update={"space": plan.space})
        self._ground.sites.append(target)
        done = await rebuild(live, plan, self._ground.directory / plan.space, _Silent())
        await self._add(Measured(Rate("rebuild", "events", done.events, done.seconds), ()))
        await dropped(target)

    async def _sightings(self) -> None:
        for story, word in ((REPEATED, "repeated"), (CHAIN, "chain")):
            space = f"{self._ground.settings.space}-{word}"
            self._say(f"{story.name}: {self.sizes.sightings:,} events")
            self.growth += await grow(self._ground.settings.redis.url, space, story, self.sizes.sightings)


def together(copies: Sequence[Rate]) -> Rate:
    """Give the copy whose rate is in the middle, named with the range of all."""
    ordered = sorted(copies, key=lambda one: one.per_second)
    rates = [one.per_second for one in ordered]
    name = f"{ordered[0].name}, {len(copies)} times: {rates[0]:,.0f} to {rates[-1]:,.0f}"
    return replace(ordered[len(ordered) // 2], name=name)
