"""What a peer is asked to do: everything at once, and then a little more."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol


class Peer(Protocol):
    """A way to resolve identifiers. One object lives through a load and what comes after it.

    A peer that has a part of the answer before the table is written notes in `reached`, by `time.perf_counter`, when the `first` record was
    resolved, and when all were, `resolved`.
    """

    reached: dict[str, float]

    needs: ClassVar[tuple[str, ...]]
    """The packages that it is made with, beside the standard library and this project."""

    def load(self, records: Path, table: Path) -> None:
        """Read all records and write the table."""

    def more(self, records: Path, later: Path, table: Path) -> None:
        """Resolve the records that came `later` too, until all of the answer is where its readers look."""

    def show(self, table: Path) -> None:
        """Write the table, if `more` did not; not timed."""

    def elsewhere(self) -> tuple[float, float]:
        """Tell the CPU seconds and the MiB of memory that other processes have spent on it."""

    def close(self) -> None:
        """Give back what it holds."""


class InOneProcess:
    """A peer that works in its own process alone, and writes the table by itself."""

    reached: dict[str, float]

    needs: ClassVar[tuple[str, ...]] = ()

    def show(self, table: Path) -> None:
        """Write nothing."""

    def elsewhere(self) -> tuple[float, float]:
        """Tell that nobody else worked."""
        return 0.0, 0.0

    def close(self) -> None:
        """Hold nothing."""


def package(name: str) -> Any:  # noqa: ANN401 - most come without types
    """Import a package that need not be installed, and comes with or without types."""
    return import_module(name)
