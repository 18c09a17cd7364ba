"""What `nexus rebuild` shows while it works: bars on a terminal, a line now and then elsewhere, on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from streams.cli.output import say

if TYPE_CHECKING:
    from rich.progress import TaskID

    from streams.tempo import Look, Phase

BETWEEN_LINES_SECONDS = 10.0


class Watching:
    """Follows a rebuild, and knows how far it came."""

    def __init__(self) -> None:
        self._last: Look | None = None

    def __enter__(self) -> Self:
        """Begin to show."""
        return self

    def __exit__(self, *_: object) -> None:
        """End showing."""

    def say(self, line: str) -> None:
        """Say a line on standard error."""
        say(line)

    def show(self, look: Look) -> None:
        """Remember a look."""
        self._last = look

    def where(self) -> str:
        """Say how far it came, to go on a sentence."""
        return f" at {self._last.done:,} of {self._last.total:,} {self._last.phase.value}" if self._last else ""


class Lines(Watching):
    """Says a line now and then, for logs."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said_at = clock()

    def show(self, look: Look) -> None:
        """Say how far it is, unless that was said, or the phase has begun, a moment ago."""
        begun = self._last is None or look.phase is not self._last.phase
        super().show(look)
        now = self._clock()
        if begun:
            self._said_at = now
        if now - self._said_at >= BETWEEN_LINES_SECONDS:
            self._said_at = now
            self.say(f"{look.done:,} of {look.total:,} {look.phase.value}, {tempo_of(look)}")


class Bar(Watching):
    """Shows a bar for each phase, on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

        super().__init__()
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TextColumn("{task.fields[tempo]}"))
        self._progress = Progress(*columns, console=Console(stderr=True, highlight=False))
        self._tasks: dict[Phase, TaskID] = {}

    def __enter__(self) -> Self:
        """Draw."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last state on the terminal."""
        self._progress.stop()

    def say(self, line: str) -> None:
        """Say a line above the bars."""
        self._progress.console.print(line, markup=False)

    def show(self, look: Look) -> None:
        """Draw a look."""
        super().show(look)
        if look.phase not in self._tasks:
            self._tasks[look.phase] = self._progress.add_task(look.phase.value, tempo="")
        self._progress.update(self._tasks[look.phase], completed=look.done, total=look.total, tempo=tempo_of(look))


def tempo_of(look: Look) -> str:
    """Write how fast it goes and how long it will take."""
    rate = f"{look.per_second:,.0f} a second"
    return rate if look.left_seconds is None or look.done == look.total else f"{rate}, about {span(look.left_seconds)} left"


def span(seconds: float) -> str:
    """Write a time for people: the two largest units at most."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
