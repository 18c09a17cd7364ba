"""What dividing a large entity costs: the longest call of each script while one is divided and told anew.

Run with `python benchmarks/divide.py --redis URL [--chain 20000] [--links 50000] [--by block|forbid]`, several of each if wanted. A chain
is so many identifiers of one type, which has no size, each linked with the next; a block of its middle, or a forbidden pair of its ends,
divides it. Links are those of one entity of few identifiers, each seen with each other, of which one is blocked. Printed are, for each
script and kind of step, how many calls there were, Redis's own time of the longest, of the one that 9 in 10 are shorter than, and of all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import defaultdict
from hashlib import sha1
from itertools import combinations, islice
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis

from resolvers.correction import Correction, CorrectionBatch, Kind
from resolvers.evidence import evidence_of
from resolvers.port import Round
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.scripts import Bounds, source_of
from resolvers.sighting import Batch, Evidence, Position
from streams.events import Event, Identifier, Participant
from streams.settings import EntitySettings, IdentifierSettings

AT_ONCE, SHARDS, SWEPT, TAKEN = 100, 6, 1_000, 100
SCRIPTS = ("begin_settling", "evidence", "settle", "walk", "sweep", "correct", "take", "keep", "finish")
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


async def measured(redis: Redis) -> dict[str, Any]:
    """Give Redis's own times of the calls since the last reset, in ms, of those that took 0.1 ms or more."""
    names = {sha1(source_of(name, Bounds()).encode(), usedforsecurity=False).hexdigest(): name for name in SCRIPTS}
    times: dict[str, list[float]] = defaultdict(list)
    for one in await redis.slowlog_get(1_000_000):
        words = one["command"].split(b" ", 5)
        name = names.get(words[1].decode(), "")
        if name:
            times[f"{name} {words[4].decode(errors='replace')}" if name in {"settle", "evidence"} else name].append(one["duration"] / 1000)
    return {
        name: {"calls": len(each), "longest": max(each), "90 %": sorted(each)[len(each) * 9 // 10], "all": round(sum(each), 1)}
        for name, each in sorted(times.items(), key=lambda item: -max(item[1]))
    }


async def run(url: str, evidence: list[Evidence], said: Correction) -> dict[str, Any]:
    """Apply, tell, divide, tell; gives what dividing took."""
    redis: Redis = Redis.from_url(url)
    graph = RedisResolver(url, RULES, f"divide-{uuid4().hex[:8]}", SHARDS)
    await graph.open()
    try:
        for at in range(0, len(evidence), AT_ONCE):
            some = tuple(evidence[at : at + AT_ONCE])
            await graph.apply(Batch("events", 0, at, Position(at + len(some), 1), some))
        await told(graph)
        await redis.config_set("slowlog-log-slower-than", 100)
        await redis.config_set("slowlog-max-len", 1_000_000)
        await redis.slowlog_reset()
        began = time.perf_counter()
        await graph.correct(CorrectionBatch("commands", 0, 0, Position(1, 1), (said,)))
        await told(graph)
        return {"seconds": round(time.perf_counter() - began, 2), "calls": await measured(redis)}
    finally:
        await graph.drop()
        await graph.close()
        await redis.aclose()


def main() -> None:
    """Print the figures as JSON, one object for each entity."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--redis", required=True, help="an otherwise idle Redis or Valkey; its slow log is reset")
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
