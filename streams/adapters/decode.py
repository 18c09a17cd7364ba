"""From the bytes of a source record to the JSON object that adapters read.

Invariant: what `decode` lets through is a JSON object of finite numbers and valid text, nested at most `DEPTH_LIMIT`
levels, so that adapters can walk and write it without guarding against its form. Everything else is Rejected with a
reason. What fields mean is the adapters' business, and what events may hold that of `complete`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from resolvers.errors import Rejected, Why
from streams.adapters.expression import Expression, compile_expression
from streams.record import SourceRecord

VALUE_LIMIT_BYTES = 1 << 20
"""The largest source record that is read."""

DEPTH_LIMIT = 100
"""The deepest nesting of objects and lists that is read."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_parse = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Document:
    """The decoded payload of a source record, and the object around it when the payload lies inside one."""

    body: dict[str, Any]
    envelope: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Payload:
    """Where the payload lies inside a record: the setting's text and its compiled expression."""

    text: str
    find: Expression


def compile_payload(text: str | None, where: str) -> Payload | None:
    """Compile a source's `payload` setting; None stays None. Raises SettingsError."""
    return None if text is None else Payload(text, compile_expression(text, where))


def decode(record: SourceRecord, payload: Payload | None = None) -> Document:
    """Decode a record's value, and find its payload. A JSON text there is parsed. Raises Rejected."""
    outer = as_object(parse_json(check_size(record), "the record"), "the record")
    if payload is None:
        return Document(outer)
    inner = payload.find(outer)
    what = f"the payload at {payload.text!r}"
    if inner is None or inner == "":
        raise Rejected(f"{what} is missing or empty: check the source's `payload` setting", Why.MALFORMED)
    if isinstance(inner, str):
        inner = parse_json(inner.encode(), what)
    return Document(as_object(inner, what), outer)


def check_size(record: SourceRecord) -> bytes:
    """Give the record's value; raise Rejected when there is none or it is larger than `VALUE_LIMIT_BYTES`."""
    if record.value is None:
        raise Rejected("the record has no value (a tombstone), and an adapter needs one", Why.MALFORMED)
    if len(record.value) > VALUE_LIMIT_BYTES:
        raise Rejected(f"the record has {len(record.value):,} bytes; at most {VALUE_LIMIT_BYTES:,} are read", Why.TOO_LARGE)
    return record.value


def parse_json(text: bytes, what: str) -> object:
    """Parse JSON of limited depth; `what` is the subject of messages. A byte order mark is skipped. Raises Rejected."""
    if text.startswith(_BYTE_ORDER_MARK):
        text = text.removeprefix(_BYTE_ORDER_MARK)
    try:
        document: object = _parse(text)
    except RecursionError as error:
        raise _too_deep(what) from error
    except (ValueError, msgspec.MsgspecError) as error:
        raise Rejected(_why_malformed(text, what, error), Why.MALFORMED) from error
    if text.count(b"{") + text.count(b"[") > DEPTH_LIMIT and _depth_exceeds(document, DEPTH_LIMIT):
        raise _too_deep(what)
    return document


def as_object(document: object, what: str) -> dict[str, Any]:
    """Give the document if it is a JSON object. Raises Rejected."""
    if not isinstance(document, dict):
        raise Rejected(f"{what} is {_kind(document)}, and should be a JSON object", Why.MALFORMED)
    return document


def _too_deep(what: str) -> Rejected:
    return Rejected(f"{what} is nested too deeply: at most {DEPTH_LIMIT} levels of objects and lists are read", Why.TOO_LARGE)


def _why_malformed(text: bytes, what: str, error: Exception) -> str:
    """Say what is wrong and where. The second parser is asked because it gives lines and columns."""
    try:
        text.decode()
    except UnicodeDecodeError as invalid:
        return f"{what} is not valid UTF-8: {invalid.reason} at byte {invalid.start}; write it as UTF-8"
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as located:
        return f"{what} is not valid JSON, it is malformed: {located}"
    return f"{what} is not valid JSON, it is malformed: {error}"


def _depth_exceeds(document: object, limit: int) -> bool:
    """Walk level by level, without recursion."""
    level: list[object] = [document]
    for _ in range(limit):
        below: list[object] = []
        for node in level:
            if isinstance(node, dict):
                below.extend(child for child in node.values() if isinstance(child, dict | list))
            elif isinstance(node, list):
                below.extend(child for child in node if isinstance(child, dict | list))
        if not below:
            return False
        level = below
    return True


def _kind(document: object) -> str:
    match document:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case _:
            return "a list"
