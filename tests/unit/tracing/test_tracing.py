from __future__ import annotations

import sys

import pytest

from resolvers.errors import SettingsError
from streams.settings import settings_from
from streams.tracing.otel import OtelSpans
from streams.tracing.tracing import tracing_of
from streams.tracing.trail import RedisTrail


async def test_unless_it_is_asked_for_nothing_is_made() -> None:
    tracing = tracing_of(settings_from({}))
    assert (tracing.spans, tracing.trail) == (None, None)
    await tracing.close()


async def test_where_it_is_asked_for_spans_and_a_trail_are_made() -> None:
    tracing = tracing_of(settings_from({"tracing": {"enabled": True}}))
    assert isinstance(tracing.spans, OtelSpans)
    assert isinstance(tracing.trail, RedisTrail)
    await tracing.close()


def test_without_opentelemetry_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "streams.tracing.otel", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(SettingsError, match=r"pip install 'nexus-streams\[otel\]'"):
        tracing_of(settings_from({"tracing": {"enabled": True}}))


@pytest.mark.parametrize("ratio", [-0.1, 1.1])
def test_a_ratio_is_a_part(ratio: float) -> None:
    with pytest.raises(SettingsError, match="ratio"):
        settings_from({"tracing": {"ratio": ratio}})
