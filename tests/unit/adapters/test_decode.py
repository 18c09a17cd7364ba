from __future__ import annotations

import pytest

from resolvers.errors import Rejected
from streams.adapters.decode import DEPTH_LIMIT, VALUE_LIMIT_BYTES, Document, compile_payload, decode
from streams.record import SourceRecord


def record(value: bytes | None) -> SourceRecord:
    return SourceRecord("raw", 0, 0, None, value, 0)


def nested(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


def test_an_object_is_decoded() -> None:
    assert decode(record(b'{"a": [1, 2.5, null, "\\u00e9"]}')) == Document({"a": [1, 2.5, None, "é"]})


def test_digits_of_large_whole_numbers_are_kept() -> None:
    assert decode(record(b'{"id": 123456789012345678901234567890}')).body == {"id": 123456789012345678901234567890}


def test_a_byte_order_mark_is_skipped() -> None:
    assert decode(record(b'\xef\xbb\xbf{"a":1}')).body == {"a": 1}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "no value"),
        (b"", "not valid JSON, it is malformed: .*empty"),
        (b'{"a": tru}', "not valid JSON, it is malformed: .* line 1 column 7"),
        (b'{"a":\n\n  x}', "not valid JSON, it is malformed: .* line 3 column 3"),
        (b'{"a": NaN}', "not valid JSON, it is malformed"),
        (b'{"a": 1e999}', "not valid JSON, it is malformed"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON, it is malformed"),
        (b'{"a": "\\ud800"}', "not valid JSON, it is malformed: .*surrogate"),
        (b'{"a": 1} {"a": 2}', "not valid JSON, it is malformed: unexpected content after document"),
        (b'{"a": "\xff"}', "not valid UTF-8: invalid start byte at byte 7"),
        (b"[1]", "the record is a list, and should be a JSON object"),
        (b'"text"', "is a text"),
        (b"12", "is a number"),
        (b"true", "is a boolean"),
        (b"null", "is null"),
        (b'{"a":"' + b"x" * VALUE_LIMIT_BYTES + b'"}', "1,048,584 bytes; at most 1,048,576"),
        (nested(DEPTH_LIMIT + 1), "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' + b"[" * 500_000 + b"]" * 500_000 + b"}", "nested too deeply"),
    ],
)
def test_what_cannot_be_read_is_rejected_with_a_reason(value: bytes | None, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        decode(record(value))


def test_the_deepest_allowed_nesting_and_wide_records_are_read() -> None:
    assert "a" in decode(record(nested(DEPTH_LIMIT))).body
    assert len(decode(record(b'{"a":[' + b",".join([b"[]"] * 10_000) + b"]}")).body["a"]) == 10_000


def test_a_payload_is_found_inside_its_envelope() -> None:
    document = decode(record(b'{"id": 1, "data": {"object": {"b": 2}}}'), compile_payload("data.object", "key"))
    assert document == Document({"b": 2}, {"id": 1, "data": {"object": {"b": 2}}})


def test_a_payload_that_is_json_text_is_parsed() -> None:
    document = decode(record(b'{"id": 1, "record": "{\\"b\\": 2}"}'), compile_payload("record", "key"))
    assert document.body == {"b": 2}
    assert document.envelope == {"id": 1, "record": '{"b": 2}'}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'{"id": 1}', "the payload at 'record' is missing or empty"),
        (b'{"record": ""}', "the payload at 'record' is missing or empty"),
        (b'{"record": "{\\"a\\": 1}, \\"b\\": 2}"}', "the payload at 'record' is not valid JSON, it is malformed: .* line 1 column 9"),
        (b'{"record": "[1]"}', "the payload at 'record' is a list"),
        (b'{"record": 5}', "the payload at 'record' is a number"),
    ],
)
def test_a_payload_that_cannot_be_read_is_rejected_with_its_place(value: bytes, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        decode(record(value), compile_payload("record", "key"))


def test_a_deep_payload_text_is_rejected() -> None:
    value = b'{"record": "' + b"[" * 2000 + b"]" * 2000 + b'"}'
    with pytest.raises(Rejected, match="the payload at 'record' is nested too deeply"):
        decode(record(value), compile_payload("record", "key"))
