"""One run: every measurement in turn, on one ground, in one order.

Plain copying comes first and last, because machines that are shared change their pace. Neighbours: `nexus bench` asks
for a run and shows its report.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from streams.bench.ground import Ground, Say, dropped, ground
from streams.bench.latency import latency
from streams.bench.machine import this_machine
from streams.bench.plain_copy import copy
from streams.bench.report import COPY, Growth, Latency, Rate, Report, growth_of
from streams.bench.sightings import CHAIN, REPEATED, grow
from streams.bench.stages import adapt, end_to_end, publish, resolve, resolve_and_publish, shift
from streams.bench.stream import product_records, segment_records
from streams.settings import Settings
from streams.times import format_time

LATENCY_SHARE = 0.1
"""Latency is measured at this part of the rate that one worker reaches."""

ALL = ("adapt", "resolve", "publish")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured: source records, events of the stories of growth, and probes of latency."""

    records: int = 60_000
    sightings: int = 100_000
    probes: int = 300


FULL = Sizes()
QUICK = Sizes(records=6_000, sightings=10_000, probes=50)


async def hold(settings: Settings, directory: Path, sizes: Sizes, what: str, say: Say, wall: Callable[[], float] = time.time) -> Report:
    """Measure everything once. `directory` is for the stack and the workers' logs; `what` names the run. Raises NexusError.

    Addresses that the settings name are used as they are, in topics and spaces of the run's own.
    """
    began, begin = format_time(round(wall() * 1000)), time.monotonic()
    async with ground(settings, directory, say) as made:
        machine = await this_machine(made.kafka_name, made.redis)
        run = _Run(made, sizes, say)
        await run.all()
    return Report(what, began, time.monotonic() - begin, machine, asdict(sizes), tuple(run.rates), tuple(run.growth), run.latency)


class _Run:
    """The measurements in their order, and what they gave so far."""

    def __init__(self, made: Ground, sizes: Sizes, say: Say) -> None:
        self.rates: list[Rate] = []
        self.growth: list[Growth] = []
        self.latency: Latency | None = None
        self._ground = made
        self._sizes = sizes
        self._say = say

    async def all(self) -> None:
        """Measure."""
        self._say(f"writing {self._sizes.records:,} source records, twice")
        await self._ground.fill("product", product_records(self._sizes.records))
        await self._ground.fill("segment", segment_records(self._sizes.records))
        self._add(await copy(self._ground, COPY))
        await self._adapt()
        await self._stages()
        await self._end_to_end()
        self._add(await copy(self._ground, f"{COPY} again"))
        await self._sightings()

    def _add(self, rate: Rate) -> None:
        self.rates.append(rate)
        self._say(f"{rate.name}: {rate.per_second:,.0f} {rate.unit} a second")

    async def _adapt(self) -> None:
        """Adapt both sources; what comes of the products is the log that the next measurements read."""
        self._add(await adapt(self._ground, await self._ground.site("adapt", ["adapt"]), "adapt, `mapping`"))
        segment = await self._ground.site("segment", ["adapt"], "segment", fresh_log=True)
        self._add(await adapt(self._ground, segment, "adapt, `segment`"))

    async def _stages(self) -> None:
        alone = await self._ground.site("alone", ["resolve"])
        self._add(await resolve(self._ground, alone))
        self.growth.append(growth_of("resolve", "wall time", self.rates[-1].count, self.rates[-1].tenths))
        self._add(await publish(self._ground, alone.model_copy(update={"worker": alone.worker.model_copy(update={"stages": ["publish"]})})))
        await dropped(alone)
        both = await self._ground.site("both", ["resolve", "publish"])
        self._add(await resolve_and_publish(self._ground, both))
        await dropped(both)

    async def _end_to_end(self) -> None:
        """Measure two workers first: the latency's records, which come after one worker's, are not theirs to do."""
        two = await self._ground.site("two", ALL, fresh_log=True)
        async with shift(self._ground, two, workers=2) as at_work:
            pair = await end_to_end(at_work, "end to end, 2 workers")
        await dropped(two)
        one = await self._ground.site("one", ALL, fresh_log=True)
        async with shift(self._ground, one) as at_work:
            self._add(await end_to_end(at_work, "end to end, 1 worker"))
            single = self.rates[-1]
            self.growth.append(growth_of("end to end, 1 worker", "wall time", single.count, single.tenths))
            self._add(pair)
            self._say(f"sending {self._sizes.probes} probes")
            self.latency = await latency(at_work, self._sizes.probes, single.per_second * LATENCY_SHARE, self._sizes.records)
        await dropped(one)

    async def _sightings(self) -> None:
        for story, word in ((REPEATED, "repeated"), (CHAIN, "chain")):
            space = f"{self._ground.settings.space}-{word}"
            self._say(f"{story.name}: {self._sizes.sightings:,} events")
            self.growth.append(await grow(self._ground.settings.redis.url, space, story, self._sizes.sightings))
