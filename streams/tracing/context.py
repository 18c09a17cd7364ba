"""The trace context: which trace a record belongs to, as the W3C writes it in the headers `traceparent` and `tracestate`.

Invariant: what is not a context by https://www.w3.org/TR/trace-context/ counts as none, and is not carried on.
Neighbours: every other module of this room.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

Headers = tuple[tuple[str, bytes], ...]
"""Headers of a record of Kafka."""

NO_HEADERS: Headers = ()

PARENT = "traceparent"
STATE = "tracestate"
SAMPLED = 1

_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_STATE = re.compile(rb"[\x20-\x7e]{1,512}")
_NO_TRACE, _NO_SPAN = b"0" * 32, b"0" * 16


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A span of a trace, by their ids in hexadecimal. `state` is what tracing systems say beside it, carried on as it is."""

    trace_id: str
    span_id: str
    flags: int = SAMPLED
    state: bytes = b""

    @property
    def sampled(self) -> bool:
        """Whether spans of this trace are recorded."""
        return bool(self.flags & SAMPLED)

    @property
    def headers(self) -> Headers:
        """Write it as headers."""
        parent = (PARENT, f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}".encode())
        return (parent, (STATE, self.state)) if self.state else (parent,)

    @property
    def packed(self) -> bytes:
        """Write it in 25 bytes, without its state."""
        return bytes.fromhex(self.trace_id + self.span_id) + bytes((self.flags,))

    @classmethod
    def unpacked(cls, packed: bytes) -> Self:
        """Read what `packed` wrote."""
        return cls(packed[:16].hex(), packed[16:24].hex(), packed[24])


def context_of(headers: Iterable[tuple[str, Any]] | None) -> TraceContext | None:
    """Read a record's context; None where there is none, or none that is well formed. Of a header that is there twice the last counts."""
    found, state = _said(headers)
    if found is None:
        return None
    _, trace, span, flags, _ = found.groups()
    return TraceContext(trace.decode(), span.decode(), int(flags, 16), state)


def carried(headers: Iterable[tuple[str, Any]] | None) -> Headers:
    """Give the headers that what comes of a record gets where no span is made of it: its context, as it came."""
    found, state = _said(headers)
    if found is None:
        return NO_HEADERS
    parent = found[0] if found[5] is None and found[1] == b"00" else b"-".join((b"00", *found.group(2, 3, 4)))
    return ((PARENT, parent), (STATE, state)) if state else ((PARENT, parent),)


def _said(headers: Iterable[tuple[str, Any]] | None) -> tuple[re.Match[bytes] | None, bytes]:
    """Match what the headers say of a trace; a state without a context says nothing."""
    parent = state = None
    for name, value in headers or ():
        if name == PARENT:
            parent = value
        elif name == STATE:
            state = value
    found = _PARENT.fullmatch(parent) if isinstance(parent, bytes) else None
    if found is None:
        return None, b""
    version, trace, span, _, more = found.groups()
    if version == b"ff" or (version == b"00" and more is not None) or trace == _NO_TRACE or span == _NO_SPAN:
        return None, b""
    return found, state if isinstance(state, bytes) and _STATE.fullmatch(state) else b""
