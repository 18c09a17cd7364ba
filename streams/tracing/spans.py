"""The port of spans: what the stages ask of a tracing system, whichever records them.

Invariant: a span that is never ended is never recorded, so whoever is interrupted just lets go of it.
Neighbours: `otel` records spans with OpenTelemetry; `shared` and `stages` make them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Protocol

from streams.tracing.context import TraceContext

Attributes = Mapping[str, str | int | Sequence[str]]
"""What a span says: ids, places and counts, never the value of an identifier."""


class Kind(Enum):
    """On which side of a topic a span stands."""

    READS = "consumer"
    WRITES = "producer"


class Span(Protocol):
    """A piece of work that has begun."""

    @property
    def context(self) -> TraceContext:
        """Give the context that what comes of the work carries."""

    def say(self, attributes: Attributes) -> None:
        """Add attributes."""

    def fail(self, reason: str) -> None:
        """Say that the work went wrong; `reason` is one of a closed set of words."""

    def end(self) -> None:
        """Say that the work is done, now."""


class Spans(Protocol):
    """Where spans are begun. Nothing here blocks, or fails the work."""

    def begin(
        self, name: str, kind: Kind, parent: TraceContext | None, attributes: Attributes, links: Sequence[TraceContext] = ()
    ) -> Span | None:
        """Begin a span, of a new trace where there is no parent. None where it would not be recorded."""

    async def close(self) -> None:
        """Export what was recorded, for some seconds at most."""
