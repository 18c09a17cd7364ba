"""The command line `nexus`: one module per group of commands, each adding its own to the application.

Invariant: whatever fails on purpose ends as one clear line on standard error and a non-zero exit; a traceback is a bug.
Standard output is for results alone: the log is on standard error before any command begins.
Modules import what is slow inside their commands, so that `nexus --help` is quick.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from errno import ENOSPC
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

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


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, of this process where no other is given, and end the process: 1 for a failure, 2 for wrong usage."""
    try:
        code = build_app()(arguments, prog_name="nexus", standalone_mode=False)
    except TyperException as error:
        _fail(_usage(error), error.exit_code)
    except typer.Abort:
        _fail("nothing was done: there was no answer", 1)
    except NexusError as error:
        _fail(str(error), 1)
    except OSError as error:
        if error.filename is None and error.errno != ENOSPC:
            raise
        _fail(": ".join(map(str, filter(None, (error.filename, error.strerror)))), 1)
    sys.exit(code if isinstance(code, int) else 0)


def _usage(error: TyperException) -> str:
    """Say what is wrong with how a command was called, in one line; empty where its help has been printed in place of that."""
    said = " ".join(error.format_message().split()).removesuffix(".")
    context = getattr(error, "ctx", None)
    return f"{said}; see {context.command_path} --help" if said and context else said


def _fail(said: str, code: int) -> NoReturn:
    if said:
        print(f"nexus: {said}", file=sys.stderr)
    sys.exit(code)
