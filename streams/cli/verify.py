"""`nexus verify`: is everything as the event log says."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from streams.cli.options import ConfigOption, JsonOption
from streams.cli.output import print_json, say


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(verify)


def verify(
    config: ConfigOption = None,
    space: Annotated[str | None, typer.Option("--space", metavar="NAME", help="Another space than that of the settings.")] = None,
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option("--limit", min=0, metavar="N", help="Show so many differences of each kind.")] = 5,
    wait: Annotated[
        float, typer.Option("--wait", min=0, metavar="SECONDS", help="Wait so long for a pipeline that is still working.")
    ] = 30,
) -> None:
    """Recompute everything from the event log by an independent method; compare with Redis and the topics.

    Changes nothing. Exits 1 if anything differs.
    """
    from streams.settings import load_settings  # noqa: PLC0415 - keeps `nexus --help` quick
    from streams.verifying import verified  # noqa: PLC0415

    settings = load_settings(config)
    if space is not None:
        settings = settings.model_copy(update={"space": space})
    report = asyncio.run(verified(settings, wait_seconds=wait))
    if as_json:
        print_json(report.as_json(limit))
    else:
        for line in report.lines(limit):
            print(line)
    if not report.ok:
        say("nexus: " + (f"{len(report.differences):,} differences" if report.differences else "the pipeline is still working"))
        raise typer.Exit(1)
