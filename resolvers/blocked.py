"""Guard 1: values that connect nothing, because many different people carry them.

A blocked value stays on its event. It is compared casefolded, both as the source wrote it and normalised, so that
`N/A` is found behind a normaliser that lower-cases.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import re2

_JUNK_WORDS = (
    "-1", "null", "none", "nil", "undefined", "nan", "anonymous", "guest", "unknown", "true", "false", "id", "email",
    "distinct_id", "not_authenticated", "[object object]", "n/a", "blank",
)  # fmt: skip

DEFAULT_JUNK: tuple[str, ...] = (
    "re:^[0-]*$",
    *_JUNK_WORDS,
    *(f"{quote}{word}{quote}" for word in _JUNK_WORDS for quote in "\"'`"),
    "test@test.com",
    "test@example.com",
)
"""Blocked in every space; a user's lists add to it."""


def pattern_of(entry: str) -> str | None:
    """Give the regular expression of an entry that is one (`re:...`), else None."""
    return entry[3:] if entry.startswith("re:") else None


@dataclass(frozen=True, slots=True)
class BlockedValues:
    """Exact values, casefolded, and one compiled alternative of all expressions; decides in constant time per value."""

    values: frozenset[str]
    patterns: tuple[str, ...]

    @classmethod
    def of(cls, entries: Iterable[str]) -> BlockedValues:
        """Sort entries into exact values and expressions. Raises ValueError for an expression that RE2 refuses."""
        listed = tuple(entries)
        patterns = tuple(pattern for entry in listed if (pattern := pattern_of(entry)) is not None)
        for pattern in patterns:
            _compiled(pattern)
        return cls(frozenset(entry.strip().casefold() for entry in listed if pattern_of(entry) is None), patterns)

    def blocks(self, raw: str, normalised: str) -> bool:
        """Say whether a value, as the source wrote it or normalised, is on the list."""
        forms = {raw.strip().casefold(), normalised.casefold()}
        if not self.values.isdisjoint(forms):
            return True
        return any(compiled.search(form) for compiled in map(_compiled, self.patterns) for form in forms)


@lru_cache(maxsize=10_000)
def _compiled(pattern: str) -> re2._Regexp[str]:
    """Compile with RE2, whose time is linear in the value: a list entry can't stall the stream."""
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        told = reason.decode() if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"{pattern!r} is not a regular expression that RE2 takes: {told}") from error
