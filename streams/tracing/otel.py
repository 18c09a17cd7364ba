"""Spans of OpenTelemetry, exported by OTLP over HTTP; the environment says where to: OTEL_EXPORTER_OTLP_ENDPOINT and its like.

Invariant: a collector that is slow or away holds nothing up; spans that it does not take are dropped. This module alone
imports OpenTelemetry, and only a worker that traces imports it. Neighbours: `tracing` asks for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from threading import Thread

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Span as OpenSpan

from streams.tracing.context import TraceContext
from streams.tracing.spans import Attributes, Kind

log = structlog.get_logger(__name__)

SERVICE = "nexus-streams"
"""The service that spans are of where OTEL_SERVICE_NAME does not say another."""

CLOSE_SECONDS = 5.0
"""How long a stopping worker waits for its last spans to be taken."""

LOOK_SECONDS = 0.02

_KINDS = {Kind.READS: SpanKind.CONSUMER, Kind.WRITES: SpanKind.PRODUCER}


class OtelSpan:
    """A span that is recorded. `state` is that of the trace, which goes into headers and not into spans: it is anybody's text."""

    __slots__ = ("_span", "context")

    def __init__(self, span: OpenSpan, state: bytes) -> None:
        self._span = span
        made = span.get_span_context()
        self.context = TraceContext(f"{made.trace_id:032x}", f"{made.span_id:016x}", int(made.trace_flags), state)

    def say(self, attributes: Attributes) -> None:
        """Add attributes."""
        self._span.set_attributes(dict(attributes))

    def fail(self, reason: str) -> None:
        """Say that the work went wrong."""
        self._span.set_attribute("error.type", reason)
        self._span.set_status(StatusCode.ERROR)

    def end(self) -> None:
        """End the span."""
        self._span.end()


class OtelSpans:
    """Records every span that it is asked for, unless its parent is not sampled: who asks has drawn lots."""

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        """Without an `exporter` it is OTLP over HTTP, as the environment says. Nothing is sent before a span has ended."""
        resource = Resource.create()
        if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: SERVICE}))
        self._provider = TracerProvider(ParentBased(ALWAYS_ON), resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("nexus")

    def begin(
        self, name: str, kind: Kind, parent: TraceContext | None, attributes: Attributes, links: Sequence[TraceContext] = ()
    ) -> OtelSpan | None:
        """Begin a span."""
        span = self._tracer.start_span(
            name,
            set_span_in_context(NonRecordingSpan(_of(parent))) if parent is not None else _NO_PARENT,
            _KINDS[kind],
            dict(attributes),
            [Link(_of(one)) for one in links],
        )
        return OtelSpan(span, parent.state if parent is not None else b"") if span.is_recording() else None

    async def close(self) -> None:
        """Export what is left, in a thread that does not outlive the process."""
        closing = Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        closing.start()
        deadline = asyncio.get_running_loop().time() + CLOSE_SECONDS
        while closing.is_alive() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - another thread's state
            await asyncio.sleep(LOOK_SECONDS)
        if closing.is_alive():
            log.warning("the last spans were not taken in time, leaving them behind", seconds=CLOSE_SECONDS)


def _of(context: TraceContext) -> SpanContext:
    return SpanContext(int(context.trace_id, 16), int(context.span_id, 16), is_remote=True, trace_flags=TraceFlags(context.flags))


_NO_PARENT = set_span_in_context(NonRecordingSpan(SpanContext(0, 0, is_remote=False)))
"""A context without a span, whatever the surroundings have."""
