"""Layouts that several commands print in: rows whose last columns take more lines where the console is narrow."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console


def grid(rows: Iterable[tuple[str, ...]], indent: int = 2, folded: int = 1) -> Padding:
    """Lay out rows of markup, indented by so many columns; so many of the last ones may take more lines."""
    listed = list(rows)
    table = Table.grid(padding=(0, 2, 0, 0))
    width = max(map(len, listed), default=0)
    for index in range(width):
        table.add_column(overflow="fold", no_wrap=index < width - folded)
    for row in listed:
        table.add_row(*row)
    return Padding(table, (0, 0, 0, indent), expand=False)


@contextmanager
def tidy(console: Console) -> Iterator[None]:
    """Print what is printed inside without blanks at the ends of lines, where it goes to a file or a pipe."""
    if console.is_terminal:
        yield
        return
    with console.capture() as captured:
        yield
    console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
