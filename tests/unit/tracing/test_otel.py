from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import get_current_span

from streams.tracing import otel
from streams.tracing.context import TraceContext
from streams.tracing.otel import OtelSpans
from streams.tracing.spans import Kind
from tests.kafka_fakes import record
from tests.spans import context

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to" / "trace-a-record.md"


async def test_a_span_is_a_child_of_its_parent_and_is_exported_at_the_end() -> None:
    exporter = InMemorySpanExporter()
    spans = OtelSpans(exporter)
    parent = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1, b"vendor=told")
    span = spans.begin("adapt", Kind.READS, parent, {"nexus.source": "crm"}, [context(9)])
    assert span is not None
    assert (span.context.trace_id, span.context.state, span.context.sampled) == (parent.trace_id, parent.state, True)
    assert re.fullmatch(r"[0-9a-f]{16}", span.context.span_id)
    span.say({"nexus.event_ids": ["e1"]})
    span.fail("malformed")
    spans.begin("adapt", Kind.READS, parent, {})  # never ended, and so never exported
    span.end()
    await spans.close()
    (told,) = exporter.get_finished_spans()
    assert told.parent is not None
    assert f"{told.parent.span_id:016x}" == parent.span_id
    assert dict(told.attributes or {}) == {"nexus.source": "crm", "nexus.event_ids": ("e1",), "error.type": "malformed"}
    assert [f"{one.context.trace_id:032x}" for one in told.links] == [context(9).trace_id]
    assert (told.kind.name, told.status.status_code.name) == ("CONSUMER", "ERROR")
    assert told.resource.attributes["service.name"] == "nexus-streams"
    assert "vendor" not in told.to_json()


async def test_without_a_parent_a_trace_begins_and_one_that_is_not_sampled_has_no_span() -> None:
    spans = OtelSpans(InMemorySpanExporter())
    first, second = (spans.begin("adapt", Kind.READS, None, {}) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.context.trace_id != second.context.trace_id
    assert spans.begin("adapt", Kind.READS, context(1, flags=0), {}) is None
    await spans.close()


async def test_the_environment_names_the_service_and_may_switch_spans_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "people")
    exporter = InMemorySpanExporter()
    spans = OtelSpans(exporter)
    span = spans.begin("adapt", Kind.READS, None, {})
    assert span is not None
    span.end()
    await spans.close()
    assert exporter.get_finished_spans()[0].resource.attributes["service.name"] == "people"
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    off = OtelSpans(exporter)
    assert off.begin("adapt", Kind.READS, None, {}) is None
    assert off.begin("adapt", Kind.READS, context(1), {}) is None
    await off.close()


def test_the_how_to_goes_on_with_a_records_trace() -> None:
    code = re.search(r"```python\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)
    found = get_current_span(names["context_of"](record(b"{}", headers=context(7).headers))).get_span_context()
    assert (f"{found.trace_id:032x}", f"{found.span_id:016x}") == (context(7).trace_id, context(7).span_id)


class Stuck(SpanExporter):
    """Takes spans and does not come back until it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        while not self.go.is_set():
            pass
        return SpanExportResult.SUCCESS


async def test_a_collector_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otel, "CLOSE_SECONDS", 0.2)
    exporter = Stuck()
    spans = OtelSpans(exporter)
    span = spans.begin("adapt", Kind.READS, None, {})
    assert span is not None
    span.end()
    async with asyncio.timeout(5):
        await spans.close()
    exporter.go.set()
