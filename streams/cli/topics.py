"""`nexus topics plan` and `nexus topics apply`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import typer

from streams.cli.options import ConfigOption, JsonOption
from streams.cli.output import print_json

if TYPE_CHECKING:
    from streams.topics import Change


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Show or make the changes that the Kafka topics need.", no_args_is_help=True)
    group.command("plan")(plan)
    group.command("apply")(apply)
    app.add_typer(group, name="topics")


def plan(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show which topics are missing and which have other settings than they should; change nothing."""
    from streams.settings import load_settings  # noqa: PLC0415 - keeps `nexus --help` quick
    from streams.topics import planned  # noqa: PLC0415

    _print(asyncio.run(planned(load_settings(config))), as_json, "would be")


def apply(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Make the topics that are missing and set what should be set. Topics of sources that exist are left alone."""
    from streams.settings import load_settings  # noqa: PLC0415
    from streams.topics import ensure_topics  # noqa: PLC0415

    _print(asyncio.run(ensure_topics(load_settings(config))), as_json, "was")


def _print(changes: list[Change], as_json: bool, verb: str) -> None:
    if as_json:
        print_json({"changes": [_row(change) for change in changes]})
        return
    for change in changes:
        for line in _lines(change, verb):
            print(line)
    if not changes:
        print("all topics are as they should be")


def _row(change: Change) -> dict[str, Any]:
    from streams.topics import CreateTopic  # noqa: PLC0415

    if isinstance(change, CreateTopic):
        return {"change": "create", "topic": change.name, "partitions": change.partitions, "config": dict(change.config)}
    return {"change": "alter", "topic": change.name, "from": dict(change.old), "to": dict(change.new)}


def _lines(change: Change, verb: str) -> list[str]:
    from streams.topics import CreateTopic  # noqa: PLC0415

    if isinstance(change, CreateTopic):
        config = ", ".join(f"{key}={value}" for key, value in change.config.items())
        return [f"{change.name} {verb} made: {change.partitions} partitions, {config}"]
    return [f"{change.name} {verb} changed: {key} from {change.old[key] or '(empty)'} to {change.new[key]}" for key in change.new]
