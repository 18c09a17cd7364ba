"""`nexus adapt`: run a source's adapter on a file and show what comes out, without Kafka."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import ConfigOption
from streams.cli.output import print_json, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from streams.adapters.preview import Outcome
    from streams.events import Event
    from streams.settings import Settings

_SHOWN_CHARACTERS = 120


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("adapt")(adapt)


def adapt(
    file: Annotated[Path, typer.Argument(help="NDJSON or CSV, plain, .gz or .zst.")],
    source: Annotated[str, typer.Option("--source", "-s", help="A source of the settings.")],
    config: ConfigOption = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Stop after so many records.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON per record on standard output.")] = False,
) -> None:
    """Show the events that a file's records give, and the reasons of those that are rejected. No Kafka is needed.

    A rejection is a result, not a failure: the exit code stays 0.
    """
    from rich.console import Console  # noqa: PLC0415 - keeps `nexus --help` quick

    from streams.adapters.preview import Adapted  # noqa: PLC0415
    from streams.settings import load_settings  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=True)
    records = events = rejected = 0
    for outcome in islice(_outcomes(load_settings(config), source, file), limit):
        records += 1
        if isinstance(outcome, Adapted):
            events += len(outcome.events)
        else:
            rejected += 1
        if as_json:
            print_json(_row(outcome))
        else:
            _show(console, outcome)
    say(f"{records} records: {events} events, {rejected} rejected")


def _outcomes(settings: Settings, name: str, file: Path) -> Iterator[Outcome]:
    from resolvers.errors import SettingsError  # noqa: PLC0415
    from streams.adapters import build_adapter  # noqa: PLC0415
    from streams.adapters.preview import preview  # noqa: PLC0415
    from streams.records_file import read_records  # noqa: PLC0415
    from streams.settings.problem import suggestion  # noqa: PLC0415

    if name not in settings.sources:
        known = tuple(settings.sources)
        raise SettingsError(
            f"--source {name}: the settings have no such source; there are: {', '.join(known) or 'none'}{suggestion(name, known)}"
        )
    source = settings.sources[name]
    return preview(
        build_adapter(name, source, settings.times, settings.own_domains), read_records(file), source.topic, int(time.time() * 1000)
    )


def _row(outcome: Outcome) -> dict[str, Any]:
    import msgspec  # noqa: PLC0415

    from streams.adapters.preview import Adapted  # noqa: PLC0415

    number = outcome.record.offset + 1
    if isinstance(outcome, Adapted):
        return {"record": number, "events": msgspec.to_builtins(outcome.events)}
    return {"record": number, "rejected": outcome.reason}


def _show(console: Console, outcome: Outcome) -> None:
    from rich.markup import escape  # noqa: PLC0415

    from streams.adapters.preview import Adapted  # noqa: PLC0415

    number = outcome.record.offset + 1
    if isinstance(outcome, Adapted):
        for event in outcome.events:
            _show_event(console, number, event)
        return
    console.print(f"[red]record {number} is rejected[/]: {escape(outcome.reason)}")
    text = (outcome.record.value or b"").decode("utf-8", "replace")
    console.print(f"    {escape(text[:_SHOWN_CHARACTERS])}{'...' if len(text) > _SHOWN_CHARACTERS else ''}", style="dim")


def _show_event(console: Console, number: int, event: Event) -> None:
    from rich.markup import escape  # noqa: PLC0415

    amount = "" if event.value is None else f", {event.value:g} {event.value_unit or ''}".rstrip()
    head = f"[bold]{escape(event.name)}[/]  {event.occurred_at}  {escape(event.event_id)}{escape(amount)}"
    console.print(f"[green]record {number}[/] {head}")
    for index, participant in enumerate(event.participants):
        identifiers = ", ".join(f"{one.type} {one.value}" for one in participant.identifiers) or "no identifiers"
        details = [identifiers]
        details += [f"{name} = {value}" for name, value in participant.traits.items()]
        details += [f"state {name} = {value}" for name, value in participant.states.items()]
        role = f" ({participant.role})" if participant.role else ""
        console.print(f"    {index} {escape(participant.entity + role)}: {escape('; '.join(details))}")
    for membership in event.memberships:
        role = f" as {membership.role}" if membership.role else ""
        verb = "no longer belongs" if membership.ended else "belongs"
        console.print(f"    {membership.member} {verb} to {membership.group}{escape(role)}")
