"""The reference page of the command line, generated from the commands: `python -m streams.cli.reference`.

Invariant: the page says nothing that the commands do not. Its output is docs/reference/cli.md, and a test keeps the
two equal.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any

import typer.main

from streams.cli import build_app

HEAD = """\
# The command line

Generated from the code by `python -m streams.cli.reference`; do not edit.

Every command has `--help`, and `nexus --version` prints the version. Results go to standard output, progress and messages
to standard error. Whatever fails ends as one clear line and a non-zero exit.
"""


def page() -> str:
    """Return the whole page as Markdown."""
    lines = [HEAD]
    for name, command in typer.main.get_command(build_app()).commands.items():  # type: ignore[attr-defined]
        lines += _command(f"nexus {name}", command)
    return "\n".join(lines).rstrip() + "\n"


def _command(name: str, command: Any) -> Iterator[str]:  # noqa: ANN401 - typer's own, of no public type
    below = getattr(command, "commands", None)
    if below:
        for inner, one in below.items():
            yield from _command(f"{name} {inner}", one)
        return
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option"]
    yield f"## `{' '.join([name, *map(_argument, arguments)])}`\n"
    yield f"{inspect.cleandoc(command.help or '')}\n"
    yield "| argument or option | default | meaning |"
    yield "|---|---|---|"
    for one in arguments:
        yield f"| `{_argument(one)}` | {'must be given' if one.required else ''} | {one.help or ''} |"
    for one in options:
        yield f"| `{_option(one)}` | {_default(one)} | {one.help or ''} |"
    yield ""


def _argument(one: Any) -> str:  # noqa: ANN401
    word = one.metavar or one.name.upper()
    return f"{word}..." if one.nargs == -1 else word


def _option(one: Any) -> str:  # noqa: ANN401
    spelt = ", ".join(sorted(one.opts, key=len, reverse=True))
    return spelt if one.is_flag else f"{spelt} {one.metavar or one.name.upper()}"


def _default(one: Any) -> str:  # noqa: ANN401
    if one.required:
        return "must be given"
    return "" if one.is_flag or one.default is None else f"`{one.default}`"


if __name__ == "__main__":
    sys.stdout.write(page())
