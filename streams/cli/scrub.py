"""`nexus scrub`: the event log and the commands copied without what erasures cover."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import ConfigOption, JsonOption
from streams.cli.output import print_json, say

if TYPE_CHECKING:
    from streams.scrubbing import Scrubbed

EVERY = 100_000


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("scrub")(scrub)


def scrub(
    to: Annotated[str, typer.Option("--to", metavar="PREFIX", help="The prefix of the topics to copy to; made if need be.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the event log and the commands, without what erasures cover, to topics of another prefix.

    Copies what is there now, and how far the raw topics are adapted: stop the workers of the adapt stage first. What to do
    with the copy is in docs/how-to/erase-a-person.md. Nothing of the original is changed.
    """
    from streams.scrubbing import scrub as scrubbed  # noqa: PLC0415 - keeps `nexus --help` quick
    from streams.settings import load_settings  # noqa: PLC0415

    said = 0

    def progress(done: Scrubbed) -> None:
        nonlocal said
        if done.events - said >= EVERY:
            said = done.events
            say(f"{done.events:,} events copied")

    done = asyncio.run(scrubbed(load_settings(config), to, progress))
    if as_json:
        print_json(dataclasses.asdict(done))
        return
    print(f"copied {done.events:,} events, without {done.participants_left_out:,} participants that were erased")
    print(f"copied {done.commands:,} commands, with {done.values_left_out:,} erased identifiers named by digest alone")
    if done.unreadable:
        print(f"{done.unreadable:,} records of the event log are no events, and were copied as they are")
