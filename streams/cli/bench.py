"""`nexus bench`: events per second, by stage and end to end, beside plain aiokafka in the same run."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import ConfigOption, JsonOption, files_named
from streams.cli.output import print_json, say

if TYPE_CHECKING:
    from streams.bench import Own, Report, Sizes
    from streams.settings import Settings

RESULTS = Path("benchmarks/results")


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("bench")(bench)


def bench(
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="NAME=FILE", help="Measure these records, of a source of the settings, and not the benchmark's."),
    ] = None,
    records: Annotated[
        int | None, typer.Option(min=1_000, help="Source records of the stream; else 60,000, quick 6,000, of --source all.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes: whether it runs, not how fast.")] = False,
    guard: Annotated[bool, typer.Option("--guard", help="Exit 1 when a ratio is far worse than it should be, with wide margins.")] = False,
    results: Annotated[
        Path | None,
        typer.Option(
            "--results", metavar="DIR", help=f"Keep the report in this folder; else in {RESULTS} where it is there and not --quick."
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the pipeline: each stage alone, all of it, how it grows, how long an entity takes; all beside plain aiokafka.

    A Kafka and a Redis of its own are started and stopped again, unless the settings name addresses; there it uses
    topics and spaces of its own and deletes them. Entities and sources are the benchmark's. Takes some minutes.

    With --source it measures how fast your records are under your settings: stages, all of it with one and two workers,
    and a rebuild.
    """
    from dataclasses import replace  # noqa: PLC0415 - keeps `nexus --help` quick

    from resolvers.errors import NexusError, SettingsError  # noqa: PLC0415
    from streams.bench import FULL, QUICK, fallen, write_report  # noqa: PLC0415
    from streams.cli.bench_report import told  # noqa: PLC0415
    from streams.settings import load_settings  # noqa: PLC0415

    if source and (quick or guard):
        raise SettingsError("--source goes without --quick and --guard: what ratios should be is known of the benchmark's own stream")
    settings = load_settings(config)
    own, sizes = _own(settings, source), QUICK if quick else FULL
    what = f"bench-{own.source}" if own else "quick" if quick else "bench"
    most = records or (sys.maxsize if own else sizes.records)
    report = _held(settings, replace(sizes, records=most), what, own)
    if results is None and RESULTS.is_dir() and not quick:
        results = RESULTS
    if results is not None:
        say(f"kept in {write_report(report, results)}")
    if as_json:
        print_json(report.as_json())
    else:
        for line in told(report):
            print(line)
    if guard and (found := fallen(report)):
        raise NexusError("; ".join(found))


def _own(settings: Settings, source: str | None) -> Own | None:
    from streams.bench import Own  # noqa: PLC0415
    from streams.publishing import source_named  # noqa: PLC0415
    from streams.records_file import check_readable  # noqa: PLC0415

    if source is None:
        return None
    ((name, (file,)),) = files_named([source]).items()
    source_named(settings, name)
    check_readable([file])
    return Own(name, file)


def _held(settings: Settings, sizes: Sizes, what: str, own: Own | None) -> Report:
    """Make a run in a folder of its own, which stays only when something went wrong, for its logs."""
    from streams.bench import hold  # noqa: PLC0415

    directory = Path(tempfile.mkdtemp(prefix="nexus-bench-"))
    try:
        report = asyncio.run(hold(settings, directory, sizes, what, say, own))
    except Exception:
        say(f"the logs of the workers are in {directory}")
        raise
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    shutil.rmtree(directory, ignore_errors=True)
    return report
