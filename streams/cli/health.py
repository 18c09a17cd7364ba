"""`nexus health`: ask a worker of this host whether it is alive or ready, for probes that run a command.

Invariant: the exit code is the answer. Neighbours: the worker's own `/livez` and `/readyz`.
"""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.options import ConfigOption, JsonOption
from streams.cli.output import print_json


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("health")(health)


def health(
    config: ConfigOption = None,
    live: Annotated[bool, typer.Option("--live/--ready", help="Whether its work gets on, or whether it has all it needs.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Ask the worker that these settings' worker.admin_port belongs to. Exits 1 if it says no or does not answer."""
    from streams.probing import admin_url, asked  # noqa: PLC0415 - keeps `nexus --help` quick
    from streams.settings import load_settings  # noqa: PLC0415

    verdict = asked(f"{admin_url(load_settings(config))}/{'livez' if live else 'readyz'}")
    if as_json:
        print_json(dict(verdict))
    else:
        word = "live" if live else "ready"
        print(word if verdict["ok"] else f"not {word}")
        for line in (*verdict["missing"], *verdict["notes"]):
            print(f"  {line}")
    if not verdict["ok"]:
        raise typer.Exit(1)
