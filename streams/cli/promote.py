"""`nexus promote`: a rebuilt space goes on on the topics of the live one."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime
from typing import Annotated

import typer

from streams.cli.options import ConfigOption, JsonOption
from streams.cli.output import print_json, say, someone_is_there


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("promote")(promote)


def promote(
    space: Annotated[str, typer.Argument(metavar="SPACE", help="The space that takes the place of that of the settings.")],
    keep_as: Annotated[
        str | None, typer.Option("--keep-as", metavar="NAME", help="What the live space is called from now on; else its name and the time.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; only a terminal is asked.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a rebuilt space in the place of the live one: its entities go on on the live topics, merges and splits announced.

    Stop the workers of both first. The settings are those that SPACE was made with, with the name of the live space. Interrupted, the
    same command goes on. What the live space was is kept under another name; promoting that undoes it.
    """
    from resolvers.errors import NexusError  # noqa: PLC0415 - keeps `nexus --help` quick
    from streams.promotion import promote as promoted  # noqa: PLC0415
    from streams.settings import load_settings  # noqa: PLC0415

    settings = load_settings(config)
    if not yes and someone_is_there():
        try:
            typer.confirm(f"Have space {space} take the place of {settings.space}, on {settings.topic('entities')}?", abort=True, err=True)
        except typer.Abort as error:
            raise NexusError("nothing was promoted: it asks for a yes, or for --yes") from error
    kept = keep_as or f"{settings.space}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    done = asyncio.run(promoted(settings, space, kept, say))
    if as_json:
        print_json(dataclasses.asdict(done))
        return
    print(f"space {done.into} is what {done.space} was; its workers tell the topics what has changed, once they run with these settings")
    if done.kept_as:
        print(f"what it was before is space {done.kept_as}: `nexus promote {done.kept_as}` with its settings takes it back")
    print(f"copied {done.participants:,} participants; the topics of {done.space} are of no more use")
