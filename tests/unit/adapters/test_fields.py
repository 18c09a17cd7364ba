from __future__ import annotations

import pytest

from resolvers.errors import Rejected
from streams.adapters.fields import field, first_text, read_time, text


def test_field_gives_none_where_the_path_breaks() -> None:
    document = {"a": {"b": 1}, "c": [1], "d": None}
    assert field(document, "a", "b") == 1
    assert [field(document, *path) for path in (["a", "x"], ["c", "b"], ["d", "b"], ["a", "b", "c"])] == [None] * 4


def test_text_takes_texts_and_whole_numbers_only() -> None:
    document = {
        "text": " a ",
        "number": 12,
        "blank": " ",
        "flag": True,
        "float": 1.5,
        "huge": 10**5000,
        "list": ["a"],
        "object": {},
        "null": None,
    }
    assert {name: found for name in document if (found := text(document, name)) is not None} == {"text": "a", "number": "12"}


def test_time_is_empty_without_a_value_and_rejected_when_it_cannot_be_read() -> None:
    assert read_time(None, "`created`") == ""
    assert read_time(" ", "`created`") == ""
    assert read_time("1700000000", "`created`") == "2023-11-14T22:13:20.000Z"
    with pytest.raises(Rejected, match="`created`: 'yesterday' is not a time"):
        read_time("yesterday", "`created`")


def test_first_text_skips_what_is_no_text() -> None:
    assert first_text({"a": None, "b": " ", "c": 7}, "a", "b", "c") == "7"
    assert first_text({"a": None}, "a", "b") is None
