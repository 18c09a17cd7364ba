"""What a chain of five derived states costs: the same events resolved and told without it, and with it.

Run with `python -m benchmarks.states --redis URL [--events 1000000]`. People pass through a subscription's life; one in
three events carries a state. Events are applied in batches and told in rounds, by one process, below Kafka; both runs take turns in
portions, so that a noisy machine hits both. Printed are CPU seconds of the process and of Redis, and the ratios.
"""

from __future__ import annotations

import random
import time
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis

from benchmarks.figures import print_figures
from resolvers.evidence import evidence_of
from resolvers.port import Round
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.sighting import Batch, Evidence, Position
from streams.events import Event, Identifier, Participant
from streams.publish import encode_round
from streams.settings import EntitySettings, IdentifierSettings, StateSettings

AT_ONCE, PORTION, SHARDS = 100, 5_000, 6
VALUES = ["trial", "active", "past_due", "active", "churned"]
PLAIN: list[dict[str, Any]] = [{"name": "billing_subscription", "entity": "person", "values": sorted(set(VALUES))}]
CHAIN: list[dict[str, Any]] = [
    {"name": f"chain_{number}", "entity": "person", "derived": {"components": {"before": before}, "value": value}}
    for number, (before, value) in enumerate(
        [
            ("billing_subscription", "before == 'active' || before == 'past_due'"),
            ("chain_0", "before == 'true' && 'customer' || 'prospect'"),
            ("chain_1", "before == 'customer' && 'in' || 'out'"),
            ("chain_2", "before != 'out'"),
            ("chain_3", "before == 'true' && 'yes' || 'no'"),
        ]
    )
]


def rules_of(states: list[dict[str, Any]]) -> Rules:
    """Make the rules of people with these states."""
    person = EntitySettings(identifiers={"user_id": IdentifierSettings(), "email": IdentifierSettings(), "device": IdentifierSettings()})
    return Rules.from_settings({"person": person}, b"a key", [StateSettings.model_validate(one) for one in states])


def event(chance: random.Random, number: int) -> Event:
    """Make an event of one of many people, each of whom has twenty or so."""
    who = chance.randrange(max(1, number // 20 + 1))
    named = [Identifier("user_id", f"u{who}"), Identifier(chance.choice(["email", "device"]), f"{who}-{chance.randrange(2)}")]
    states = {"billing_subscription": chance.choice(VALUES)} if number % 3 == 0 else {}
    at = f"2024-{1 + number // 28 % 12:02}-{1 + number % 28:02}T{number % 24:02}:00:00.000Z"
    return Event(f"e{number}", "bench", "seen", at, participants=[Participant("person", "", named, {"n": number % 9}, states)])


class Runner:
    """One run: a space under rules of its own."""

    def __init__(self, url: str, rules: Rules) -> None:
        self.rules = rules
        self.graph = RedisResolver(url, rules, f"states-{uuid4().hex[:8]}", SHARDS)
        self.redis: Redis = Redis.from_url(url)
        self.spent = 0.0
        self.redis_spent = 0.0
        self._offset = 0

    async def run(self, events: list[Event]) -> None:
        """Apply and tell a portion."""
        before, redis_before = time.process_time(), await self._redis_seconds()
        for at in range(0, len(events), AT_ONCE):
            await self._apply([evidence_of(self.rules, one) for one in events[at : at + AT_ONCE]])
            for shard in range(SHARDS):
                while isinstance(taken := await self.graph.take(shard, 1_000, 0), Round):
                    await self.graph.keep(taken, encode_round(taken, 0))
                    await self.graph.finish(taken)
        self.spent += time.process_time() - before
        self.redis_spent += await self._redis_seconds() - redis_before

    async def _apply(self, evidence: list[Evidence]) -> None:
        end = Position(self._offset + len(evidence), 1)
        await self.graph.apply(Batch("events", 0, self._offset, end, tuple(evidence)))
        self._offset = end.offset
        await self.graph.settle()
        await self.graph.sweep(1_000)

    async def _redis_seconds(self) -> float:
        found = await self.redis.info("cpu")
        return float(found["used_cpu_user"]) + float(found["used_cpu_sys"])


async def run(url: str, events: int) -> dict[str, Any]:
    """Hold both runs; gives the figures."""
    runners = [Runner(url, rules_of(PLAIN)), Runner(url, rules_of([*PLAIN, *CHAIN]))]
    chance = random.Random(1)
    for one in runners:
        await one.graph.open()
    for at in range(0, events, PORTION):
        portion = [event(chance, number) for number in range(at, min(events, at + PORTION))]
        for one in runners:
            await one.run(portion)
    without, chain = runners
    for one in runners:
        await one.graph.drop()
        await one.graph.close()
        await one.redis.aclose()
    whole = [one.spent + one.redis_spent for one in runners]
    return {
        "events": events,
        "process_s": [without.spent, chain.spent],
        "redis_s": [without.redis_spent, chain.redis_spent],
        "process_ratio": chain.spent / without.spent,
        "ratio": whole[1] / whole[0],
    }


if __name__ == "__main__":
    print_figures(__doc__, run, "events", 1_000_000)
