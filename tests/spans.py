"""Spans and a trail in memory, for tests of what the stages make of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streams.tracing.context import TraceContext
from streams.tracing.spans import Attributes, Kind


@dataclass(slots=True)
class FakeSpan:
    """A span and all that was said of it."""

    name: str
    context: TraceContext
    parent: TraceContext | None
    attributes: dict[str, Any]
    links: list[TraceContext]
    failed: str = ""
    ended: bool = False

    def say(self, attributes: Attributes) -> None:
        self.attributes |= attributes

    def fail(self, reason: str) -> None:
        self.failed = reason

    def end(self) -> None:
        self.ended = True


@dataclass(slots=True)
class FakeSpans:
    """Numbers spans and remembers them; roots are of the trace `f` and their number."""

    made: list[FakeSpan] = field(default_factory=list)

    def begin(
        self, name: str, kind: Kind, parent: TraceContext | None, attributes: Attributes, links: Sequence[TraceContext] = ()
    ) -> FakeSpan:
        number = len(self.made) + 1
        trace = parent.trace_id if parent else f"f{number:031x}"
        context = TraceContext(trace, f"{number:016x}", state=parent.state if parent else b"")
        self.made.append(FakeSpan(name, context, parent, dict(attributes), list(links)))
        return self.made[-1]

    def ended(self, name: str) -> list[FakeSpan]:
        """Give the spans of a name that were ended."""
        return [one for one in self.made if one.name == name and one.ended]

    async def close(self) -> None:
        """Nothing to export."""


@dataclass(slots=True)
class FakeTrail:
    """Keeps what is left until it is followed."""

    left: dict[tuple[str, str], TraceContext] = field(default_factory=dict)

    async def leave(self, contexts: Mapping[tuple[str, str], TraceContext]) -> None:
        self.left |= contexts

    async def follow(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], TraceContext]:
        return {key: self.left[key] for key in keys if key in self.left}

    async def close(self) -> None:
        """Nothing to close."""


def context(number: int, flags: int = 1) -> TraceContext:
    """Give the context of the trace of a number."""
    return TraceContext(f"{number:032x}", "00f067aa0ba902b7", flags)
