"""What resolving costs in Redis: microseconds per event as entities grow, per output key, and bytes per identifier.

Run with `python benchmarks/redis_cost.py`. It starts a Redis or Valkey of its own, because the figures are the server's:
its time in scripts (`INFO commandstats`, wall time inside the server) and its memory. Batches are applied one call at a
time; `client` is this process's CPU time for it, packing and unpacking included. After each story its dirty output keys
are taken, kept and finished, which gives the cost of a key. The ratio is that of the last tenth of events to the first.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from redis.asyncio import Redis

from resolvers.evidence import evidence_of
from resolvers.instant import write_instant
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.sighting import Batch, Evidence, Position
from streams.events import Event, Identifier, Participant
from streams.settings import EntitySettings, IdentifierSettings
from streams.stack.local import LocalStack

BIRTH_MS = 1_700_000_000_000
TYPES = ("user_id", "email", "device")
RULES = Rules.from_settings(
    {"person": EntitySettings(identifiers={name: IdentifierSettings() for name in TYPES}, size=1_000_000)}, b"benchmark"
)
Seen = dict[str, str]


@dataclass(frozen=True, slots=True)
class Story:
    """A named run of events: what event number i sees, with which traits, and when."""

    name: str
    events: int
    seen: Callable[[int], Seen]
    traits: Callable[[int], Seen] = lambda _: {}
    step_ms: int = 1_000

    def evidence(self) -> Iterator[Evidence]:
        for i in range(self.events):
            identifiers = [Identifier(name.split("#")[0], value) for name, value in self.seen(i).items()]
            participant = Participant("person", "", identifiers, dict(self.traits(i)))
            moment = write_instant(BIRTH_MS + i * self.step_ms)
            yield evidence_of(RULES, Event(f"e{i}", "bench", "seen", moment, participants=[participant]))


def _chain(i: int) -> Seen:
    return {"email#a": f"e{i}", "email#b": f"e{i + 1}"}


def _person(i: int) -> Seen:
    person, second = divmod(i, 2)
    return {"email": f"person{person}@mail.example", **({"device": f"d-{person:016x}"} if second else {"user_id": f"user-{person}"})}


def stories(scale: int) -> list[Story]:
    """Every story, `scale` events in the long ones."""
    same = {"user_id": "u", "email": "a@b.example", "device": "d", "device#2": "e"}
    return [
        Story("fresh: 3 new identifiers an event", scale, lambda i: {"user_id": f"u{i}", "email": f"u{i}@x.example", "device": f"d{i}"}),
        Story("same: 4 identifiers together, again", scale, lambda _: same),
        Story("same, one trait that changes", scale, lambda _: same, lambda i: {"step": str(i)}),
        Story("chain of 900, each later", 900, _chain),
        Story("chain, each later", scale, _chain),
        Story("chain of 900, each earlier", 900, _chain, step_ms=-1_000),
        Story("chain, each earlier", scale // 10, _chain, step_ms=-1_000),
        Story("star: one user_id, ever new devices", scale, lambda i: {"user_id": "u", "device": f"d{i}"}),
        Story(
            "persons: 3 identifiers, 2 links, 2 traits",
            2 * scale,
            _person,
            lambda i: {"name": f"Person Number {i // 2}"} if i % 2 else {"plan": "business"},
        ),
    ]


@dataclass(slots=True)
class Cost:
    """What some work took; all times in microseconds."""

    count: int = 0
    server: float = 0
    client: float = 0
    wall: float = 0
    slowest_call: float = 0

    def add(self, other: Cost) -> None:
        self.count += other.count
        self.server += other.server
        self.client += other.client
        self.wall += other.wall
        self.slowest_call = max(self.slowest_call, other.server)


class Bench:
    """One server, asked for its own counters around every piece of work."""

    def __init__(self, url: str, per_call: int) -> None:
        self._url = url
        self._per_call = per_call
        self._admin: Redis = Redis.from_url(url)

    async def tell(self, story: Story) -> None:
        """Run a story in an empty server and print its line."""
        await self._admin.flushall()
        empty = await self._memory()
        resolver = RedisResolver(self._url, RULES, "bench")
        await resolver.open()
        evidence, calls, offset = story.evidence(), [], 0
        while chunk := tuple(islice(evidence, self._per_call)):
            batch = Batch("events", 0, offset, Position(offset + len(chunk)), chunk)
            offset += len(chunk)
            calls.append(await self._cost(resolver.apply(batch), len(chunk)))
            while await resolver.sweep(1_000):
                pass
        before = await self._memory() - empty
        keys = await self._drain(resolver)
        nodes = int(await self._admin.hget("nexus:{bench}:meta", "nodes") or 0)
        after = await self._memory() - empty
        await resolver.close()
        print(_line(story, calls, keys), f"{before / nodes:>7.0f} {after / nodes:>7.0f}" if nodes > 900 else "", flush=True)

    async def _drain(self, resolver: RedisResolver) -> Cost:
        total = Cost()
        for shard in range(6):
            while True:
                cost = Cost()
                taken = await self._cost(self._round(resolver, shard, cost), 0)
                if not cost.count:
                    break
                taken.count = cost.count
                total.add(taken)
        return total

    async def _round(self, resolver: RedisResolver, shard: int, cost: Cost) -> None:
        round_ = await resolver.take(shard, 1_000, 0)
        if round_ is not None:
            cost.count = sum(record.topic != "timeline" for record in round_.records)
            await resolver.keep(round_, b"payload")
            await resolver.finish(round_)

    async def _cost(self, work: object, count: int) -> Cost:
        server, client, wall = await self._server(), time.process_time(), time.perf_counter()
        await work  # type: ignore[misc]
        client, wall = time.process_time() - client, time.perf_counter() - wall
        return Cost(count, await self._server() - server, client * 1e6, wall * 1e6)

    async def _server(self) -> float:
        stats = await self._admin.info("commandstats")
        return float(sum(stats.get(f"cmdstat_{name}", {}).get("usec", 0) for name in ("evalsha", "eval")))

    async def _memory(self) -> int:
        return int((await self._admin.info("memory"))["used_memory"])

    async def close(self) -> None:
        await self._admin.aclose()


def _line(story: Story, calls: list[Cost], keys: Cost) -> str:
    total, tenth = Cost(), max(1, len(calls) // 10)
    for call in calls:
        total.add(call)
    first, last = Cost(), Cost()
    for call in calls[:tenth]:
        first.add(call)
    for call in calls[-tenth:]:
        last.add(call)
    early, late = first.server / first.count, last.server / last.count
    return (
        f"{story.name:42} {total.count:>8} {total.server / total.count:>8.1f} {total.client / total.count:>8.1f} {early:>8.1f} {late:>8.1f}"
        f" {late / early:>6.2f} {total.slowest_call / 1e3:>9.1f} {keys.count:>8} {keys.server / max(1, keys.count):>8.1f}"
        f" {keys.slowest_call / 1e3:>8.1f}"
    )


HEAD = (
    f"{'story':42} {'events':>8} {'redis µs':>8} {'client':>8} {'first':>8} {'last':>8} {'ratio':>6}"
    f" {'worst ms':>9} {'keys':>8} {'µs a key':>8} {'worst ms':>8} {'B dirty':>7} {'B told':>7}\n"
    "(µs per event; first and last tenth are Redis µs per event; worst ms is the slowest call, then the slowest round;"
    " B is bytes per identifier)"
)


async def main(scale: int, per_call: int, only: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        local = LocalStack.on_free_ports(Path(directory) / "stack")
        try:
            bench = Bench(local.up_redis(print), per_call)
            print(f"{per_call} events a call\n{HEAD}")
            for story in stories(scale):
                if only in story.name:
                    await bench.tell(story)
            await bench.close()
        finally:
            local.down(wipe=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000, help="events of a long story")
    parser.add_argument("--per-call", type=int, default=200, help="events that one call applies")
    parser.add_argument("--only", default="", help="only stories whose name contains this")
    given = parser.parse_args()
    asyncio.run(main(given.events, given.per_call, given.only))
