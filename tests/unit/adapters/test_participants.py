from __future__ import annotations

import pytest

from resolvers.errors import Rejected
from streams.adapters.participants import identifier_values, number_of, text_of, traits_of


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("  a@x.example ", ["a@x.example"]),
        ("   ", []),
        (None, []),
        (True, []),
        (0, ["0"]),
        (4155550100, ["4155550100"]),
        (7.0, ["7"]),
        (7.5, ["7.5"]),
        (["b", ["a", None, "b"], 3], ["b", "a", "3"]),
    ],
)
def test_identifier_values_are_trimmed_text(value: object, expected: list[str]) -> None:
    assert identifier_values(value) == expected


def test_an_object_is_no_identifier() -> None:
    with pytest.raises(Rejected, match="the identifier 'email' is an object"):
        identifier_values([{"address": "a@x.example"}], "the identifier 'email'")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (12, 12.0),
        ("12.50", 12.5),
        (" -3e2 ", -300.0),
        ("", None),
        ("12 USD", None),
        ("nan", None),
        (float("inf"), None),
        (10**400, None),
        ("1e999", None),
        (True, None),
        ([1], None),
    ],
)
def test_numbers_are_read_from_text_too(value: object, expected: float | None) -> None:
    assert number_of(value) == expected


def test_text_of_scalars() -> None:
    values: list[object] = [" a ", "", 1, 1.0, 1.5, True, None, [], {}]
    assert [text_of(value) for value in values] == [
        "a",
        None,
        "1",
        "1",
        "1.5",
        "true",
        None,
        None,
        None,
    ]


def test_traits_leave_out_what_is_empty_and_keep_what_is_nested() -> None:
    traits: dict[str, object] = {"a": None, "b": "", "c": " ", "d": [], "e": {}, "f": 0, "g": False, "h": {"i": None}, "j": " k "}
    assert traits_of(traits) == {"f": 0, "g": False, "h": {"i": None}, "j": " k "}
