"""Options that several commands share, so that they are spelt and explained alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="Settings file; else NEXUS_CONFIG, else ./nexus.yaml, else defaults."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


def files_named(sources: list[str]) -> dict[str, list[Path]]:
    """Read values of --source, by the source. Raises SettingsError."""
    from resolvers.errors import SettingsError  # noqa: PLC0415 - keeps `nexus --help` quick

    found: dict[str, list[Path]] = {}
    for one in sources:
        name, separator, file = one.partition("=")
        if not separator or not name or not file:
            raise SettingsError(f"--source {one}: write NAME=FILE, such as crm=contacts.jsonl.gz")
        if not Path(file).is_file():
            raise SettingsError(f"--source {one}: there is no file {file}")
        found.setdefault(name, []).append(Path(file))
    return found
