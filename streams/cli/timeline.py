"""`nexus timeline`: what happened to an entity, also to one whose id ended.

Invariant: nothing is written. Neighbours: `ask` shows what is true now, or was at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import ConfigOption, JsonOption
from streams.cli.output import plain, print_json

if TYPE_CHECKING:
    from streams.life import Line
    from streams.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("timeline")(timeline)


def timeline(
    entity_id: Annotated[str, typer.Argument(metavar="ID", help="An entity id, also one that ended.")],
    start: Annotated[str | None, typer.Option("--from", metavar="TIME", help="Only what happened then or later: RFC 3339.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Only what happened before: RFC 3339.")] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="KIND", help="Only this kind, as state.changed, or its first word; may be repeated."),
    ] = None,
    others: Annotated[bool, typer.Option("--absorbed", help="Also what happened to ids that it absorbed, before and after.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what happened to an entity, in the order in which it was told. Exits 1 when the timeline tells nothing of it.

    One reading of the timeline partition in which the id lies; with --absorbed of the partitions of all these ids. It begins a day before
    --from, or before the entity was first seen, which Redis knows of one that lives; the day is times.ahead_seconds. What ids in several
    partitions were told stands in the order of the times of recording.
    """
    from resolvers.errors import NexusError  # noqa: PLC0415 - keeps `nexus --help` quick
    from streams.life import Wanted  # noqa: PLC0415
    from streams.settings import load_settings  # noqa: PLC0415

    settings = load_settings(config)
    wanted = Wanted(_kinds(kind or ()), _instant("--from", start), _instant("--to", end))
    told = asyncio.run(_told(settings, entity_id, wanted.start, others=others))
    if not told:
        raise NexusError(f"{settings.topic('timeline')} tells nothing of {entity_id}" + (f" from {start} on" if start else ""))
    found = [line for line in told if wanted.has(line)]
    if as_json:
        print_json(found)
        return
    _show(found, of_several=others)
    print(f"{len(found):,} of {len(told):,} records")


async def _told(settings: Settings, entity_id: str, start: int | None, *, others: bool) -> list[Line]:
    from streams.life import first_known, lines_of, with_absorbed  # noqa: PLC0415

    if others:
        return await with_absorbed(settings, entity_id, start)
    known = [one for one in (start, await first_known(settings, entity_id)) if one is not None]
    return await lines_of(settings, [entity_id], max(known, default=None))


def _kinds(named: Iterable[str]) -> frozenset[str]:
    """Check that there are such kinds of records. Raises NexusError."""
    from resolvers.errors import NexusError  # noqa: PLC0415
    from streams.life import KINDS  # noqa: PLC0415
    from streams.settings.problem import suggestion  # noqa: PLC0415

    first_words = dict.fromkeys(kind.partition(".")[0] for kind in KINDS)
    for one in (kinds := frozenset(named)):
        if one not in KINDS and one not in first_words:
            raise NexusError(f"the timeline has no kind {one!r}{suggestion(one, (*first_words, *KINDS))}; there are {', '.join(KINDS)}")
    return kinds


def _instant(option: str, text: str | None) -> int | None:
    from resolvers.errors import NexusError  # noqa: PLC0415
    from resolvers.instant import read_instant  # noqa: PLC0415

    try:
        return None if text is None else read_instant(text)
    except ValueError as error:
        raise NexusError(f"{option} {text!r} is not an RFC 3339 time: {error}") from error


def _show(lines: list[Line], *, of_several: bool) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415

    from streams.cli.layout import grid, tidy  # noqa: PLC0415

    console = Console(highlight=False, emoji=False)
    with tidy(console):
        rows = []
        for line in lines:
            source = f"{line['source']} {line['event_id']}" if line["source"] else ""
            when = f"[dim]{line['occurred_at'][:19].replace('T', ' ')}[/]"
            told = (f"{line['entity_id']} " if of_several else "") + told_in_words(line["kind"], line["data"])
            rows.append((when, line["kind"], escape(plain(told)), f"[dim]{escape(plain(source))}[/]"))
        console.print(grid(rows, folded=2))


_MOST_VALUES = 5
"""So many of the values of a trait that came or went are printed."""

_WORDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "entity.created": lambda data: f"founded by {data['founder']['type']}:{data['founder']['value']}",
    "entity.merged": lambda data: f"absorbed {data['absorbed_id']}" if "absorbed_id" in data else f"into {data['merged_into']}",
    "entity.split": lambda data: f"into {', '.join(data['parts']) or 'nobody'}",
    "identifier": lambda data: f"{data['type']}:{data['value']}",
    "trait": lambda data: _values(data) if "added" in data else f"{data['trait']}: {data['old']!r} -> {data['new']!r}",
    "state.changed": lambda data: f"{data['state']}: {data['from']} -> {data['to']}",
    "state.corrected": lambda data: f"{data['state']}: {_intervals(data['old'])} -> {_intervals(data['new'])}",
    "state.refused": lambda data: f"{data['state']}: {data['value']}: {data['reason']}",
    "membership": lambda data: f"{data['group_id']}" + (f" as {data['role']}" if data.get("role") else ""),
}


def _values(data: dict[str, Any]) -> str:
    told = [f"{sign}{one!r}" for sign, side in (("+", "added"), ("-", "removed")) for one in data[side]]
    more = f" and {len(told) - _MOST_VALUES} more" if len(told) > _MOST_VALUES else ""
    return f"{data['trait']}: {', '.join(told[:_MOST_VALUES])}{more}"


def told_in_words(kind: str, data: dict[str, Any]) -> str:
    """Say what a record tells, in a line."""
    words = _WORDS.get(kind) or _WORDS.get(kind.partition(".")[0])
    return words(data) if words else ", ".join(f"{name} {value}" for name, value in data.items())


def _intervals(intervals: list[dict[str, Any]] | None) -> str:
    if intervals is None:
        return "all that was told"
    return ", ".join(f"{one['value']} {one['since'][:16]}..{(one['until'] or '')[:16]}" for one in intervals) or "nothing"
