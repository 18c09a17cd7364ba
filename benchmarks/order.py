"""What the order of arrival costs: the same events oldest first and newest first, where each older event founds its entity anew.

Run with `python -m benchmarks.order --redis URL [--events 20000] [--identifiers 12 | --hub]`. Persons are seen on one link after the other,
each of which shows one identifier more of them. Everything is applied, swept, settled and told, into two spaces in turn. Printed are
Redis's own CPU seconds of each, and their ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis

from benchmarks.hub import rules_of, sighting
from resolvers.evidence import evidence_of
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.sighting import Batch, Evidence, Position
from streams.events import Event, Identifier, Participant
from tests.telling import Topics, drain

AT_ONCE = 50
TOLD_EVERY = 20
"""Batches between two rounds, as in a pipeline that keeps up."""

SHARDS = 6


def history(rules: Rules, count: int, identifiers: int) -> list[Evidence]:
    """Make events, oldest first: persons of so many identifiers, a dozen persons at a time, each event one link further along a chain."""
    found = []
    for number in range(count):
        who, step = number // (12 * identifiers) * 12 + number % 12, number % (12 * identifiers) // 12
        at = (datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=number)).isoformat()
        named = [Identifier("device", f"d{who}-{one}") for one in (step, step + 1)]
        person = Participant("person", "", named, {"step": step})
        found.append(evidence_of(rules, Event(f"e{number}", "bench", "seen", at, participants=[person])))
    return found


async def cost(url: str, rules: Rules, evidence: Sequence[Evidence]) -> float:
    """Let events come to a space of their own; gives the CPU seconds that Redis spent."""
    redis: Any = Redis.from_url(url)
    graph = RedisResolver(url, rules, f"order-{uuid4().hex[:8]}", SHARDS)
    await graph.open()
    try:
        before, topics = await _cpu(redis), Topics()
        for at in range(0, len(evidence), AT_ONCE):
            some = tuple(evidence[at : at + AT_ONCE])
            await graph.apply(Batch("events", 0, at, Position(at + len(some)), some))
            if at // AT_ONCE % TOLD_EVERY == 0:
                await drain(graph, topics, SHARDS, 500)
        await drain(graph, topics, SHARDS, 500)
        return await _cpu(redis) - before
    finally:
        await graph.drop()
        await graph.close()
        await redis.aclose()


async def _cpu(redis: Any) -> float:  # noqa: ANN401 - redis-py's
    told = await redis.info("cpu")
    return float(told["used_cpu_user"] + told["used_cpu_sys"])


def shared(rules: Rules, count: int) -> list[Evidence]:
    """Make events, oldest first, each of another owner of one device."""
    return [sighting(rules, number, ("user_id", f"owner{number}"), ("device", "kiosk")) for number in range(count)]


async def main(url: str, events: int, identifiers: int, *, hub: bool) -> None:
    """Measure both orders, twice, in turn."""
    rules = rules_of(kept=False)
    evidence = shared(rules, events) if hub else history(rules, events, identifiers)
    oldest, newest = 0.0, 0.0
    for _ in range(2):
        oldest += await cost(url, rules, evidence)
        newest += await cost(url, rules, evidence[::-1])
    print(
        json.dumps({"oldest_first_s": round(oldest, 3), "newest_first_s": round(newest, 3), "ratio": round(newest / oldest, 2)}, indent=1)
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--redis", required=True, metavar="URL")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--identifiers", type=int, default=12)
    parser.add_argument("--hub", action="store_true", help="one device that all share, instead of persons")
    asked = parser.parse_args()
    asyncio.run(main(asked.redis, asked.events, asked.identifiers, hub=asked.hub))
