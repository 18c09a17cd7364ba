"""A collector in miniature: takes spans as OpenTelemetry exports them over HTTP, and remembers them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

SERVICE_SPANS = "/v1/traces"


@dataclass(frozen=True, slots=True)
class Taken:
    """A span as it was exported; ids in hexadecimal."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    service: str
    failed: bool
    attributes: dict[str, Any]
    links: tuple[tuple[str, str], ...]
    text: str
    """All that the export says of it."""


@dataclass(slots=True)
class Collector:
    """What was exported so far, and where to."""

    endpoint: str = ""
    spans: list[Taken] = field(default_factory=list)

    def named(self, name: str, trace_id: str) -> list[Taken]:
        """Give the spans of a name in a trace."""
        return [one for one in self.spans if (one.name, one.trace_id) == (name, trace_id)]

    def take(self, body: bytes) -> None:
        """Take an export."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _plain(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.spans += [_taken(span, service) for span in scope.spans]


def _taken(span: Any, service: str) -> Taken:
    links = tuple((one.trace_id.hex(), one.span_id.hex()) for one in span.links)
    failed = span.status.code == span.status.STATUS_CODE_ERROR
    ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
    return Taken(span.name, *ids, service, failed, _plain(span.attributes), links, str(span))


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in attributes}


def _value(value: Any) -> Any:
    if value.WhichOneof("value") == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, value.WhichOneof("value"))


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on a free port."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == SERVICE_SPANS
            collector.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the server's name for it
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield collector
        finally:
            server.shutdown()
