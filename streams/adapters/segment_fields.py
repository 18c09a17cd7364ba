"""Fields of a Segment call by their several names: camel case, Jitsu's and the warehouses' snake case."""

from __future__ import annotations

from typing import Any

from resolvers.errors import Rejected, Why
from streams.adapters.participants import is_empty, text_of
from streams.times import format_time, parse_time

Path = tuple[str, ...]
"""Keys from the call inwards."""

_TIME_FIELDS = (
    "timestamp",
    "originalTimestamp",
    "original_timestamp",
    "utc_time",
    "sentAt",
    "sent_at",
    "receivedAt",
    "received_at",
    "_timestamp",
)


def section(message: dict[str, Any], *path: str) -> dict[str, Any]:
    """Give the object that lies at a path, an empty one if there is none. Raises Rejected when it is something else."""
    node = message
    for depth, key in enumerate(path, 1):
        inner = node.get(key)
        if is_empty(inner):
            return {}
        if not isinstance(inner, dict):
            raise Rejected(f"`{'.'.join(path[:depth])}` of the call is not an object")
        node = inner
    return node


def scalar_id(message: dict[str, Any], path: Path) -> str | None:
    """Read the id at a path: text or a number. Raises Rejected for a list or an object, which is no id."""
    value: object = section(message, *path[:-1]).get(path[-1])
    if isinstance(value, list | dict):
        raise Rejected(f"`{'.'.join(path)}` of the call should be text or a number")
    return None if isinstance(value, bool) else text_of(value)


def any_id(message: dict[str, Any], *paths: Path) -> str | None:
    """Read the first of several paths that has an id. Raises Rejected."""
    for path in paths:
        value = scalar_id(message, path)
        if value is not None:
            return value
    return None


def message_time(message: dict[str, Any]) -> str:
    """Give when the call was made, as well as it knows; empty text when it has no time at all.

    `timestamp` is the sender's clock corrected, `originalTimestamp` the sender's own, the others are about sending.
    Raises Rejected for a time that cannot be read.
    """
    for field in _TIME_FIELDS:
        value = message.get(field)
        if is_empty(value):
            continue
        try:
            return format_time(parse_time(value))
        except ValueError as error:
            raise Rejected(f"`{field}` of the call: {error}", Why.TIME) from error
    return ""
