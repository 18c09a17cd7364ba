from __future__ import annotations

from typing import Any

import pytest

from streams.tracing.context import TraceContext, carried, context_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01".encode()


def test_a_context_is_read_and_written_as_it_was() -> None:
    headers = (("traceparent", GOOD), ("tracestate", b"congo=t61rcWkgMzE"))
    context = context_of((("other", b"x"), *headers))
    assert context == TraceContext(TRACE, SPAN, 1, b"congo=t61rcWkgMzE")
    assert context.headers == carried(headers) == headers
    assert TraceContext.unpacked(context.packed) == TraceContext(TRACE, SPAN, 1)
    assert len(context.packed) == 25


@pytest.mark.parametrize(
    "parent",
    [
        b"",
        b"\xff\xfe",
        None,
        GOOD.decode(),
        GOOD.upper(),
        GOOD[:-1],
        GOOD + b"0",
        GOOD + b"-more",
        GOOD + b"\n",
        GOOD.replace(b"-", b"_"),
        b"ff" + GOOD[2:],
        f"00-{'0' * 32}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"00-{TRACE}-{SPAN}-0g".encode(),
    ],
)
def test_what_is_malformed_counts_as_none_and_is_not_carried_on(parent: Any) -> None:
    headers = [("traceparent", parent), ("tracestate", b"a=b")]
    assert context_of(headers) is None
    assert carried(headers) == ()


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert carried([("traceparent", b"01" + GOOD[2:] + b"-more")]) == (("traceparent", GOOD),)


@pytest.mark.parametrize("state", [b"", b"x" * 513, b"a=\xc3\xa4", b"a=b\r\nc", None])
def test_a_state_that_is_malformed_is_left_behind(state: Any) -> None:
    assert carried([("traceparent", GOOD), ("tracestate", state)]) == (("traceparent", GOOD),)


def test_of_a_header_that_is_there_twice_the_last_counts() -> None:
    assert carried([("traceparent", b"bad"), ("traceparent", GOOD)]) == (("traceparent", GOOD),)


@pytest.mark.parametrize("headers", [None, (), [], [("tracestate", b"a=b")], [("Traceparent", GOOD)]])
def test_no_context_is_none(headers: Any) -> None:
    assert context_of(headers) is None
    assert carried(headers) == ()


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True)])
def test_the_last_bit_says_whether_it_is_sampled(flags: str, sampled: bool) -> None:
    context = context_of([("traceparent", GOOD[:-2] + flags.encode())])
    assert context is not None
    assert context.sampled is sampled
