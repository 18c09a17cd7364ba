"""The command line `nexus`: one module per group of commands, each adding its own to the application.

Invariant: whatever fails on purpose ends as one clear line on standard error and a non-zero exit; a traceback is a bug.
Standard output is for results alone: the log is on standard error before any command begins.
Modules import what is slow inside their commands, so that `nexus --help` is quick.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Annotated

import typer

from resolvers.errors import NexusError

GROUPS = (
    "demo",
    "stack",
    "run",
    "flow",
    "health",
    "dead_letters",
    "ask",
    "timeline",
    "explain",
    "correct",
    "erase",
    "scrub",
    "verify",
    "rebuild",
    "diff",
    "promote",
    "check",
    "doctor",
    "bench",
)
"""Modules of this package, in the order of `nexus --help`; each has `register(app)`."""


def build_app() -> typer.Typer:
    """Make the application with the commands of all groups."""
    app = typer.Typer(
        name="nexus",
        help="Real-time identity resolution on Kafka and Redis.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_start)
    for group in GROUPS:
        name = f"{__name__}.{group}"
        if find_spec(name) is not None:
            import_module(name).register(app)
    return app


def _say_version(asked: bool) -> None:
    if asked:
        print(f"nexus {version('nexus-streams')}")
        raise typer.Exit


def _start(
    _: Annotated[bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version and stop.")] = False,
) -> None:
    from streams.log import set_up_log  # noqa: PLC0415 - keeps `nexus --help` quick

    set_up_log()


def main() -> None:
    """Run the command line of this process."""
    try:
        build_app()()
    except NexusError as error:
        print(f"nexus: {error}", file=sys.stderr)
        sys.exit(1)
