"""`nexus demo`: the whole pipeline on sample records, watched while it runs, and who came out and why."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import JsonOption
from streams.cli.output import print_json, say

if TYPE_CHECKING:
    from streams.demo import Audience, Outcome


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("demo")(demo)


def demo(
    pace: Annotated[float, typer.Option(min=0, max=600, help="Seconds that publishing takes, so that it can be watched.")] = 5.0,
    as_json: JsonOption = False,
) -> None:
    """Run all of it on sample records of six sources, and show who came out and why they were joined.

    A Kafka and a Redis of the demo's own are started and stopped again, unless NEXUS__KAFKA__BOOTSTRAP_SERVERS and
    NEXUS__REDIS__URL name others; there the demo uses a space and topics of its own and deletes them.
    """
    begin = time.monotonic()
    if as_json:
        print_json(_plain(_held(_Quiet(), pace)))
        return
    from rich.console import Console  # noqa: PLC0415

    from streams.cli.demo_live import Watching  # noqa: PLC0415
    from streams.cli.demo_report import report  # noqa: PLC0415

    console = Console(highlight=False, emoji=False)
    with Watching(console) as watching:
        outcome = _held(watching, pace)
    report(console, outcome, time.monotonic() - begin)


def _held(audience: Audience, pace: float) -> Outcome:
    """Hold the session in a folder of its own, which stays only when something went wrong, for its logs."""
    from streams.demo import hold  # noqa: PLC0415
    from streams.demo.samples import sample_settings  # noqa: PLC0415

    settings = sample_settings()
    directory = Path(tempfile.mkdtemp(prefix="nexus-demo-"))
    try:
        outcome = asyncio.run(hold(settings, directory, audience, pace))
    except Exception:
        say(f"the logs of the worker and of the stack are in {directory}")
        raise
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    shutil.rmtree(directory, ignore_errors=True)
    return outcome


class _Quiet:
    """Says what is prepared, and nothing of what happens."""

    def say(self, line: str) -> None:
        """Say it on standard error."""
        say(line)

    def published(self, *_: object) -> None:
        """Leave it."""

    def told(self, *_: object) -> None:
        """Leave it."""

    def refused(self, *_: object) -> None:
        """Leave it."""


def _plain(outcome: Outcome) -> dict[str, Any]:
    import msgspec  # noqa: PLC0415

    findings: dict[str, Any] = msgspec.to_builtins(outcome.findings)
    return {
        "records": outcome.records,
        "events": outcome.events,
        "timeline_records": outcome.timeline,
        "published_seconds": round(outcome.published, 3),
        "settled_seconds": round(outcome.settled, 3),
        "first_entity_seconds": None if outcome.first_entity is None else round(outcome.first_entity, 3),
        "records_per_second": round(outcome.records_per_second, 1),
        "verified": not outcome.differences,
        "differences": list(outcome.differences),
        **findings,
    }
