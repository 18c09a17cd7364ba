"""How long it takes until everything is right again after Redis was emptied, beside the live rate of the same run.

Run with `python benchmarks/recovery.py [--records N] [--workers N]`. It starts a Kafka and a Redis of its own. Four
fifths of the records go through the pipeline, paced to stay a little ahead of it: the live rate. Then the others are written
without a pause, and in the middle of them Redis is emptied. The recovery lasts from there until nothing is behind:
everything is applied again, and told; its rate is all events over that time. Last, `nexus verify`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from aiokafka import AIOKafkaProducer
from redis.asyncio import Redis

from streams import kafka
from streams.bench.stream import SETTINGS, product_records
from streams.crew import Worker, crew
from streams.drain import Behind, Drain, measuring
from streams.graph import open_graph
from streams.publishing import Pace, at_will, publish_records
from streams.run import isolated
from streams.sender import Sender
from streams.settings import Settings, settings_from
from streams.stack import LocalStack
from streams.stack.ports import free_ports
from streams.topics import ensure_topics
from streams.verify import verify

LEAD = 10_000
STALLED_SECONDS = 120.0
SOURCE = "product"


async def measure(settings: Settings, directory: Path, records: int, workers: int) -> dict[str, object]:
    """Hold the whole story; gives the figures."""
    await ensure_topics(settings)
    redis: Redis = Redis.from_url(settings.redis.url)
    async with open_graph(settings) as resolver, measuring(settings, resolver) as drain, crew(settings, directory, workers) as running:
        before = records * 4 // 5
        begin = time.monotonic()
        await publish(settings, product_records(before), partial(ahead, drain))
        await drained(drain, running)
        live = time.monotonic() - begin
        print(f"live: {before:,} records in {live:.1f} s, {before / live:,.0f}/s", flush=True)
        rest = asyncio.create_task(publish(settings, product_records(records - before, before), at_will))
        await asyncio.sleep(1.0)
        await redis.flushall()
        emptied = time.monotonic()
        await rest
        await asyncio.sleep(3.0)
        phases: dict[str, float] = {}

        def note(behind: Behind) -> None:
            now = round(time.monotonic() - emptied, 1)
            if not behind.events:
                phases.setdefault("applied_after_seconds", now)
            if not behind.events and not behind.backlog.recovering:
                phases.setdefault("read_after_seconds", now)

        behind = await drain.wait(STALLED_SECONDS, note)
        assert behind.nothing, str(behind)
        recovery = time.monotonic() - emptied
        print(f"recovery: {records:,} records in {recovery:.1f} s, {records / recovery:,.0f}/s", flush=True)
        report = await verify(settings)
        print("\n".join(report.lines(10)), flush=True)
    await redis.aclose()
    return {
        "records": records,
        "workers": workers,
        "live_seconds": round(live, 1),
        "live_per_second": round(before / live),
        **phases,
        "recovery_seconds": round(recovery, 1),
        "recovery_per_second": round(records / recovery),
        "ratio": round(records / recovery / (before / live), 2),
        "verified": report.ok,
    }


async def ahead(drain: Drain) -> None:
    """Wait until at most so many records are on the way; asked seldom, since asking takes time of its own."""
    while (behind := await drain.behind()).raw + behind.events > LEAD:  # noqa: ASYNC110 - another process moves it
        await asyncio.sleep(0.5)


async def publish(settings: Settings, records: Iterator[bytes], pace: Pace) -> None:
    """Write records to the raw topic."""

    async def make() -> AIOKafkaProducer:
        return await kafka.started(kafka.producer(settings, what="bench"), settings.kafka, "bench")

    sender = Sender(make, settings.kafka.bootstrap_servers, settings.kafka.connect_seconds)
    await sender.start()
    try:
        await publish_records(sender, settings.sources[SOURCE].topic, records, lambda _, __: None, pace)
    finally:
        await sender.stop()


async def drained(drain: Drain, workers: list[Worker]) -> None:
    """Wait until nothing is behind."""

    def check(_: Behind) -> None:
        for worker in workers:
            worker.check()

    behind = await drain.wait(STALLED_SECONDS, check)
    assert behind.nothing, str(behind)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=500_000)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nexus-recovery-") as directory:
        kafka_port, redis_port = free_ports(2)
        stack = {"directory": f"{directory}/stack", "kafka_port": kafka_port, "redis_port": redis_port}
        settings = settings_from({**SETTINGS, "stack": stack})
        local = LocalStack.from_settings(settings)
        addresses = local.up(print)
        try:
            where = {"kafka": {"bootstrap_servers": addresses.bootstrap_servers}, "redis": {"url": addresses.redis_url}}
            settings = isolated(settings_from({**SETTINGS, "sources": {SOURCE: SETTINGS["sources"][SOURCE]}, **where}), "recovery")
            found = asyncio.run(measure(settings, Path(directory), options.records, options.workers))
        finally:
            local.down(print)
    print(json.dumps({**found, "cores": os.cpu_count()}))


if __name__ == "__main__":
    main()
