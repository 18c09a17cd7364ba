"""What the stages make of contexts: spans, headers, and nothing else that is different."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import TopicPartition

from resolvers.errors import KafkaUnavailable, PositionGap, Rejected
from resolvers.memory import MemoryResolver
from resolvers.port import Applied, OutputRecord, Round
from resolvers.rules import Rules
from resolvers.sighting import Batch
from streams.adapt import AdaptStage, RawSource
from streams.batch import Outcome, SourceBatch
from streams.counters import Counters
from streams.events import Event, Identifier, Membership, Participant, encode_event
from streams.positions import AppliedPositions
from streams.publish import Turn
from streams.record import SourceRecord
from streams.resolve import ResolveStage
from streams.sender import Sender
from streams.settings import EntitySettings, IdentifierSettings
from streams.tracing.context import Headers, TraceContext, context_of
from streams.tracing.stages import OLD_MS, AdaptTraces, PublishTraces, ResolveTraces
from streams.tracing.trail import event_key
from tests.kafka_fakes import FakeConsumer, FakeProducer, record
from tests.spans import FakeSpans, FakeTrail, context
from tests.unit.test_publish import Outbox, publisher

NOW_MS = 1_700_000_000_000
RAW, EVENTS = TopicPartition("raw", 0), TopicPartition("events", 0)
RULES = Rules.from_settings(
    {
        "person": EntitySettings(identifiers={"email": IdentifierSettings(priority=1)}),
        "group": EntitySettings(identifiers={"domain": IdentifierSettings(priority=1)}),
    },
    b"key",
)
MALFORMED: Headers = (("traceparent", b"00-bad-bad-01"),)


def event(event_id: str) -> Event:
    people = [Participant("person", "x", [Identifier("email", f"{event_id}@x.example")])]
    groups = [Participant("group", "", [Identifier("domain", "x.example")])]
    return Event(event_id, "crm", "seen", "2024-01-01T00:00:00.000Z", participants=people + groups, memberships=[Membership(0, 1)])


def adapter(source: SourceRecord) -> list[Event]:
    word = (source.value or b"").decode()
    if word == "bad":
        raise Rejected("the record is bad")
    return [event(one) for one in word.split(",")]


def batch_of(place: TopicPartition, *rows: tuple[bytes, Headers]) -> SourceBatch:
    return SourceBatch(place, 0, [record(value, at, place, headers=headers, timestamp=NOW_MS) for at, (value, headers) in enumerate(rows)])


async def started(producer: FakeProducer) -> Sender:
    async def make() -> Any:
        return producer

    sender = Sender(make, "here:9092", 5)
    await sender.start()
    return sender


async def adapted(traces: AdaptTraces, *rows: tuple[bytes, Headers]) -> FakeProducer:
    producer = FakeProducer(partitions=1)
    topics = {"events_topic": "events", "dead_letters_topic": "dead"}
    sources = {"raw": RawSource("crm", "words", adapter)}
    stage = AdaptStage(sources, {}, await started(producer), Counters(), lambda: 0, **topics, largest_bytes=9_999, traces=traces)
    assert await stage(batch_of(RAW, *rows)) is Outcome.DONE
    return producer


def contexts(producer: FakeProducer) -> list[TraceContext | None]:
    return [context_of(headers) for headers in producer.headers]


async def test_without_spans_a_context_is_carried_to_events_as_it_is() -> None:
    producer = await adapted(AdaptTraces(), (b"a,b", context(1).headers), (b"c", ()), (b"d", MALFORMED), (b"e", context(2, 0).headers))
    assert producer.headers == [context(1).headers, context(1).headers, (), (), context(2, 0).headers]


async def test_with_spans_the_events_of_a_sampled_record_carry_its_span() -> None:
    spans = FakeSpans()
    rows = [(b"a,b", context(1).headers), (b"c", ()), (b"d", MALFORMED), (b"e", context(2, 0).headers)]
    producer = await adapted(AdaptTraces(spans, 0.0), *rows)
    (span,) = spans.ended("adapt")
    assert contexts(producer) == [span.context, span.context, None, None, context(2, 0)]
    place = {"messaging.destination.name": "raw", "messaging.destination.partition.id": "0", "messaging.kafka.offset": 0}
    assert span.attributes == {"messaging.system": "kafka", **place, "nexus.source": "crm", "nexus.event_ids": ["a", "b"]}


async def test_the_lot_decides_which_records_without_a_context_begin_a_trace() -> None:
    spans, lots = FakeSpans(), iter([0.5, 0.05, 0.1])
    producer = await adapted(AdaptTraces(spans, 0.1, lambda: next(lots)), (b"a", ()), (b"b", ()), (b"c", MALFORMED))
    (span,) = spans.ended("adapt")
    assert (span.parent, contexts(producer)) == (None, [None, span.context, None])


async def test_a_rejected_record_fails_its_span_by_the_class_of_the_reason() -> None:
    spans = FakeSpans()
    producer = await adapted(AdaptTraces(spans), (b"bad", context(1).headers))
    (span,) = spans.ended("adapt")
    assert span.failed == "invalid"
    assert "bad" not in str(span.attributes)
    assert ("original-traceparent", context(1).headers[0][1]) in producer.headers[0]


class Resolving:
    """The resolve stage with everything around it in memory."""

    def __init__(self, traces: ResolveTraces, resolver: MemoryResolver | None = None) -> None:
        self.traces = traces
        self.resolver = resolver or MemoryResolver(RULES, 1)
        self.producer = FakeProducer(partitions=1)

    async def handle(self, *rows: tuple[bytes, Headers]) -> Outcome:
        positions = AppliedPositions(self.resolver, "events", cast("Any", None), 1)
        sender = await started(self.producer)
        parts = (RULES, self.resolver, positions, sender, Counters(), lambda: 0, asyncio.Event())
        stage = ResolveStage(*parts, participants_topic="participants", dead_letters_topic="dead", patience_seconds=1, traces=self.traces)
        await positions.start(cast("AIOKafkaConsumer", FakeConsumer({EVENTS: dict.fromkeys(range(9), b"")})), EVENTS)
        return await stage(batch_of(EVENTS, *rows))


def rows_of(*headers: Headers) -> list[tuple[bytes, Headers]]:
    return [(encode_event(event(f"e{number}")), one) for number, one in enumerate(headers, 1)]


ROWS = rows_of(context(1).headers, (), MALFORMED, context(2, 0).headers)


async def test_without_spans_participants_carry_the_context_of_their_event() -> None:
    stage = Resolving(ResolveTraces())
    await stage.handle(*ROWS)
    assert contexts(stage.producer) == [context(1), context(1), None, None, None, None, context(2, 0), context(2, 0)]


async def test_with_spans_what_a_sampled_event_may_change_is_left_on_the_trail() -> None:
    spans, trail = FakeSpans(), FakeTrail()
    stage = Resolving(ResolveTraces(spans, trail, lambda: NOW_MS))
    await stage.handle(*ROWS)
    (span,) = spans.ended("resolve")
    assert (span.parent, span.attributes["nexus.event_ids"]) == (context(1), ["e1"])
    assert contexts(stage.producer) == [span.context, span.context, None, None, None, None, context(2, 0), context(2, 0)]
    person, group = span.attributes["nexus.entity_ids"]
    named = {("entities", person), ("entities", group), ("memberships", f"{person}:{group}"), event_key("crm", "e1")}
    assert trail.left == dict.fromkeys(
        {*named, ("identifiers", "person:email:e1@x.example"), ("identifiers", "group:domain:x.example")}, span.context
    )
    assert "@" not in str(span.attributes)


async def test_an_event_of_long_ago_is_not_traced_again() -> None:
    spans, trail = FakeSpans(), FakeTrail()
    stage = Resolving(ResolveTraces(spans, trail, lambda: NOW_MS + OLD_MS))
    await stage.handle(*ROWS)
    assert (spans.made, trail.left) == ([], {})
    assert contexts(stage.producer)[:2] == [context(1)] * 2


async def test_a_batch_that_was_overtaken_ends_no_span() -> None:
    class Overtaken(MemoryResolver):
        async def apply(self, batch: Batch) -> Applied:
            raise PositionGap(0, 5, 0)

    spans = FakeSpans()
    outcome = await Resolving(ResolveTraces(spans, FakeTrail(), lambda: NOW_MS), Overtaken(RULES, 1)).handle(*ROWS)
    assert (outcome, len(spans.made), spans.ended("resolve")) == (Outcome.OVERTAKEN, 1, [])


@pytest.mark.parametrize("kind", ["adapt", "resolve"])
async def test_keys_and_values_are_the_same_with_and_without_spans(kind: str) -> None:
    written = []
    for spans in (None, FakeSpans()):
        if kind == "adapt":
            producer = await adapted(AdaptTraces(spans, 1.0), (b"a,b", context(1).headers), (b"c", ()), (b"bad", MALFORMED))
        else:
            stage = Resolving(ResolveTraces(spans, FakeTrail(), lambda: NOW_MS))
            await stage.handle(*ROWS)
            producer = stage.producer
        written.append(producer.written)
    assert written[0] == written[1]


def line(key: str, event_id: str | None) -> OutputRecord:
    source = "crm" if event_id else None
    return OutputRecord("timeline", key, {"entity_id": key, "kind": "x", "event_id": event_id, "source": source, "data": {}})


def document(topic: str, key: str) -> OutputRecord:
    return OutputRecord(topic, key, {"entity_type": "person", "status": "active"})


ROUND = (
    document("entities", "per_a"),
    document("identifiers", "person:email:a"),
    document("memberships", "per_a:grp_b"),
    OutputRecord("identifiers", "person:email:b", None),
    document("entities", "per_b"),
    line("per_a", "e1"),
    line("per_a", "e2"),
    line("per_a", "e3"),
    line("per_a", None),
    line("per_a", "e2"),
    line("per_b", None),
)


async def told(traces: PublishTraces, records: Sequence[OutputRecord] = ROUND) -> FakeProducer:
    producer = FakeProducer()
    assert await publisher(Outbox(Round(2, 7, tuple(records))), producer, traces=traces).turn() is Turn.TOLD
    return producer


def found(producer: FakeProducer) -> dict[str, list[TraceContext | None]]:
    heads = iter(producer.headers)
    return {topic: [context_of(next(heads)) for _ in rows] for (topic, _), rows in producer.written.items()}


async def test_records_carry_the_span_of_the_event_that_changed_them() -> None:
    spans, trail = FakeSpans(), FakeTrail()
    trail.left = {("entities", "per_a"): context(3), event_key("crm", "e1"): context(1), event_key("crm", "e2"): context(2)}
    producer = await told(PublishTraces(spans, trail))
    of = {span.parent: span.context for span in spans.ended("publish")}
    assert found(producer) == {
        "n.entities": [of[context(3)], None],
        "n.timeline": [of[context(1)], of[context(2)], None, of[context(3)], of[context(2)], None],
        "n.identifiers": [None, None],
        "n.memberships": [None],
    }
    first = next(span for span in spans.made if span.parent == context(3))
    assert first.links == [context(1), context(2)]
    said = {"messaging.system": "kafka", "nexus.shard": 2, "nexus.round": 7, "messaging.batch.message_count": len(ROUND)}
    assert first.attributes == {**said, "nexus.entity_ids": ["per_a"]}


@pytest.mark.parametrize("traces", [PublishTraces(), PublishTraces(FakeSpans(), FakeTrail())])
async def test_where_nothing_is_traced_records_have_no_headers(traces: PublishTraces) -> None:
    assert set((await told(traces)).headers) == {()}


async def test_a_rounds_bytes_are_the_same_with_and_without_traces() -> None:
    trail = FakeTrail({(one.topic, one.key): context(at) for at, one in enumerate(ROUND, 1)})
    plain, traced = await told(PublishTraces()), await told(PublishTraces(FakeSpans(), trail))
    assert plain.written == traced.written
    assert set(plain.headers) != set(traced.headers)


async def test_a_repeated_round_is_told_with_the_same_bytes_and_without_contexts() -> None:
    trail = FakeTrail({("entities", "per_a"): context(1)})
    broken, new = FakeProducer(failures=[KafkaConnectionError("gone")]), FakeProducer()
    made = publisher(Outbox(Round(2, 7, ROUND[:1])), broken, new, traces=PublishTraces(FakeSpans(), trail))
    with pytest.raises(KafkaUnavailable):
        await made.turn()
    assert await made.turn() is Turn.NOTHING
    assert new.written == (await told(PublishTraces(), ROUND[:1])).written
    assert new.headers == [()]
