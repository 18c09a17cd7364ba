"""What a hub costs everybody else: one identifier shared by very many arrives in a stream, is settled, and is demoted.

Run with `python -m benchmarks.hub --redis URL [--owners 100000] [--kept]`. Owners arrive in batches at full rate, mixed with as many
sightings of ordinary people, while other tasks settle, sweep and take rounds as a worker does. By default the hub rule demotes the
hub when it has six owners; with --kept no rule does, so that all of its owners hang together in one case, until a block at the end
takes the hub away. Printed are the rates, alone and beside the hub, and Redis's own times of its calls: percentiles, and the longest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis

from resolvers.correction import Correction, CorrectionBatch, Kind
from resolvers.evidence import evidence_of
from resolvers.port import Round
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.sighting import Batch, Evidence, Position
from streams.events import Event, Identifier, Participant
from streams.portions import EVENTS
from streams.publish import encode_round
from streams.settings import EntitySettings, HubSettings, IdentifierSettings

SHARDS, KEYS = 6, 1_000
KEPT = 10**9


def rules_of(*, kept: bool) -> Rules:
    """Make rules under which a device with more than five owners is a hub, or never."""
    hub = HubSettings(of="user_id", over=KEPT) if kept else None
    identifiers = {"user_id": IdentifierSettings(), "device": IdentifierSettings(hub=hub)}
    return Rules.from_settings({"person": EntitySettings(identifiers=identifiers)}, b"a key")


def sighting(rules: Rules, number: int, *identifiers: tuple[str, str]) -> Evidence:
    """Make the evidence of one event."""
    at = f"2024-05-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.000Z"
    person = Participant("person", "", [Identifier(*one) for one in identifiers], {"seen": number % 7})
    return evidence_of(rules, Event(f"e{number}", "bench", "seen", at, participants=[person]))


def ordinary(rules: Rules, number: int) -> Evidence:
    """Make a sighting of one of many people with a few devices each."""
    who = number // 4
    return sighting(rules, number, ("user_id", f"p{who}"), ("device", f"d{who}-{number % 3}"))


class Ground:
    """One space, and the stream into it."""

    def __init__(self, url: str, rules: Rules) -> None:
        self.rules = rules
        self.redis: Redis = Redis.from_url(url)
        self.graph = RedisResolver(url, rules, f"hub-{uuid4().hex[:8]}")
        self._offset = 0
        self._done = asyncio.Event()

    async def feed(self, evidence: list[Evidence]) -> float:
        """Apply evidence batch by batch; gives events a second."""
        began = time.perf_counter()
        for at in range(0, len(evidence), EVENTS):
            some = tuple(evidence[at : at + EVENTS])
            end = Position(self._offset + len(some), 1)
            await self.graph.apply(Batch("events", 0, self._offset, end, some))
            self._offset = end.offset
        return len(evidence) / (time.perf_counter() - began)

    async def beside(self) -> None:
        """Settle and sweep, as a worker does beside the stream."""
        while not self._done.is_set():
            waiting = await self.graph.settle()
            await self.graph.sweep(1_000)
            await asyncio.sleep(0.005 if waiting else 0.05)

    async def tell(self) -> None:
        """Take, keep and finish rounds of all shards, beside the stream."""
        while not self._done.is_set():
            told = False
            for shard in range(SHARDS):
                if isinstance(taken := await self.graph.take(shard, KEYS, 0), Round):
                    await self.graph.keep(taken, encode_round(taken, 0))
                    await self.graph.finish(taken)
                    told = True
            await asyncio.sleep(0 if told else 0.05)

    def close(self) -> None:
        """End what goes on beside the stream."""
        self._done.set()

    async def rest(self) -> float:
        """Wait until nothing is left to settle or sweep; gives the seconds."""
        began = time.perf_counter()
        while (left := await self.graph.backlog()).cases or left.sweeps:  # noqa: ASYNC110 - of Redis there is no event
            await asyncio.sleep(0.05)
        return time.perf_counter() - began

    async def forget_times(self) -> None:
        """Begin to measure Redis's calls anew."""
        await self.redis.config_set("slowlog-log-slower-than", 5_000)
        await self.redis.config_set("slowlog-max-len", 1_000)
        await self.redis.slowlog_reset()
        await self.redis.config_resetstat()

    async def times(self) -> dict[str, Any]:
        """Give Redis's own times of its script calls, in ms."""
        stats: dict[str, Any] = await self.redis.info("latencystats")
        found = next((value for name, value in stats.items() if name.startswith("latency_percentiles_usec_evalsha")), {})
        slow = [one["duration"] / 1000 for one in await self.redis.slowlog_get(1_000)]
        return {
            **{name: value / 1000 for name, value in found.items()},
            "longest": max(slow, default=0),
            "over_10_ms": sum(one > 10 for one in slow),
        }


async def run(url: str, owners: int, *, kept: bool) -> dict[str, Any]:
    """Hold the whole course; gives the figures."""
    ground = Ground(url, rules_of(kept=kept))
    await ground.graph.open()
    beside = [asyncio.create_task(one) for one in (ground.beside(), ground.tell())]
    try:
        people = [ordinary(ground.rules, number) for number in range(3 * owners)]
        alone = await ground.feed(people[:owners])
        shared = [sighting(ground.rules, number, ("user_id", f"owner{number}"), ("device", "kiosk")) for number in range(owners)]
        mixed = [one for pair in zip(people[owners : 2 * owners], shared, strict=True) for one in pair]
        await ground.forget_times()
        with_hub = await ground.feed(mixed)
        rested = await ground.rest()
        figures = {"alone_per_s": alone, "with_hub_per_s": with_hub, "ratio": with_hub / alone, "rest_s": rested}
        figures["calls"] = await ground.times()
        if kept:
            await ground.forget_times()
            usable = ground.rules.usable("person", "device", "kiosk")
            assert usable is not None
            block = Correction("c1", Kind.BLOCK, True, (usable,), 1)  # noqa: FBT003 - it holds
            await ground.graph.correct(CorrectionBatch("commands", 0, 0, Position(1, 1), (block,)))
            demoting = await ground.feed(people[2 * owners :])
            figures |= {"demoting_per_s": demoting, "demoting_ratio": demoting / alone, "demoted_after_s": await ground.rest()}
            figures["demoting_calls"] = await ground.times()
        return figures
    finally:
        ground.close()
        await asyncio.gather(*beside)
        await ground.graph.drop()
        await ground.graph.close()
        await ground.redis.aclose()


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--redis", required=True, help="an otherwise idle Redis or Valkey; its statistics are reset")
    parser.add_argument("--owners", type=int, default=100_000)
    parser.add_argument("--kept", action="store_true", help="no rule demotes the hub; a block does, at the end")
    chosen = parser.parse_args()
    print(json.dumps(asyncio.run(run(chosen.redis, chosen.owners, kept=chosen.kept)), indent=1))


if __name__ == "__main__":
    main()
