"""Problems: what is wrong with settings, as values that say where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: its key path, the value that is there, and what is allowed."""

    path: Path
    value: Any
    allowed: str


class ProblemsFound(ValueError):  # noqa: N818 - a list of findings, carried by an exception
    """Carries the problems out of a validator."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = problems


def suggestion(word: str, known: Sequence[str]) -> str:
    """Return `; did you mean 'x'?` for the closest known word, or nothing."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
