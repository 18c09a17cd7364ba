"""`nexus run`: a bounded run over files, with everything that came out in a folder."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import ConfigOption, JsonOption, files_named
from streams.cli.output import print_json, say

if TYPE_CHECKING:
    from streams.run import Summary


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("run")(run)


def run(
    source: Annotated[list[str], typer.Option("--source", metavar="NAME=FILE", help="A source and a file of records; may be repeated.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for events, entities, identifiers ... as NDJSON.")],
    config: ConfigOption = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 1,
    partitions: Annotated[int | None, typer.Option(min=1, max=1000, help="Partitions of the run's topics; else the settings'.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the run's topics and space in place.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Recompute everything independently and compare, before deleting.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Publish files, resolve them in a space and topics of their own, and write what came out.

    Without addresses in the settings the local stack is used, and started if need be.
    """
    from streams.run import Plan, bounded_run  # noqa: PLC0415 - keeps `nexus --help` quick
    from streams.settings import load_settings  # noqa: PLC0415

    settings = load_settings(config)
    if partitions:
        settings = settings.model_copy(update={"partitions": partitions})
    plan = Plan(files_named(source), out, workers, keep=keep, verify=verify)
    summary = asyncio.run(bounded_run(settings, plan, say))
    if as_json:
        print_json(_plain(summary))
    else:
        for line in _told(summary, out):
            print(line)
    if summary.verified is not None and not summary.verified.ok:
        raise typer.Exit(1)


def _told(summary: Summary, out: Path) -> list[str]:
    first = "none" if summary.first_entity_after is None else f"after {summary.first_entity_after:.2f} s"
    lines = [
        f"{summary.records:,} records in {summary.drained_after:.1f} s ({summary.records_per_second:,.0f} a second)",
        f"first entity {first}, last record published after {summary.published_after:.2f} s",
        *(f"  {count:>9,}  {out / name}.ndjson" for name, count in summary.counts.items()),
    ]
    if summary.verified is not None:
        lines += summary.verified.lines(10)
    return lines


def _plain(summary: Summary) -> dict[str, Any]:
    return {
        "records": summary.records,
        "lines": dict(summary.counts),
        "published_seconds": round(summary.published_after, 3),
        "first_entity_seconds": None if summary.first_entity_after is None else round(summary.first_entity_after, 3),
        "seconds": round(summary.drained_after, 3),
        "records_per_second": round(summary.records_per_second, 1),
        "space": summary.space,
        "verified": None if summary.verified is None else summary.verified.ok,
    }
