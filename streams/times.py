"""The times of events: epoch milliseconds inside, RFC 3339 UTC with milliseconds outside.

Invariant: `parse_time(format_time(ms)) == ms` for every millisecond of the years 1 to 9999. Adapters read times of
any source with `parse_time`; whatever this project writes went through `format_time`.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from functools import lru_cache

from streams.record import SourceRecord

SECONDS_BELOW = 10**11
"""Numbers smaller than this are epoch seconds, others epoch milliseconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY_MS = 86_400_000
_MIN_MS = (1 - _EPOCH_DAY) * _DAY_MS
_MAX_MS = (date.max.toordinal() - _EPOCH_DAY + 1) * _DAY_MS - 1

_CANONICAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_RFC_3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,30}))?)?"
    r" ?([Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_NUMBER = re.compile(r"[+-]?\d{1,30}(?:\.\d{0,30})?(?:[eE][+-]?\d{1,2})?", re.ASCII)
_SHOWN_CHARACTERS = 60


def parse_time(value: object) -> int:
    """Read a time as epoch milliseconds; finer digits are cut off.

    Takes RFC 3339 text (also with a space for the `T`, without seconds, without a zone, which means UTC, or only a
    date, which means midnight UTC) and numbers: epoch seconds below 10^11, else milliseconds. Text of a number is
    read as that number. A leap second counts as the first second of the next minute.

    Raises ValueError, whose text is a reason for people.
    """
    if isinstance(value, str):
        if _CANONICAL.fullmatch(value) is not None:
            return _parse_canonical(value)
        return _parse_text(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _parse_number(value)
    kind = "null" if value is None else type(value).__name__
    raise ValueError(f"{kind} is not a time: give RFC 3339 text or epoch seconds or milliseconds")


def format_time(ms: int) -> str:
    """Write epoch milliseconds as `2024-01-02T03:04:05.678Z`. Raises ValueError outside the years 1 to 9999."""
    if not _MIN_MS <= ms <= _MAX_MS:
        raise ValueError(f"{ms} ms lies outside the years 1 to 9999")
    day, of_day = divmod(ms, _DAY_MS)
    seconds, millisecond = divmod(of_day, 1000)
    minutes, second = divmod(seconds, 60)
    return f"{_day_text(day)}T{minutes // 60:02}:{minutes % 60:02}:{second:02}.{millisecond:03}Z"


def record_time(record: SourceRecord) -> str | None:
    """Write the Kafka timestamp of a record, or None when it has none that can be written."""
    if not 0 <= record.timestamp_ms <= _MAX_MS:
        return None
    return format_time(record.timestamp_ms)


@lru_cache(maxsize=4096)
def _day_text(day: int) -> str:
    return date.fromordinal(day + _EPOCH_DAY).isoformat()


def _parse_canonical(text: str) -> int:
    """Read the form that this project writes: every event passes here, so it takes the one call in C."""
    try:
        delta = datetime.fromisoformat(text) - _EPOCH
    except ValueError:
        return _parse_text(text)
    return delta.days * _DAY_MS + delta.seconds * 1000 + delta.microseconds // 1000


def _parse_text(text: str) -> int:
    stripped = text.strip()
    match = _RFC_3339.fullmatch(stripped)
    if match is not None:
        return _in_range(_from_fields(match, text), text)
    if _NUMBER.fullmatch(stripped) is not None:
        number = float(stripped) if any(mark in stripped for mark in ".eE") else int(stripped)
        return _parse_number(number)
    raise ValueError(f"{_shown(text)} is not a time: give RFC 3339 such as 2024-01-02T03:04:05Z, or epoch seconds or milliseconds")


def _from_fields(match: re.Match[str], text: str) -> int:
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH_DAY
    except ValueError as error:
        raise ValueError(f"{_shown(text)} is not a day of the calendar: {error}") from error
    hours, minutes, seconds = int(hour or 0), int(minute or 0), int(second or 0)
    if hours > 23 or minutes > 59 or seconds > 60:
        raise ValueError(f"{_shown(text)} is not a time of day")
    of_day = (hours * 3600 + minutes * 60 + seconds) * 1000 + int((fraction or "")[:3].ljust(3, "0"))
    return days * _DAY_MS + of_day - _offset_ms(zone, text)


def _offset_ms(zone: str | None, text: str) -> int:
    if zone is None or zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 23 or minutes > 59:
        raise ValueError(f"{_shown(text)} has no possible zone")
    offset = (hours * 60 + minutes) * 60_000
    return -offset if zone[0] == "-" else offset


def _parse_number(number: int | float) -> int:  # noqa: PYI041 - an int stays exact
    if isinstance(number, float) and not math.isfinite(number):
        raise ValueError(f"{number} is not a time")
    if abs(number) < SECONDS_BELOW:
        return _in_range(math.floor(round(number * 1000, 3)), number)
    return _in_range(math.floor(number), number)


def _in_range(ms: int, given: object) -> int:
    if not _MIN_MS <= ms <= _MAX_MS:
        raise ValueError(f"{_shown(given)} lies outside the years 1 to 9999: numbers are epoch seconds or milliseconds, nothing finer")
    return ms


def _shown(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 200:
        return "this number"
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
