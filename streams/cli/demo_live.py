"""What `nexus demo` shows while records flow: who appears, who turns out to be the same, what is refused.

Invariant: on a terminal a line of progress stays at the bottom; piped, there are only plain lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console

    from streams.demo.samples import Arrival

_SOURCE_WIDTH = 9


class Watching:
    """An audience at a console. Use it as a context manager around the session."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (SpinnerColumn(), BarColumn(16), TextColumn("{task.fields[counted]}"))
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task: TaskID | None = None
        self._names: dict[str, str] = {}
        self._born: dict[str, set[str]] = {"person": set(), "group": set()}
        self._ended: set[str] = set()
        self._members: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        """Start showing."""
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop showing; the progress goes, the lines stay."""
        self._progress.stop()

    def say(self, line: str) -> None:
        """Show what is prepared."""
        self._line(f"[dim]{escape(line)}[/]")

    def published(self, arrival: Arrival, count: int, total: int) -> None:
        """Move the bar on."""
        if self._task is None:
            self._line("")
            self._task = self._progress.add_task("publishing", total=total, counted="")
        persons, groups = (len(self._born[kind] - self._ended) for kind in ("person", "group"))
        counted = f"{count} of {total}, now {arrival.source}: {persons} persons, {groups} companies"
        self._progress.update(self._task, completed=count, counted=counted)

    def told(self, record: Mapping[str, Any]) -> None:
        """Show what the timeline tells, as far as a person wants to see it pass."""
        entity_id, data = record["entity_id"], record["data"]
        match record["kind"]:
            case "entity.created":
                self._born[record["entity_type"]].add(entity_id)
                founder = data["founder"]
                if self._names.setdefault(entity_id, founder["value"]) == founder["value"]:
                    what = "new person" if record["entity_type"] == "person" else "new company"
                    self._happened(record, "green", what, f"{founder['type']} {founder['value']}")
            case "entity.merged" if "absorbed_id" in data:
                self._merged(record)
            case "trait.changed" if data["trait"] == "name" and data.get("new"):
                self._names[entity_id] = data["new"]
            case "membership.started":
                self._joined(record)
            case _:
                pass

    def refused(self, source: str, reason: str) -> None:
        """Show a dead letter."""
        self._line(f"[red]{source:<{_SOURCE_WIDTH}} dead letter[/] {escape(reason)}")

    def _merged(self, record: Mapping[str, Any]) -> None:
        absorbed, link = record["data"]["absorbed_id"], record["data"]["link"]
        self._ended.add(absorbed)
        name = self._names.get(absorbed)
        if name is not None:
            self._names.setdefault(record["entity_id"], name)
        if len(link) > 1:
            self._happened(record, "bold yellow", "the same!", " = ".join(one["value"] for one in link))
        else:
            self._happened(record, "yellow", "older id", f"{link[0]['value']} turns out to be older, and gives the id")

    def _joined(self, record: Mapping[str, Any]) -> None:
        """Show who belongs to whom, once, and only when both have a name by now: topics are read side by side."""
        ends = record["entity_id"], record["data"]["group_id"]
        names = tuple(self._names.get(one, "") for one in ends)
        if all(names) and names not in self._members:
            self._members.add((names[0], names[1]))
            self._happened(record, "blue", "belongs", f"{names[0]} to {names[1]}")

    def _happened(self, record: Mapping[str, Any], style: str, what: str, about: str) -> None:
        self._line(f"[dim]{record['source'] or '':<{_SOURCE_WIDTH}}[/] [{style}]{what:<11}[/] {escape(about)}")

    def _line(self, line: str) -> None:
        if self._console.is_terminal:
            self._console.print(line, no_wrap=True, overflow="ellipsis")
        else:
            self._console.print(line, soft_wrap=True)
