"""The ends of log files, for errors that show what a server said last."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_TAIL_BYTES = 16_384


def tail(path: Path, lines: int = 12) -> str:
    """Return the last lines of a file, or an empty text if it is not there."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def last_words(paths: Iterable[Path]) -> str:
    """Return the ends of those of the files that say something, each under its path."""
    return "\n".join(f"{path}:\n{said}" for path in paths if (said := tail(path)))
