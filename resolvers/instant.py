"""Instants: epoch milliseconds inside, RFC 3339 UTC with milliseconds on topics."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

HOUR_MS = 3_600_000
EARLIEST_MS = -62_135_596_800_000
"""The beginning of the year 1, which stores count from."""

LATEST_MS = 253_402_300_799_999
"""The end of the year 9999, the last that RFC 3339 can write."""

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


Clock = Callable[[], int]
"""Gives the present in epoch milliseconds."""


def at_the_end() -> int:
    """Give a present in which everything that can lapse has: the clock of who has no other."""
    return LATEST_MS


def read_instant(text: str) -> int:
    """Read RFC 3339 text with a zone as epoch milliseconds, finer parts cut off.

    Raises ValueError for anything else, whatever else the running Python's own reader takes, and for a time whose UTC
    form lies outside the years 1 to 9999.
    """
    if not _RFC_3339.fullmatch(text):
        raise ValueError("it is not of the form 2024-01-02T03:04:05Z")
    instant = (datetime.fromisoformat(text) - _EPOCH) // _MS
    if not EARLIEST_MS <= instant <= LATEST_MS:
        raise ValueError("in UTC it lies outside the years 1 to 9999")
    return instant


@lru_cache(maxsize=100_000)
def write_instant(epoch_ms: int) -> str:
    """Write epoch milliseconds as `2024-01-02T03:04:05.678Z`."""
    return (_EPOCH + timedelta(milliseconds=epoch_ms)).isoformat(timespec="milliseconds")[:23] + "Z"


def hour_of(epoch_ms: int) -> int:
    """Count whole hours since the epoch: the grain to which last times are kept."""
    return epoch_ms // HOUR_MS
