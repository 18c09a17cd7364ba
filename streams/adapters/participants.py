"""Building blocks of participants: what any source's fields become as identifiers, traits and text.

Invariant: an identifier's value is non-empty text without outer blanks, and nothing else is done to it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from resolvers.errors import Rejected

_NUMBER = re.compile(r"[+-]?(?:\d{1,300}(?:\.\d{0,300})?|\.\d{1,300})(?:[eE][+-]?\d{1,3})?", re.ASCII)


def text_of(value: object) -> str | None:
    """Write a scalar as text: trimmed text, digits of a number (7.0 as `7`), `true` or `false`. Else, and for empty text, None."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, int):
        return str(value)
    return None


def number_of(value: object) -> float | None:
    """Read a number or the text of one; None when it is neither, or not finite."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()) is None:
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def identifier_values(value: object, what: str = "an identifier") -> list[str]:
    """List the identifier values that a field gives: lists at any depth are flattened, repeats left out, order kept.

    Null, empty text and booleans are left out. Raises Rejected for an object, which cannot be an identifier.
    """
    return list(dict.fromkeys(_flattened(value, what)))


def traits_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what is not empty; nested values stay as they are."""
    return {name: value for name, value in fields.items() if not is_empty(value)}


def is_empty(value: object) -> bool:
    """Tell whether a value says nothing: null, blank text, an empty list or object."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, list | dict) and not value)


def _flattened(value: object, what: str) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _flattened(item, what)
    elif isinstance(value, dict):
        raise Rejected(f"{what} is an object; it should be text, a number or a list of those: name the field inside it")
    elif not isinstance(value, bool):
        text = text_of(value)
        if text is not None:
            yield text
