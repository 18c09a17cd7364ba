"""Traces on a real Kafka and a real Redis: the context of a raw record in the headers of what came of it, and the spans of real workers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka.structs import ConsumerRecord
from redis.asyncio import Redis

from streams.crew import Worker
from streams.drain import measuring
from streams.graph import open_graph
from streams.preflight import make_missing_topics
from streams.sender import Outgoing, send_all
from streams.settings import Settings, settings_from
from streams.stack import Addresses
from streams.topics import delete_topics
from streams.tracing.context import Headers, context_of
from streams.verifying import verified
from tests.collector import Collector, Taken, collecting
from tests.integration.test_stages import PATIENCE_SECONDS, read_topic, sender

pytestmark = [pytest.mark.stack, pytest.mark.timeout(480)]

OUTPUTS = ("entities", "identifiers", "memberships", "timeline")
ANN, BEN, CAT, DAN = (f"{number:032x}" for number in (0xA11, 0xBE1, 0xCA7, 0xDA1))
SPAN = "00f067aa0ba902b7"


def sampled(trace: str) -> Headers:
    return (("traceparent", f"00-{trace}-{SPAN}-01".encode()), ("tracestate", b"vendor=told"))


def contact(name: str, number: int, **more: str) -> bytes:
    person = {"email": f"{name}@quill.example", "name": f"{name.title()} Archer", "website": f"{name}.example"}
    return json.dumps({"id": f"c{number}", "at": 1_700_000_000 + number, **person, **more}).encode()


class Traced:
    """A space of its own with workers that may export spans, and what came out."""

    def __init__(self, settings: Settings, directory: Path) -> None:
        self.settings = settings
        self.directory = directory
        self.workers: list[Worker] = []

    async def worker(self, tracing: Mapping[str, Any], *stages: str, endpoint: str = "") -> Worker:
        changed = settings_from({**self.settings.model_dump(exclude_none=True), "tracing": dict(tracing)})
        changed = changed.model_copy(update={"worker": changed.worker.model_copy(update={"stages": list(stages)})})
        # Nothing is exported while they run, so that what is seen is also what a stopping worker still exports.
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "3600000"}
        started = await Worker.start(changed, self.directory, f"worker-{len(self.workers)}", environment)
        self.workers.append(started)
        await started.ready()
        return started

    async def write(self, records: Sequence[tuple[bytes, Headers]]) -> None:
        topic = self.settings.sources["crm"].topic
        async with sender(self.settings) as writing:
            await send_all(writing, [Outgoing(topic, b"k", value, headers) for value, headers in records])

    async def drained(self) -> None:
        """Wait until everything has come out."""
        async with open_graph(self.settings) as graph, measuring(self.settings, graph) as drain:
            behind = await drain.wait(PATIENCE_SECONDS)
        assert behind.nothing, behind

    async def finished(self) -> None:
        """Wait until everything has come out, and stop the workers."""
        await self.drained()
        await self.stop()

    async def stop(self) -> None:
        for worker in self.workers:
            assert await worker.stop() == 0, worker.lines()[-5:]
        self.workers.clear()

    async def read(self, word: str) -> list[ConsumerRecord]:
        return await read_topic(self.settings, self.settings.topic(word))


@pytest.fixture
async def traced(stack: Addresses, tmp_path: Path) -> AsyncIterator[Traced]:
    own = f"traced{uuid4().hex[:8]}"
    participants: list[dict[str, Any]] = [
        {"entity": "person", "role": "contact", "identifiers": {"email": "[email, other]"}, "traits": {"name": "name"}},
        {"entity": "group", "identifiers": {"domain": "website"}},
    ]
    source = {
        "topic": f"{own}.raw",
        "adapter": "mapping",
        "event": {"id": "id", "name": "'seen'", "occurred_at": "at"},
        "participants": participants,
        "memberships": [{"member": 0, "group": 1}],
    }
    settings = settings_from(
        {
            "space": own,
            "partitions": 3,
            "topics": {"prefix": f"{own}."},
            "kafka": {"bootstrap_servers": stack.bootstrap_servers},
            "redis": {"url": stack.redis_url, "buckets": 16},
            "worker": {"session_timeout_ms": 3000},
            "sources": {"crm": source},
        }
    )
    await make_missing_topics(settings)
    made = Traced(settings, tmp_path)
    try:
        yield made
    finally:
        for worker in made.workers:
            await worker.kill()
        await delete_topics(settings)
        async with open_graph(settings, check=False) as graph:
            await graph.drop()


def of(records: Sequence[ConsumerRecord], *words: str) -> list[ConsumerRecord]:
    """Give the records that name one of some words in key or value."""
    return [one for one in records if any(word in f"{one.key!r} {one.value!r}" for word in words)]


def chain(collector: Collector, trace: str) -> tuple[Taken, Taken, list[Taken]]:
    """Give the spans of a trace by stage."""
    (adapt,), (resolve,) = collector.named("adapt", trace), collector.named("resolve", trace)
    return adapt, resolve, collector.named("publish", trace)


async def test_a_context_goes_from_the_raw_record_to_the_entity_over_two_processes(traced: Traced) -> None:
    with collecting() as collector:
        on = {"enabled": True, "ratio": 0}
        await traced.worker(on, "adapt", "resolve", endpoint=collector.endpoint)
        await traced.worker(on, "publish", endpoint=collector.endpoint)
        unsampled: Headers = (("traceparent", f"00-{BEN}-{SPAN}-00".encode()),)
        malformed: Headers = (("traceparent", f"00-{CAT}-{SPAN}".encode()), ("tracestate", b"vendor=told"))
        await traced.write(
            [(contact("ann", 1), sampled(ANN)), (contact("ben", 2), unsampled), (contact("cat", 3), malformed), (contact("dan", 4), ())]
        )
        await traced.finished()
    adapt, resolve, publish = chain(collector, ANN)
    assert (adapt.parent_id, resolve.parent_id, {one.parent_id for one in publish}) == (SPAN, adapt.span_id, {resolve.span_id})
    assert {one.trace_id for one in collector.spans} == {ANN}
    assert {one.service for one in collector.spans} == {"nexus-streams"}

    (event,) = of(await traced.read("events"), "ann@quill.example")
    assert tuple(event.headers) == (("traceparent", f"00-{ANN}-{adapt.span_id}-01".encode()), ("tracestate", b"vendor=told"))
    participants = of(await traced.read("participants"), '"c1"')
    assert len(participants) == 2
    resolved = f"00-{ANN}-{resolve.span_id}-01".encode()
    assert {tuple(one.headers) for one in participants} == {(("traceparent", resolved), ("tracestate", b"vendor=told"))}
    told = {one.span_id for one in publish}
    ids = [json.loads(one.value)["entity_id"] for one in participants]
    for word in OUTPUTS:
        records = of(await traced.read(word), "ann", *ids)
        assert records, word
        for record in records:
            context = context_of(record.headers)
            assert context is not None, (word, record.value)
            assert (context.trace_id, context.span_id in told, context.sampled) == (ANN, True, True)

    (unsampled_event,) = of(await traced.read("events"), "ben@quill.example")
    assert tuple(unsampled_event.headers) == unsampled
    assert {tuple(one.headers) for one in of(await traced.read("participants"), '"c2"')} == {unsampled}
    for word in ("events", "participants"):
        assert {tuple(one.headers) for one in of(await traced.read(word), '"c3"', '"c4"')} == {()}
    others = [json.loads(one.value)["entity_id"] for one in await traced.read("participants") if b'"c1"' not in one.value]
    for word in OUTPUTS:
        assert {tuple(one.headers) for one in of(await traced.read(word), *others)} == {()}, word


async def test_spans_name_events_and_entities_and_nothing_personal(traced: Traced) -> None:
    with collecting() as collector:
        await traced.worker({"enabled": True, "ratio": 1}, "adapt", "resolve", "publish", endpoint=collector.endpoint)
        await traced.write([(contact("ann", 1), sampled(ANN)), (contact("ben", 2), ()), (b"no json: eve@quill.example", sampled(DAN))])
        await traced.finished()
    adapt, resolve, publish = chain(collector, ANN)
    assert adapt.attributes["nexus.event_ids"] == resolve.attributes["nexus.event_ids"] == ["c1"]
    assert (adapt.attributes["nexus.source"], adapt.attributes["messaging.destination.name"]) == (
        "crm",
        traced.settings.sources["crm"].topic,
    )
    ids = {json.loads(one.value)["entity_id"] for one in of(await traced.read("participants"), '"c1"')}
    assert set(resolve.attributes["nexus.entity_ids"]) == ids
    assert {name for one in publish for name in one.attributes.get("nexus.entity_ids", [])} == ids
    (rejected,) = collector.named("adapt", DAN)
    assert (rejected.failed, rejected.attributes["error.type"]) == (True, "malformed")
    begun = [one for one in collector.spans if one.name == "adapt" and not one.parent_id]
    assert [one.attributes["nexus.event_ids"] for one in begun] == [["c2"]]
    text = "\n".join(one.text for one in collector.spans)
    assert [word for word in ("quill", "Archer", "Ann", "ben.example", "eve@", "vendor=told", "person:") if word in text] == []


async def test_a_merge_is_told_in_the_trace_of_the_event_that_brought_it(traced: Traced) -> None:
    with collecting() as collector:
        await traced.worker({"enabled": True, "ratio": 0}, "adapt", "resolve", "publish", endpoint=collector.endpoint)
        await traced.write([(contact("ann", 1), ()), (contact("ben", 2), ())])
        await traced.drained()
        await traced.write([(contact("ann", 3, other="ben@quill.example"), sampled(ANN))])
        await traced.drained()
        report = await verified(traced.settings)
        await traced.stop()
    assert report.ok, report.examples(3)
    told = [(context_of(record.headers) is not None, json.loads(record.value)) for record in await traced.read("entities")]
    assert {one["status"] for in_trace, one in told if not in_trace} == {"active"}
    assert sorted(one["status"] for in_trace, one in told if in_trace and one["entity_type"] == "person") == ["active", "merged"]
    lines = {one["kind"]: record for record in await traced.read("timeline") if (one := json.loads(record.value))["event_id"] == "c3"}
    assert "entity.merged" in lines
    contexts = [context_of(record.headers) for record in lines.values()]
    assert {one.trace_id for one in contexts if one is not None} == {ANN}
    assert None not in contexts


async def test_without_spans_a_context_is_carried_to_participants_and_no_further(traced: Traced) -> None:
    await traced.worker({"enabled": False}, "adapt", "resolve", "publish")
    await traced.write([(contact("ann", 1), sampled(ANN))])
    await traced.finished()
    for word in ("events", "participants"):
        assert {tuple(one.headers) for one in await traced.read(word)} == {sampled(ANN)}, word
    for word in OUTPUTS:
        assert {tuple(one.headers) for one in await traced.read(word)} == {()}, word
    async with Redis.from_url(traced.settings.redis.url) as redis:
        assert [key async for key in redis.scan_iter(match=f"nexus:{{{traced.settings.space}}}:trace:*")] == []


async def test_a_collector_that_is_away_holds_nothing_up(traced: Traced) -> None:
    with collecting() as collector:
        endpoint = collector.endpoint
    await traced.worker({"enabled": True, "ratio": 1}, "adapt", "resolve", "publish", endpoint=endpoint)
    await traced.write([(contact("ann", number), ()) for number in range(50)])
    await traced.finished()
    (entity,) = [json.loads(one.value) for one in (await traced.read("identifiers")) if b"ann@" in one.value][-1:]
    assert entity["status"] == "active"
