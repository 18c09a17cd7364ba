"""Many cases in one test: every one is tried, and those that fail are named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

MOST_SHOWN = 3


class Cases:
    """Collects what fails; ends in one error that names all of it and shows the first few."""

    def __init__(self) -> None:
        self.tried = 0
        self._failed: dict[str, Exception] = {}

    def __enter__(self) -> Self:
        return self

    @contextmanager
    def case(self, name: str) -> Iterator[None]:
        """Try one case."""
        self.tried += 1
        try:
            yield
        except Exception as error:  # noqa: BLE001 - it is raised with the others, when all have been tried
            error.add_note(f"case: {name}")
            self._failed[name] = error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None and self._failed:
            named = "; ".join(self._failed)
            raise ExceptionGroup(f"{len(self._failed)} of {self.tried} cases fail: {named}", list(self._failed.values())[:MOST_SHOWN])
