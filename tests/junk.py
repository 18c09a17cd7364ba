"""Junk for tests: every document with one value of it replaced by something that does not belong there."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

JUNK: list[Any] = [None, True, -1, 10**30, 1.5, "", "x", "@", [], [[]], ["x"], {}, {"id": {}}]


def with_junk(document: object) -> Iterator[Any]:
    """Give the document once for each place in it and each value that does not belong there."""
    yield from JUNK
    if isinstance(document, dict | list):
        for key, value in document.items() if isinstance(document, dict) else enumerate(document):
            for junk in with_junk(value):
                changed = copy.copy(document)
                changed[key] = junk
                yield changed
