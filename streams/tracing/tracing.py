"""Tracing as the settings say: what each stage is handed, and what is closed when the worker stops.

Neighbours: `app` makes one for a worker.
"""

from __future__ import annotations

from dataclasses import dataclass

from resolvers.errors import SettingsError
from streams.settings import Settings
from streams.tracing.spans import Spans
from streams.tracing.stages import AdaptTraces, PublishTraces, ResolveTraces
from streams.tracing.trail import RedisTrail, Trail


@dataclass(frozen=True, slots=True)
class Tracing:
    """The traces of one worker. Without spans contexts are carried from raw records to events and participants, and no further."""

    adapt: AdaptTraces
    resolve: ResolveTraces
    publish: PublishTraces
    spans: Spans | None = None
    trail: Trail | None = None

    async def close(self) -> None:
        """Export the last spans, and disconnect."""
        if self.trail is not None:
            await self.trail.close()
        if self.spans is not None:
            await self.spans.close()


def tracing_with(spans: Spans | None = None, trail: Trail | None = None, ratio: float = 0.0) -> Tracing:
    """Put the stages' parts together."""
    return Tracing(AdaptTraces(spans, ratio), ResolveTraces(spans, trail), PublishTraces(spans, trail), spans, trail)


def tracing_of(settings: Settings) -> Tracing:
    """Make what the settings ask for; nothing is connected yet. Raises SettingsError where OpenTelemetry is not installed."""
    if not settings.tracing.enabled:
        return tracing_with()
    try:
        from streams.tracing.otel import OtelSpans  # noqa: PLC0415 - optional, and only who traces pays for it
    except ImportError as error:
        raise SettingsError(
            f"tracing.enabled: OpenTelemetry is not installed ({error}); pip install 'nexus-streams[otel]', or set it to false"
        ) from error
    trail = RedisTrail(settings.redis.url, settings.space, settings.digest_key)
    return tracing_with(OtelSpans(), trail, settings.tracing.ratio)
