from __future__ import annotations

import pytest

from streams.verify.instants import hour, milliseconds, written
from streams.verify.normal import normal_form


@pytest.mark.parametrize(
    ("kind", "value", "form"),
    [
        ("email", " Ann@Example.COM ", "ann@example.com"),
        ("email", "ann+x@example.com", "ann+x@example.com"),
        ("email", "ann@b\u00fccher.example", "ann@b\u00fccher.example"),
        ("email", "Root@localhost", "root@localhost"),
        ("email", "no address", "no address"),
        ("phone", "(415) 555-2671", "+14155552671"),
        ("phone", "+1 415 555 2671 ext. 9", "+14155552671;ext=9"),
        ("phone", "CALL me", "call me"),
        ("domain", "https://user@www.Example.com:8080/path?x#y", "example.com"),
        ("domain", "b\u00fccher.example.", "xn--bcher-kva.example"),
        ("domain", "2001:db8::1", "2001:db8::1"),
        ("domain", "https://", "https://"),
        ("lower", " ABC ", "abc"),
        ("exact", " aBC ", "aBC"),
        (None, " aBC ", "aBC"),
    ],
)
def test_a_value_has_one_normal_form(kind: str | None, value: str, form: str) -> None:
    assert normal_form(kind, "US")(value) == form


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2024-01-02T03:04:05.678Z", 1_704_164_645_678),
        ("2024-01-02T05:04:05.678999+02:00", 1_704_164_645_678),
        ("1969-12-31T23:59:59.9995Z", -1),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000),
        ("2024-01-02T03:04:05", None),
        ("today", None),
    ],
)
def test_times_are_cut_to_milliseconds(text: str, ms: int | None) -> None:
    assert milliseconds(text) == ms


def test_times_are_written_with_three_digits() -> None:
    assert [written(ms) for ms in (0, -1, -62_135_596_800_000)] == [
        "1970-01-01T00:00:00.000Z",
        "1969-12-31T23:59:59.999Z",
        "0001-01-01T00:00:00.000Z",
    ]


def test_hours_before_the_epoch_round_down() -> None:
    assert (hour(-1), hour(0), hour(3_600_000)) == (-1, 0, 1)
