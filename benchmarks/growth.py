"""What an event costs below Kafka as the graph grows, all of it told, beside one MGET of the event's keys and the smallest layout.

Run with `python -m benchmarks.growth [--identifiers 1000000] [--shape persons|repeated|sessions|chains|hub] [--out DIRECTORY]`.
It starts two servers of its own: the resolver's, and one for the reference. Events are applied 100 a call, as by a worker; after
each 1,000 everything is settled, swept, taken, kept and finished, so that the outbox is empty. A mark's costs are those of the last events
before it (a fifth of all events, 10,000 at most): Redis's CPU from `INFO cpu`, by script from what Linux counts for its thread,
the worker's from this process's. Bytes are `used_memory` without that of the empty space. The smallest layout keeps digest ->
entity, and an entity's traits, in hashes that are listpacks; its buckets are made for all identifiers, so that its bytes mean
something at the last mark only. The append-only file is not rewritten meanwhile. What is known is written after each mark. What is
not measured is loaded faster: two events of `persons` as one that says the same of the person, and its outbox emptied without
telling. Of `repeated`, every second event is an older one again. Of `sessions`, one in twenty is one of `persons`; the others are of
known people who are seen 19 times within some minutes, ten of them at a time, as a product's events are.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec
from redis.asyncio import Redis

from benchmarks.plot import svg
from resolvers.evidence import evidence_of
from resolvers.instant import write_instant
from resolvers.port import Applied, Round
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from resolvers.sighting import Batch, Position
from streams.bench.machine import this_machine
from streams.bench.meters import redis_calls, redis_cpu_seconds
from streams.events import Event, Identifier, Participant
from streams.publish import encode_round
from streams.settings import EntitySettings, IdentifierSettings
from streams.stack.local import LocalStack

AT_ONCE, PORTION, WINDOW, SHARDS, KEYS = 100, 1_000, 10_000, 6, 1_000
FIELDS = 100
"""Identifiers in a bucket of the smallest layout."""

BIRTH_MS = 1_700_000_000_000
TYPES = ("user_id", "email", "device")
RULES = Rules.from_settings(
    {"person": EntitySettings(identifiers={name: IdentifierSettings() for name in TYPES}, size=10_000_000)}, b"benchmark"
)
PER_EVENT = {"persons": 1.5, "repeated": 0.75, "sessions": 0.075, "chains": 1.01, "hub": 1.0}
"""New identifiers that an event of a shape brings."""


def event(shape: str, number: int) -> Event:
    """Make event number so many of a shape."""
    if shape == "repeated":
        return event("persons", number // 4 if number % 2 else number // 2)
    if shape == "sessions":
        seen = event("persons", _of_sessions(number))
        return msgspec.structs.replace(seen, event_id=f"e{number}", occurred_at=write_instant(BIRTH_MS + number * 1_000))
    who, second = divmod(number, 2)
    named = {
        "persons": [("email", f"person{who}@mail.example"), ("device", f"d-{who:016x}") if second else ("user_id", f"user-{who}")],
        "chains": [("email", f"c{number // 100}-{number % 100 + one}@mail.example") for one in (0, 1)],
        "hub": [("user_id", f"user-{number}"), ("device", "kiosk")],
    }[shape]
    traits = {"name": f"Person Number {who}"} if second else {"plan": "business"}
    person = Participant("person", "", [Identifier(*one) for one in named], dict(traits))
    return Event(f"e{number}", "bench", "seen", write_instant(BIRTH_MS + number * 1_000), participants=[person])


def _of_sessions(number: int) -> int:
    """Choose whose event comes: ten of each 200 are of new people, the others of ten known ones in turn."""
    block, place = divmod(number, 200)
    if place < 10:
        return block * 10 + place
    return (block * 7_919 + place % 10 * 104_729) % (block * 5 + 5) * 2 + 1


class Reference:
    """The same identifiers as plain keys, for MGET, and in the smallest layout, each in a database of its own."""

    def __init__(self, url: str, identifiers: int) -> None:
        self.plain: Redis = Redis.from_url(f"{url.rsplit('/', 1)[0]}/0")
        self.small: Redis = Redis.from_url(f"{url.rsplit('/', 1)[0]}/1")
        self.bytes = 0
        self._buckets = max(1, identifiers // FIELDS)

    async def open(self) -> None:
        """Let hashes of a few hundred fields be listpacks."""
        await self.small.config_set("hash-max-listpack-entries", 512)

    async def add(self, events: Sequence[Event]) -> None:
        """Keep what a portion shows; an entity is the number in the names of its first identifier."""
        seen = [(digest, crc32(one.participants[0].identifiers[0].value.encode()), one) for one in events for digest in digests(one)]
        before = await memory(self.small)
        async with self.small.pipeline(transaction=False) as pipe:
            for digest, entity, one in seen:
                pipe.hset(f"i{int.from_bytes(digest[:4]) % self._buckets}", digest[:14], entity)
                for name, value in one.participants[0].traits.items():
                    pipe.hset(f"t{entity % self._buckets}", f"{entity}{name[0]}", value)
            await pipe.execute()
        self.bytes += await memory(self.small) - before
        await self.plain.mset({digest: entity for digest, entity, _ in seen})

    async def mget_us(self, events: Sequence[Event]) -> float:
        """Give Redis's CPU µs per event of an MGET of each event's keys, as many in a pipeline as a call applies."""
        keys = [digests(one) for one in events]
        before = await redis_cpu_seconds(self.plain)
        for at in range(0, len(keys), AT_ONCE):
            async with self.plain.pipeline(transaction=False) as pipe:
                for some in keys[at : at + AT_ONCE]:
                    pipe.mget(some)
                await pipe.execute()
        return (await redis_cpu_seconds(self.plain) - before) * 1e6 / len(keys)

    async def close(self) -> None:
        """Give the connections back."""
        await self.plain.aclose()
        await self.small.aclose()


class Subject:
    """The resolver, and what its calls have cost so far."""

    def __init__(self, url: str, identifiers: int) -> None:
        self.redis: Redis = Redis.from_url(url)
        self.graph = RedisResolver(url, RULES, "growth", SHARDS, buckets_for(identifiers), timing=self._count)
        self.scripts: Counter[str] = Counter()
        self.worker = 0.0
        self.empty = 0
        self._spent = Path("/proc/self/schedstat")
        self._last = 0
        self._offset = 0

    async def open(self) -> None:
        """Make the space, and remember what the empty one takes."""
        self._spent = Path(f"/proc/{(await self.redis.info('server'))['process_id']}/schedstat")
        await self.redis.config_set("auto-aof-rewrite-percentage", 0)
        await self.graph.open()
        self.empty = await memory(self.redis)

    def _count(self, script: str, _: float) -> None:
        now = int(self._spent.read_text().split()[0])
        self.scripts[script] += now - self._last
        self._last = now

    async def work(self, events: Sequence[Event]) -> None:
        """Apply and tell a portion, until nothing is left to tell, and count what it costs."""
        begun = time.process_time()
        self._last = int(self._spent.read_text().split()[0])
        await self.apply(events)
        await self.tell()
        self.worker += time.process_time() - begun

    async def apply(self, events: Sequence[Event]) -> None:
        """Apply a portion, preparing a call's evidence while Redis works at the one before."""
        applying: asyncio.Task[Applied] | None = None
        for at in range(0, len(events), AT_ONCE):
            some = tuple(evidence_of(RULES, one) for one in events[at : at + AT_ONCE])
            if applying:
                await applying
            batch = Batch("events", 0, self._offset, Position(self._offset + len(some), 1), some)
            self._offset += len(some)
            applying = asyncio.create_task(self.graph.apply(batch))
            await asyncio.sleep(0)
        if applying:
            await applying

    async def tell(self) -> None:
        """Tell until nothing is left."""
        while True:
            left = bool(await self.graph.settle()) + bool(await self.graph.sweep(KEYS))
            for shard in range(SHARDS):
                while isinstance(taken := await self.graph.take(shard, KEYS, 0), Round):
                    await self.graph.keep(taken, encode_round(taken, 0))
                    await self.graph.finish(taken)
                    left = True
            if not left:
                return

    async def take_for_told(self) -> None:
        """Empty the outbox of new people: all that telling them would leave behind is a number in each row."""
        await self.redis.unlink(*(f"nexus:{{growth}}:{kind}:{shard}" for kind in ("dirty", "queue") for shard in range(SHARDS)))

    async def read(self) -> tuple[float, int, float, Counter[str]]:
        """Give Redis's CPU seconds, its calls, the worker's CPU seconds and nanoseconds by script, so far."""
        return await redis_cpu_seconds(self.redis), await redis_calls(self.redis), self.worker, self.scripts.copy()

    async def close(self) -> None:
        """Give the connections back."""
        await self.graph.close()
        await self.redis.aclose()


def digests(one: Event) -> list[bytes]:
    """Give the digests of an event's identifiers."""
    usable = [RULES.usable("person", each.type, each.value) for each in one.participants[0].identifiers]
    return [each.digest for each in usable if each is not None]


async def memory(redis: Redis) -> int:
    """Give what Redis has allocated."""
    return int((await redis.info("memory"))["used_memory"])


def buckets_for(identifiers: int) -> int:
    """Give the buckets of a space that is to hold so many: at most 256 identifiers in each, and no fewer than by default."""
    return max(4_096, 1 << (identifiers // 256).bit_length())


def marks_of(identifiers: int) -> list[int]:
    """Give 1,000, 3,000, 10,000 and so on as far as they lie below, and the whole."""
    return [mark for power in range(3, 10) for mark in (10**power, 3 * 10**power) if mark < identifiers] + [identifiers]


async def load(subject: Subject, reference: Reference, shape: str, numbers: range, *, together: bool) -> None:
    """Let both have events, portion by portion; `together` and in a hurry where nothing is measured, else one after the other."""
    if together:
        for at in range(0, len(numbers), 2 * PORTION):
            portion = hurried(shape, numbers[at : at + 2 * PORTION])
            await asyncio.gather(subject.apply(portion), reference.add(portion))
            await (subject.tell() if shape != "persons" else subject.take_for_told())
        await subject.tell()
        return
    for at in range(0, len(numbers), PORTION):
        portion = [event(shape, number) for number in numbers[at : at + PORTION]]
        await subject.work(portion)
        await reference.add(portion)


def hurried(shape: str, numbers: range) -> list[Event]:
    """Make the events of a shape, both of a person in one where they can be."""
    events = [event(shape, number) for number in numbers]
    if shape != "persons":
        return events
    made: list[Event] = []
    for number, one in zip(numbers, events, strict=True):
        who = one.participants[0]
        if number % 2 and made and number > numbers[0]:
            former = made[-1].participants[0]
            both = Participant("person", "", [*former.identifiers, who.identifiers[1]], former.traits | who.traits)
            made[-1] = msgspec.structs.replace(made[-1], participants=[both])
        else:
            made.append(one)
    return made


async def grow(subject: Subject, reference: Reference, shape: str, identifiers: int) -> AsyncIterator[dict[str, Any]]:
    """Load, mark by mark; gives the figures of each mark."""
    at = 0
    for mark in marks_of(identifiers):
        end = max(at + 1, round(mark / PER_EVENT[shape]))
        begin = max(at, end - min(WINDOW, max(1, end // 5)))
        await load(subject, reference, shape, range(at, begin), together=True)
        before = await subject.read()
        await load(subject, reference, shape, range(begin, end), together=False)
        after, count, at = await subject.read(), end - begin, end
        held, nodes = await memory(subject.redis) - subject.empty, int(await subject.redis.hget("nexus:{growth}:meta", "nodes") or 1)
        mget = await reference.mget_us([event(shape, number) for number in range(begin, end)])
        cpu = (after[0] - before[0]) * 1e6 / count
        by_script = {name: round(spent / 1e3 / count, 2) for name, spent in (after[3] - before[3]).most_common()}
        yield {
            "mark": mark,
            "identifiers": nodes,
            "events": end,
            "measured_events": count,
            "redis_us": round(cpu, 1),
            "redis_us_by_script": by_script,
            "calls": round((after[1] - before[1]) / count, 1),
            "worker_us": round((after[2] - before[2]) * 1e6 / count, 1),
            "bytes_per_identifier": round(held / nodes, 1),
            "mget_us": round(mget, 2),
            "smallest_bytes_per_identifier": round(reference.bytes / nodes, 1),
            "redis_of_mget": round(cpu / mget, 1) if mget else None,
        }


HEAD = (
    f"{'identifiers':>12} {'redis µs':>9} {'calls':>6} {'worker µs':>9} {'B/id':>6} {'MGET µs':>8} {'least B':>7} {'of MGET':>7}  by script"
)


def line(row: dict[str, Any]) -> str:
    """Print a mark's figures under the head."""
    scripts = " ".join(f"{name} {spent}" for name, spent in row["redis_us_by_script"].items())
    return (
        f"{row['identifiers']:>12,} {row['redis_us']:>9} {row['calls']:>6} {row['worker_us']:>9} {row['bytes_per_identifier']:>6}"
        f" {row['mget_us']:>8} {row['smallest_bytes_per_identifier']:>7} {row['redis_of_mget']:>7}  {scripts}"
    )


async def measure(url: str, beside: str, shape: str, identifiers: int, out: Path) -> None:
    """Hold the whole run on two empty servers; what is known is kept after each mark."""
    subject, reference = Subject(url, identifiers), Reference(beside, identifiers)
    try:
        await subject.open()
        await reference.open()
        machine = asdict(await this_machine("none", subject.redis))
        print(HEAD, flush=True)
        rows: list[dict[str, Any]] = []
        async for row in grow(subject, reference, shape, identifiers):
            print(line(row), flush=True)
            rows.append(row)
            write(report_of(shape, identifiers, machine, rows), out)
    finally:
        await subject.close()
        await reference.close()


def report_of(shape: str, identifiers: int, machine: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Put a report together; its ratio is that of the last mark to 10,000, or to the first."""
    base, last = next((row for row in rows if row["mark"] == 10_000), rows[0]), rows[-1]
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "shape": shape,
        "asked_identifiers": identifiers,
        "buckets": buckets_for(identifiers),
        "machine": machine,
        "method": " ".join((__doc__ or "").split()),
        "ratios": {"from": base["mark"], "to": last["mark"], "redis": round(last["redis_us"] / base["redis_us"], 2)},
        "marks": rows,
    }


def write(report: dict[str, Any], out: Path) -> None:
    """Keep the report as JSON, and the plot beside it."""
    name = f"{report['at'][:10]}-growth-{report['shape']}"
    (out / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    rows = report["marks"]
    drawn = {"Redis": "redis_us", "worker": "worker_us", "one MGET": "mget_us"}
    lines = {said: [float(row[key]) for row in rows] for said, key in drawn.items()}
    plotted = svg("Cost of an event over identifiers in the graph", "CPU µs", [row["mark"] for row in rows], lines)
    (out / f"{name}.svg").write_text(plotted, encoding="utf-8")


def main() -> None:
    """Start the servers, measure, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--identifiers", type=int, default=1_000_000)
    parser.add_argument("--shape", choices=sorted(PER_EVENT), default="persons")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        servers = [LocalStack.on_free_ports(Path(directory) / name) for name in ("subject", "reference")]
        try:
            urls = [one.up_redis(print) for one in servers]
            asyncio.run(measure(urls[0], urls[1], chosen.shape, chosen.identifiers, chosen.out))
        finally:
            for one in servers:
                one.down(wipe=True)


if __name__ == "__main__":
    main()
