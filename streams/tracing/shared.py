"""Spans of work that is done for many at once: a batch of events, a round of output keys.

Invariant: the cost of one piece of work is bounded, however many of its events are traced. Neighbours: `stages` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.tracing.context import TraceContext
from streams.tracing.spans import Attributes, Kind, Span, Spans

MOST_SPANS = 32
"""Most contexts that get a span each; of more, one span is made in the latest's trace, with links to the others."""

MOST_LINKS = 128
"""As many as OpenTelemetry keeps of a span unless told otherwise."""

MOST_NAMED = 20
"""Most ids that a span names under one attribute."""

NO_LINKS: Mapping[TraceContext, Sequence[TraceContext]] = {}


class Shared:
    """What one piece of work is in the traces that it belongs to: a span in each, or one that is linked to all."""

    def __init__(
        self,
        spans: Spans,
        name: str,
        kind: Kind,
        contexts: Sequence[TraceContext],
        attributes: Attributes,
        links: Mapping[TraceContext, Sequence[TraceContext]] = NO_LINKS,
    ) -> None:
        """Begin the work of `contexts`, the latest of them last; `links` are those that one has besides."""
        distinct = list(dict.fromkeys(contexts))
        own, shared = distinct, None
        if len(distinct) > MOST_SPANS:
            own, linked = distinct[-1:], distinct[-MOST_LINKS:]
            shared = spans.begin(name, kind, own[0], {**attributes, "nexus.traced": len(distinct)}, linked)
        self._own: dict[TraceContext, Span | None] = {
            one: shared or spans.begin(name, kind, one, attributes, list(links.get(one, ()))[:MOST_LINKS]) for one in own
        }
        self._shared = shared
        self._named: dict[TraceContext | None, dict[str, dict[str, None]]] = {}

    def context(self, context: TraceContext) -> TraceContext:
        """Give what comes of the work its context: that of its span, or as it was where it has none of its own."""
        span = self._own.get(context)
        return context if span is None else span.context

    def name(self, context: TraceContext, attribute: str, name: str) -> None:
        """Have the span of a context name an id, with those before it."""
        of = None if self._shared is not None else context
        named = self._named.setdefault(of, {}).setdefault(attribute, {})
        if len(named) < MOST_NAMED:
            named[name] = None

    def end(self) -> None:
        """End all spans."""
        for context, span in self._own.items():
            if span is not None:
                named = self._named.get(None if self._shared is not None else context, {})
                span.say({attribute: list(names) for attribute, names in named.items()})
                span.end()
