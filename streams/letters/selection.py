"""The selection: which letters somebody asks for, by name or by source, reason, raw topic and time.

Pure functions of letters. Neighbours: the command line makes selections, `ledger` applies them while it reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from resolvers.errors import SettingsError
from streams.letters.letter import Letter, Name
from streams.times import parse_time

_AGO = re.compile(r"(\d{1,9})\s*([smhdw])", re.ASCII)
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}


@dataclass(frozen=True, slots=True)
class Selection:
    """What letters must be. What is left out allows every letter; `reason` is a part of the reason, in any case.

    Times are when a letter was written: from `since_ms` on, before `until_ms`. `names` choose by themselves.
    """

    names: frozenset[Name] = frozenset()
    source: str | None = None
    reason: str | None = None
    topic: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None

    @property
    def chooses(self) -> bool:
        """Say whether anything is asked for at all."""
        return self != Selection()

    @property
    def by_kind(self) -> bool:
        """Say whether letters are chosen by what they are, whatever their names."""
        return Selection(names=self.names) != self

    def matches(self, letter: Letter) -> bool:
        """Say whether a letter is of the kind asked for, whatever its name."""
        return (
            (self.source is None or letter.source == self.source)
            and (self.reason is None or self.reason.casefold() in letter.reason.casefold())
            and (self.topic is None or letter.record.topic == self.topic)
            and (self.since_ms is None or letter.time_ms >= self.since_ms)
            and (self.until_ms is None or letter.time_ms < self.until_ms)
        )


def moment(text: str, now_ms: int) -> int:
    """Read a time: RFC 3339, or so long ago: `30m`, `2h`, `7d`. Gives epoch milliseconds. Raises SettingsError."""
    match = _AGO.fullmatch(text.strip())
    if match is not None:
        return now_ms - int(match[1]) * _UNIT_MS[match[2]]
    try:
        return parse_time(text)
    except ValueError as error:
        raise SettingsError(f"{error}; or say how long ago: 30m, 2h, 7d") from error
