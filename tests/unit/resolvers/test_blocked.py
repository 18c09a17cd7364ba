"""Blocked values: exact, by expression, casefolded, raw and normalised."""

from __future__ import annotations

import pytest

from resolvers.blocked import DEFAULT_JUNK, BlockedValues, pattern_of

JUNK = BlockedValues.of(DEFAULT_JUNK)


@pytest.mark.parametrize(
    "value",
    [
        *("", "0", "000-000", "---", "-1", "null", "NULL", "None", " nil ", "undefined", "NaN", "Anonymous", "guest", "unknown"),
        *("true", "FALSE", "id", "Email", "distinct_id", "not_authenticated", "[object Object]", "N/A", "blank"),
        *("'null'", '"undefined"', "`none`", "test@test.com", "Test@Example.com"),
    ],
)
def test_junk_is_blocked_by_default(value: str) -> None:
    assert JUNK.blocks(value, value.strip())


@pytest.mark.parametrize("value", ["0a", "null@x.example", "identity", "1", "-2", "nullable", "guest7", "ann@test.com"])
def test_what_only_looks_like_junk_is_not_blocked(value: str) -> None:
    assert not JUNK.blocks(value, value)


def test_a_value_is_compared_as_written_and_normalised() -> None:
    blocked = BlockedValues.of(["+1 555 0100", "+15550199"])
    assert blocked.blocks("+1 555 0100", "+15550100")
    assert blocked.blocks("(555) 01-99", "+15550199")
    assert not blocked.blocks("+15550100", "+15550100")


def test_values_are_compared_casefolded() -> None:
    blocked = BlockedValues.of(["Straße"])
    assert blocked.blocks("STRASSE", "strasse")


def test_an_expression_finds_any_part_and_either_case() -> None:
    blocked = BlockedValues.of(["re:^no-?reply@", "re:bot$"])
    assert blocked.blocks("NoReply@x.example", "noreply@x.example")
    assert blocked.blocks("BuildBOT", "buildbot")
    assert not blocked.blocks("robots", "robots")


def test_an_expression_that_would_stall_is_linear() -> None:
    assert not BlockedValues.of(["re:^(a+)+$"]).blocks("a" * 5_000 + "b", "")


@pytest.mark.parametrize("entry", ["re:(", "re:(?<=a)b", r"re:(a)\1"])
def test_an_expression_that_cannot_be_read_is_refused_by_name(entry: str) -> None:
    with pytest.raises(ValueError, match="is not a regular expression that RE2 takes"):
        BlockedValues.of([entry])


def test_entries_of_one_meaning_are_one_value() -> None:
    assert BlockedValues.of(["A", " a "]) == BlockedValues.of(["a"])


def test_only_an_entry_that_starts_so_is_an_expression() -> None:
    assert (pattern_of("re:^a"), pattern_of("a re:b")) == ("^a", None)
