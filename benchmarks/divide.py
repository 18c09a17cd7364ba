"""What dividing a large entity costs: the longest call of each script while one is divided and told anew.

Run with `python benchmarks/divide.py --redis URL [--chain 20000] [--links 50000] [--by block|forbid]`, several of each if wanted. A chain
is so many identifiers of one type, which has no size, each linked with the next; a block of its middle, or a forbidden pair of its ends,
divides it. Links are those of one entity of few identifiers, each seen with each other, of which one is blocked. Printed are, for each
script and kind of step, how many calls there were, and the processor's time that Redis's thread spent on the longest, on the one that 9 in
10 are shorter than, and on all, in ms: Linux counts it, so that Redis must run here, and what else the machine does does not matter.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import defaultdict
from itertools import combinations, islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis

from resolvers.correction import Correction, CorrectionBatch, Kind
from resolvers.evidence import evidence_of
from resolvers.port import Round
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.scripts import Reply
from resolvers.sighting import Batch, Evidence, Position
from streams.events import Event, Identifier, Participant
from streams.settings import EntitySettings, IdentifierSettings

AT_ONCE, SHARDS, SWEPT, TAKEN = 100, 6, 1_000, 100
RULES = Rules.from_settings({"person": EntitySettings(identifiers={"login": IdentifierSettings()})}, b"a key")


def sighting(number: int, *logins: int) -> Evidence:
    """Make the evidence of one event."""
    at = f"2024-05-{number // 86400 % 28 + 1:02}T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.000Z"
    person = Participant("person", "", [Identifier("login", f"l{one}") for one in logins], {"seen": number % 7, f"t{number % 5}": number})
    return evidence_of(RULES, Event(f"e{number}", "bench", "seen", at, participants=[person]))


def chain(count: int) -> list[Evidence]:
    """Link so many identifiers, each with the next."""
    return [sighting(at, at, at + 1) for at in range(count - 1)]


def mesh(links: int) -> list[Evidence]:
    """Make so many links of as few identifiers as have them."""
    count = next(n for n in range(2, links + 2) if n * (n - 1) // 2 >= links)
    return [sighting(at, *pair) for at, pair in enumerate(islice(combinations(range(count), 2), links))]


def correction(kind: Kind, *logins: int) -> Correction:
    """Say something of identifiers."""
    named = [RULES.usable("person", "login", f"l{one}") for one in logins]
    usable = sorted((one for one in named if one is not None), key=lambda one: one.digest)
    return Correction("c1", kind, True, tuple(usable), 1)  # noqa: FBT003 - it holds


class Timed(RedisResolver):
    """Adds up what calls cost."""

    spent: Path
    costs: dict[str, list[float]]

    async def _call(self, command: str, *arguments: bytes | str | int) -> tuple[Reply, list[Any]]:
        before = self._spent()
        found = await super()._call(command, *arguments)
        name = f"{command} {arguments[0]!s}" if command in {"settle", "evidence"} else command
        self.costs[name].append((self._spent() - before) / 1e6)
        return found

    def _spent(self) -> int:
        return int(self.spent.read_text().split()[0])


async def told(graph: RedisResolver) -> None:
    """Go on until nothing is left to settle, to sweep and to tell."""
    while True:
        waiting = await graph.settle()
        swept = await graph.sweep(SWEPT)
        rounds = [await graph.take(shard, TAKEN, 0) for shard in range(SHARDS)]
        for one in rounds:
            if isinstance(one, Round):
                await graph.keep(one, b"told")
                await graph.finish(one)
        if not waiting and not swept and not any(rounds):
            return


def figures(costs: list[float]) -> dict[str, float]:
    """Give how many there are, the largest, a large one, and the sum."""
    found = {"longest": max(costs), "90 %": sorted(costs)[len(costs) * 9 // 10], "all": sum(costs)}
    return {"calls": len(costs), **{name: round(value, 2) for name, value in found.items()}}


async def run(url: str, evidence: list[Evidence], said: Correction) -> dict[str, Any]:
    """Apply, tell, divide, tell; gives what dividing took."""
    redis: Redis = Redis.from_url(url)
    graph = Timed(url, RULES, f"divide-{uuid4().hex[:8]}", SHARDS)
    graph.costs = defaultdict(list)
    graph.spent = Path(f"/proc/{(await redis.info('server'))['process_id']}/schedstat")
    await graph.open()
    try:
        for at in range(0, len(evidence), AT_ONCE):
            some = tuple(evidence[at : at + AT_ONCE])
            await graph.apply(Batch("events", 0, at, Position(at + len(some), 1), some))
        await told(graph)
        graph.costs.clear()
        began = time.perf_counter()
        await graph.correct(CorrectionBatch("commands", 0, 0, Position(1, 1), (said,)))
        await told(graph)
        seconds = round(time.perf_counter() - began, 2)
        return {
            "seconds": seconds,
            "calls": {name: figures(each) for name, each in sorted(graph.costs.items(), key=lambda one: -max(one[1]))},
        }
    finally:
        await graph.drop()
        await graph.close()
        await redis.aclose()


def main() -> None:
    """Print the figures as JSON, one object for each entity."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--redis", required=True, help="a Redis or Valkey on this machine that nobody else uses")
    parser.add_argument("--chain", type=int, action="append", default=[], help="identifiers")
    parser.add_argument("--links", type=int, action="append", default=[], help="links")
    parser.add_argument("--by", choices=["block", "forbid"], default="block")
    chosen = parser.parse_args()
    for count in chosen.chain:
        said = correction(Kind.BLOCK, count // 2) if chosen.by == "block" else correction(Kind.FORBID, 0, count - 1)
        print(json.dumps({"identifiers": count, "by": chosen.by, **asyncio.run(run(chosen.redis, chain(count), said))}), flush=True)
    for count in chosen.links:
        print(json.dumps({"links": count, **asyncio.run(run(chosen.redis, mesh(count), correction(Kind.BLOCK, 1)))}), flush=True)


if __name__ == "__main__":
    main()
