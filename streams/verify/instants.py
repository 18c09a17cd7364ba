"""Instants, for checking: what an RFC 3339 text means, and how a time is written on the topics.

Written apart from the pipeline's own, so that a mistake in either shows. Times are epoch milliseconds, hours are
whole hours since the epoch.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

HOUR = 3_600_000
YEAR_ONE = 62_135_596_800_000
"""Milliseconds from the first of January of the year 1 to the epoch: what Redis adds so as not to pack negative times."""

_YEAR_9999_ENDS = YEAR_ONE + 253_402_300_799_999
_WRITTEN = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[-+][0-9]{2}:[0-9]{2})")
_YEAR_ONE = datetime(1, 1, 1, tzinfo=UTC)


def milliseconds(text: str) -> int | None:
    """Read a time with a zone, cutting off what is finer; None for a text that is no such time."""
    if not _WRITTEN.fullmatch(text):
        return None
    try:
        passed = datetime.fromisoformat(text) - _YEAR_ONE
    except (ValueError, OverflowError):
        return None
    whole = (passed.days * 86_400 + passed.seconds) * 1_000 + passed.microseconds // 1_000
    return whole - YEAR_ONE if 0 <= whole <= _YEAR_9999_ENDS else None


def written(ms: int) -> str:
    """Write a time as the topics do: UTC, with exactly three digits of a second."""
    seconds, rest = divmod(ms + YEAR_ONE, 1_000)
    day = _YEAR_ONE + timedelta(seconds=seconds)
    return f"{day.year:04}-{day.month:02}-{day.day:02}T{day.hour:02}:{day.minute:02}:{day.second:02}.{rest:03}Z"


def hour(ms: int) -> int:
    """Count the whole hours before a time; last times are kept to these."""
    return (ms - ms % HOUR) // HOUR
