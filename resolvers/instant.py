"""Instants: epoch milliseconds inside, RFC 3339 UTC with milliseconds on topics."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

HOUR_MS = 3_600_000
EARLIEST_MS = -62_135_596_800_000
"""The beginning of the year 1, which stores count from."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def read_instant(text: str) -> int:
    """Read RFC 3339 text with a zone as epoch milliseconds, finer parts cut off. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no zone")
    return (moment - _EPOCH) // _MS


@lru_cache(maxsize=100_000)
def write_instant(epoch_ms: int) -> str:
    """Write epoch milliseconds as `2024-01-02T03:04:05.678Z`."""
    return (_EPOCH + timedelta(milliseconds=epoch_ms)).isoformat(timespec="milliseconds")[:23] + "Z"


def hour_of(epoch_ms: int) -> int:
    """Count whole hours since the epoch: the grain to which last times are kept."""
    return epoch_ms // HOUR_MS
