"""Instants: RFC 3339 in, milliseconds out, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvers.instant import hour_of, read_instant, write_instant


@pytest.mark.parametrize(
    ("text", "epoch_ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("2024-01-02T03:04:05.678Z", 1_704_164_645_678),
        ("2024-01-02T03:04:05.6789Z", 1_704_164_645_678),
        ("2024-01-02T04:04:05.678+01:00", 1_704_164_645_678),
    ],
)
def test_times_are_read(text: str, epoch_ms: int) -> None:
    assert read_instant(text) == epoch_ms


@given(st.integers(read_instant("0001-01-01T00:00:00Z"), read_instant("9999-12-31T23:59:59.999Z")))
def test_what_is_written_is_read_back(epoch_ms: int) -> None:
    assert read_instant(write_instant(epoch_ms)) == epoch_ms
    assert len(write_instant(epoch_ms)) == 24


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="not of the form"):
        read_instant("2024-01-02T03:04:05")


def test_hours_are_counted_downwards_before_the_epoch() -> None:
    assert [hour_of(ms) for ms in (0, 3_599_999, 3_600_000, -1, -3_600_000)] == [0, 0, 1, -1, -1]


@pytest.mark.parametrize(
    "text",
    [
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+05:00",
        "2024-W05-3T00:00:00Z",
        "20240101T000000Z",
        "2024-01-01 00Z",
        "2024-01-01T00:00:00+01:00:30",
    ],
)
def test_what_rfc_3339_can_not_write_in_utc_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not of the form|outside the years"):
        read_instant(text)
