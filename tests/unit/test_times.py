from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.record import SourceRecord
from streams.times import format_time, parse_time, record_time

FIRST_MS = -62_135_596_800_000
LAST_MS = 253_402_300_799_999


@pytest.mark.parametrize(
    ("given_time", "expected"),
    [
        ("2024-01-02T03:04:05.678Z", "2024-01-02T03:04:05.678Z"),
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05.000Z"),
        ("2024-01-02T03:04:05.6789999Z", "2024-01-02T03:04:05.678Z"),
        ("2024-01-02t03:04:05z", "2024-01-02T03:04:05.000Z"),
        ("2024-01-02 03:04:05", "2024-01-02T03:04:05.000Z"),
        ("2024-01-02 03:04:05.5 UTC", "2024-01-02T03:04:05.500Z"),
        ("2024-01-02T03:04Z", "2024-01-02T03:04:00.000Z"),
        ("2024-01-02", "2024-01-02T00:00:00.000Z"),
        ("  2024-01-02 ", "2024-01-02T00:00:00.000Z"),
        ("2024-01-02T03:04:05+05:30", "2024-01-01T21:34:05.000Z"),
        ("2024-01-02T03:04:05-0800", "2024-01-02T11:04:05.000Z"),
        ("2024-01-02T03:04:05+02", "2024-01-02T01:04:05.000Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
    ],
)
def test_text_is_read_with_any_zone_and_precision(given_time: str, expected: str) -> None:
    assert format_time(parse_time(given_time)) == expected


@pytest.mark.parametrize(
    ("given_time", "expected_ms"),
    [
        (0, 0),
        (1_704_164_645, 1_704_164_645_000),
        (1_704_164_645.678, 1_704_164_645_678),
        (1_704_164_645_678, 1_704_164_645_678),
        (99_999_999_999, 99_999_999_999_000),
        (100_000_000_000, 100_000_000_000),
        (-1, -1_000),
        ("1704164645", 1_704_164_645_000),
        ("1704164645.678", 1_704_164_645_678),
        ("1704164645678", 1_704_164_645_678),
        ("1.704164645E+09", 1_704_164_645_000),
    ],
)
def test_numbers_below_ten_to_the_eleventh_are_seconds(given_time: object, expected_ms: int) -> None:
    assert parse_time(given_time) == expected_ms


@pytest.mark.parametrize(
    "given_time",
    [
        None,
        True,
        float("nan"),
        float("inf"),
        "",
        "yesterday",
        "01/02/2024",
        "2024-02-30",
        "2023-02-29T00:00:00.000Z",
        "2024-13-01",
        "2024-01-02T24:00:00.000Z",
        "2024-01-02T23:60:00Z",
        "2024-01-02T00:00:00+25:00",
        "0000-01-01",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "\u0662\u0660\u0662\u0664-\u0660\u0661-\u0660\u0662",
        "nan",
        "1e99",
        10**15,
        10**400,
        -(10**400),
        1e300,
        [],
        {},
        b"2024-01-02",
    ],
)
def test_what_is_no_time_is_a_value_error_with_a_reason(given_time: object) -> None:
    with pytest.raises(ValueError) as caught:
        parse_time(given_time)
    assert 5 < len(str(caught.value)) < 250


def test_a_long_text_is_not_repeated_in_the_reason() -> None:
    with pytest.raises(ValueError) as caught:
        parse_time("x" * 1_000_000)
    assert len(str(caught.value)) < 250


@given(st.integers(FIRST_MS, LAST_MS))
def test_what_is_written_reads_back(ms: int) -> None:
    assert parse_time(format_time(ms)) == ms


@given(st.integers(FIRST_MS, LAST_MS), st.integers(FIRST_MS, LAST_MS))
def test_text_sorts_like_time(one: int, other: int) -> None:
    assert (format_time(one) < format_time(other)) == (one < other)


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.none())
def test_anything_is_a_time_or_a_value_error(value: object) -> None:
    try:
        ms = parse_time(value)
    except ValueError:
        return
    assert FIRST_MS <= ms <= LAST_MS


@pytest.mark.parametrize("ms", [FIRST_MS - 1, LAST_MS + 1])
def test_years_that_cannot_be_written_are_errors(ms: int) -> None:
    with pytest.raises(ValueError, match="years 1 to 9999"):
        format_time(ms)


def test_a_record_without_a_timestamp_has_no_time() -> None:
    assert record_time(SourceRecord("t", 0, 0, None, b"{}", -1)) is None
    assert record_time(SourceRecord("t", 0, 0, None, b"{}", 0)) == "1970-01-01T00:00:00.000Z"
