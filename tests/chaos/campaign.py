"""A campaign: rounds in worlds, one after the other, told as they end.

Invariant: after a violation the next round is held in another world, and what shows what went wrong is kept.
Neighbours: `schedule` says which rounds, `rounds` holds one, the command line asks for a campaign.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis

from streams.bench.machine import this_machine
from streams.dump import dump
from streams.stack.jars import kafka_version
from streams.times import format_time
from tests.chaos import rounds
from tests.chaos.report import Report, Round, code_of, line
from tests.chaos.schedule import MOST_SEED, WORLD_ROUNDS, Plan
from tests.chaos.servers import Servers, servers
from tests.chaos.world import World, world

Say = Callable[[str], None]

TRIES = 4
"""How often a round whose fault hits nothing is held again."""

SHOWN = 12
"""Violations of one round that are said; all are kept."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a campaign is to be. `repeat` holds every round in a world of its own, after a calm one."""

    seed: int
    plans: Sequence[Plan]
    directory: Path
    repeat: bool = False
    stop_on_violation: bool = False


class Campaign:
    """Holds rounds. What was held so far is in `report`, also when the campaign is broken off."""

    def __init__(self, terms: Terms, report: Report, running: Servers, say: Say) -> None:
        self.report = report
        self._terms = terms
        self._servers = running
        self._say = say
        self._waiting = deque(terms.plans)
        self._worlds = 0
        self._begin = time.monotonic()

    async def hold(self) -> None:
        """Hold every round."""
        while self._waiting and not self.report.stopped:
            self._worlds += 1
            name = f"world-{self._worlds}"
            seed = self._waiting[0].seed if self._terms.repeat else random.Random(f"{self._terms.seed}/{self._worlds}").randrange(MOST_SEED)
            async with world(self._servers, self._terms.directory / name, name, seed) as made:
                await self._in(made)
                self.report.seconds = round(time.monotonic() - self._begin, 1)

    async def _in(self, made: World) -> None:
        """Hold the rounds of one world."""
        for _ in range(1 if self._terms.repeat else WORLD_ROUNDS):
            if not self._waiting:
                return
            plan = self._waiting.popleft()
            if self._terms.repeat or (plan.needs_copy and not made.copies):
                await made.calm(random.Random(plan.seed))
            held = await self._counting(made, plan)
            self.report.rounds.append(held)
            self._say(line(held, len(self._terms.plans)))
            if held.violations:
                await self._kept(made, held)
                return

    async def _counting(self, made: World, plan: Plan) -> Round:
        """Hold a round until its faults hit while records were in flight."""
        for _ in range(TRIES):
            held = await rounds.hold(made, plan, len(self.report.rounds) + 1, self._worlds)
            if held.counts or held.violations:
                return held
            self.report.missed += 1
            plan = plan.again()
        raise RuntimeError(f"{plan}: no records were in flight in {TRIES} tries: is anything flowing? the logs are in {made.directory}")

    async def _kept(self, made: World, held: Round) -> None:
        """Say what is wrong, and keep what shows it."""
        for violation in held.violations[:SHOWN]:
            self._say(f"       {violation}")
        if len(held.violations) > SHOWN:
            self._say(f"       and {len(held.violations) - SHOWN} more")
        kept = await _evidence(made, held)
        self._say(f"       workers' logs, findings, records and topics are in {kept}")
        self._say(f"       again: python -m tests.chaos --repeat {Plan(held.seed, held.kinds)}")
        if self._terms.stop_on_violation:
            self.report.stopped = f"violation in round {held.number}"


async def campaign(terms: Terms, say: Say, keep: Callable[[Report], None]) -> Report:
    """Hold a campaign on servers of its own; `keep` is given the report at the end, also of one that is broken off."""
    async with servers(terms.directory / "servers") as running:
        async with Redis.from_url(running.direct.redis_url) as redis:
            machine = await this_machine(f"Apache Kafka {kafka_version()}", redis)
        report = Report(terms.seed, format_time(round(time.time() * 1000)), machine, code=code_of(Path(__file__).parent))
        try:
            await Campaign(terms, report, running, say).hold()
        except BaseException as error:
            report.stopped = repr(error)
            raise
        finally:
            keep(report)
    return report


async def _evidence(made: World, held: Round) -> Path:
    """Write down what was sent, what came out and what the judge found, beside the workers' logs."""
    await made.copy_redis()
    words = [f"{Plan(held.seed, held.kinds)}", *(hit for hits in held.hits for hit in hits), *held.ends, *held.violations]
    (made.directory / "findings.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    sent = (json.dumps(value.decode("utf-8", "surrogateescape")) for value in made.feed.sent)
    (made.directory / "sent.ndjson").write_text("\n".join(sent) + "\n", encoding="utf-8")
    try:
        async with asyncio.timeout(60):
            await dump(made.settings, made.directory / "topics")
    except Exception as error:  # noqa: BLE001 - the dump is a help; what is there is kept without it
        (made.directory / "findings.txt").open("a").write(f"the topics could not be written down: {error!r}\n")
    return made.directory
