"""Commands along the way of the data: run a worker, publish records, follow a topic."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import ConfigOption, JsonOption
from streams.cli.output import print_json

if TYPE_CHECKING:
    from aiokafka.structs import ConsumerRecord


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("worker")(worker)
    app.command("publish")(publish)
    app.command("tail")(tail)


def worker(
    config: ConfigOption = None,
    json_log: Annotated[bool, typer.Option("--json", help="Log one JSON object a line.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Log what the libraries do, too.")] = False,
) -> None:
    """Run a worker until it is stopped. Several share the load; each stops within worker.drain_seconds of SIGTERM."""
    from streams.running import run_worker  # noqa: PLC0415 - keeps `nexus --help` quick
    from streams.settings import load_settings  # noqa: PLC0415

    raise typer.Exit(run_worker(load_settings(config), json_log=json_log, debug=debug))


def publish(
    source: Annotated[str, typer.Argument(help="A source of the settings.")],
    files: Annotated[list[Path], typer.Argument(help="NDJSON or CSV, plain, .gz or .zst.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write files of records to a source's topic; ends when Kafka has acknowledged all of them."""
    from streams.publishing import publish_files, source_named  # noqa: PLC0415
    from streams.settings import load_settings  # noqa: PLC0415

    settings = load_settings(config)
    topic = source_named(settings, source).topic
    count = asyncio.run(publish_files(settings, source, files, show_progress=not as_json and sys.stderr.isatty()))
    if as_json:
        print_json({"source": source, "topic": topic, "records": count})
    else:
        print(f"{count:,} records of {source} are on {topic}")


def tail(
    topic: Annotated[str, typer.Argument(help="entities, events, timeline ..., a source, or a topic's full name.")],
    config: ConfigOption = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Show what is there already, too.")] = False,
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="Stop after so many records.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Follow a topic, one line per record, until interrupted."""
    from streams.following import follow, json_line, readable_line, topic_named  # noqa: PLC0415
    from streams.settings import load_settings  # noqa: PLC0415

    settings = load_settings(config)
    records = follow(settings, topic_named(settings, topic), from_beginning=from_beginning, count=count)
    try:
        asyncio.run(_print(records, json_line if as_json else readable_line))
    except KeyboardInterrupt:
        return
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _print(records: AsyncIterator[ConsumerRecord], write: Callable[[ConsumerRecord], str]) -> None:
    async for record in records:
        print(write(record), flush=True)
