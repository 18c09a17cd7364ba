"""`nexus rebuild`: the log replayed into a fresh space beside the live one, with progress."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resolvers.errors import NexusError
from streams.cli.options import ConfigOption, JsonOption
from streams.cli.output import print_json, say
from streams.cli.rebuild_live import Bar, Lines, Watching

if TYPE_CHECKING:
    from streams.rebuild import Plan, Summary
    from streams.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("rebuild")(rebuild)


def rebuild(
    into: Annotated[str, typer.Option("--into", metavar="SPACE", help="The space to fill: a new one, or one that was begun.")],
    config: ConfigOption = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes, at most as many as partitions are of use.")] = 1,
    batch_records: Annotated[int | None, typer.Option(min=1, max=10_000, help="Records of a batch; else worker.batch_records.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw away what is in SPACE first, its topics too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --fresh: do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Replay the whole log into a space beside the live one, by workers of its own, and tell its output topics.

    Interrupted, it stops its workers; the same command goes on from there. Events that come meanwhile are left to the
    workers of SPACE. The settings may have other rules than the live space was made with. Exits 130 or 143 when interrupted.
    """
    from streams.rebuild import Plan, beside  # noqa: PLC0415 - keeps `nexus --help` quick
    from streams.settings import load_settings  # noqa: PLC0415

    settings, plan = load_settings(config), Plan(into, workers, batch_records)
    target = beside(settings, plan)
    if fresh:
        _discarded(target, yes=yes)
    summary = _held(settings, plan)
    if as_json:
        print_json(_plain(summary))
    else:
        for line in _told(summary):
            print(line)


def _discarded(target: Settings, *, yes: bool) -> None:
    """Throw a space away, after asking."""
    from streams.discard import discard, output_topics  # noqa: PLC0415

    topics = ", ".join(output_topics(target))
    if not yes:
        try:
            typer.confirm(f"Throw away space {target.space}: what it holds in Redis, and topics {topics}?", abort=True, err=True)
        except typer.Abort as error:
            raise NexusError("nothing was thrown away: --fresh asks for a yes, or for --yes") from error
    deleted = asyncio.run(discard(target))
    say(f"threw away space {target.space} and {len(deleted)} topics")


def _held(settings: Settings, plan: Plan) -> Summary:
    """Rebuild in a folder of its own, of which the workers' logs stay when something went wrong."""
    from streams.rebuild import rebuild as rebuilt  # noqa: PLC0415

    directory = Path(tempfile.mkdtemp(prefix="nexus-rebuild-"))
    watching = Bar() if sys.stderr.isatty() else Lines()
    try:
        with watching:
            summary = asyncio.run(until_stopped(rebuilt(settings, plan, directory, watching), watching))
    except Stopped as stopped:
        shutil.rmtree(directory, ignore_errors=True)
        say(f"nexus: interrupted{watching.where()}; the same command, without --fresh, goes on from there")
        raise typer.Exit(128 + stopped.signal) from stopped
    except NexusError:
        if not _logs_kept(directory):
            shutil.rmtree(directory, ignore_errors=True)
        raise
    shutil.rmtree(directory, ignore_errors=True)
    return summary


def _logs_kept(directory: Path) -> bool:
    """Remove the settings, which hold secrets, and say where the logs are if there are any."""
    for file in directory.rglob("*.yaml"):
        file.unlink()
    if not any(directory.rglob("*.log")):
        return False
    say(f"the logs of the workers are in {directory}")
    return True


class Stopped(Exception):  # noqa: N818 - what happened
    """A signal asked the command to end, and it has."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


async def until_stopped(work: Coroutine[Any, Any, Summary], watching: Watching) -> Summary:
    """Do the work; the first signal cancels it, so that its workers are stopped, and a second one ends this process at once."""
    loop, task, received = asyncio.get_running_loop(), asyncio.ensure_future(work), list[int]()

    def stop(number: int) -> None:
        loop.remove_signal_handler(number)
        received.append(number)
        watching.say("stopping the workers; they finish what they began")
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        if received:
            raise Stopped(received[0]) from None
        raise


def _told(summary: Summary) -> list[str]:
    space, applied = summary.space, summary.events - summary.begun_at
    if not summary.seconds:
        held = f"all {summary.events:,} events already, and its topics are told" if summary.events else "nothing: the event log is empty"
        lines = [f"space {space} holds {held}"]
    else:
        parts = f"applied in {summary.applying_seconds:.1f} s, told in {summary.telling_seconds:.1f} s"
        lines = [f"{applied:,} events in {summary.seconds:.1f} s ({summary.events_per_second:,.0f} a second): {parts}"]
        lines += [f"{summary.begun_at:,} events were in space {space} before"] if summary.begun_at else []
    lines += [f"  {count:>9,}  {word}" for word, count in summary.counts.items()]
    lines += [f"{summary.came:,} events came meanwhile; the workers of space {space} apply them"] if summary.came else []
    return [
        *lines,
        f"check it with `nexus verify --space {space}`; workers with NEXUS__SPACE={space} (or space: {space}) keep it up to date",
    ]


def _plain(summary: Summary) -> dict[str, Any]:
    return {
        "space": summary.space,
        "events": summary.events,
        "events_before": summary.begun_at,
        "events_waiting": summary.came,
        "seconds": round(summary.seconds, 3),
        "applying_seconds": round(summary.applying_seconds, 3),
        "telling_seconds": round(summary.telling_seconds, 3),
        "events_per_second": round(summary.events_per_second, 1),
        **summary.counts,
    }
