"""Fields of decoded documents: read what is there, and never fail on what is not, whatever JSON came.

Neighbours: the adapters of mail, calendars, payments and shops read their documents with these.
"""

from __future__ import annotations

from collections.abc import Mapping

from resolvers.errors import Rejected, Why
from streams.times import format_time, parse_time

_LARGEST_BITS = 64


def field(node: object, *path: str) -> object:
    """Follow keys through nested objects; None where one of them is missing or is no object."""
    for key in path:
        if not isinstance(node, Mapping):
            return None
        node = node.get(key)
    return node


def text(node: object, *path: str) -> str | None:
    """Read a text or a whole number as trimmed text; None for everything else and for nothing but blanks."""
    value = field(node, *path)
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= _LARGEST_BITS:
        return str(value)
    return (value.strip() or None) if isinstance(value, str) else None


def first_text(node: object, *keys: str) -> str | None:
    """Read the first of several keys that has a text."""
    return next((found for key in keys if (found := text(node, key)) is not None), None)


def read_time(value: object, what: str) -> str:
    """Write a time of any source as the events write it; "" for null and blank. Raises Rejected if it can't be read."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return ""
    try:
        return format_time(parse_time(value))
    except ValueError as error:
        raise Rejected(f"{what}: {error}", Why.TIME) from error
