"""`nexus dead-letters`: see what was refused, and send it back once its cause is mended.

Invariant: `list` and `show` change nothing; `replay` sends nothing that was not asked for, and a letter once.
Neighbours: `dead_letters_report` writes what is printed, `streams.letters` does the work.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import ConfigOption, JsonOption
from streams.cli.output import print_json, say

if TYPE_CHECKING:
    from streams.letters import Replay, Report, Selection

PROGRESS_SECONDS = 2.0


class State(StrEnum):
    """Which letters to list."""

    waiting = "waiting"
    replayed = "replayed"
    all = "all"


SourceOption = Annotated[str | None, typer.Option("--source", metavar="NAME", help="Letters of this source; also events, commands.")]
ReasonOption = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Letters whose reason contains this, in any case.")]
TopicOption = Annotated[str | None, typer.Option("--topic", metavar="RAW", help="Letters whose record lay on this topic.")]
SinceOption = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Letters written from then on: RFC 3339, or 30m, 2h, 7d ago.")
]
UntilOption = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Letters written before then.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="See the records that gave no event, and send them back after a fix.", no_args_is_help=True)
    group.command("list")(list_letters)
    group.command("show")(show)
    group.command("replay")(replay)
    app.add_typer(group, name="dead-letters")


def list_letters(
    *,
    source: SourceOption = None,
    reason: ReasonOption = None,
    topic: TopicOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    state: Annotated[State, typer.Option("--state", metavar="STATE", help="waiting, replayed or all.")] = State.waiting,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Show the newest N; of a summary, the most frequent.")] = 50,
    summary: Annotated[bool, typer.Option("--summary", help="Count by source and reason instead.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List dead letters, the newest last. Letters of one record are one letter, however often it was refused."""
    from streams.cli.dead_letters_report import listed, listed_json, summed, summed_json  # noqa: PLC0415 - keeps `nexus --help` quick
    from streams.letters import read_ledger  # noqa: PLC0415
    from streams.settings import load_settings  # noqa: PLC0415

    settings = load_settings(config)
    ledger = asyncio.run(read_ledger(settings, _selection([], source, reason, topic, since, until)))
    if as_json:
        print_json((summed_json if summary else listed_json)(ledger, state.value, limit))
        return
    for line in (summed if summary else listed)(ledger, state.value, limit):
        print(line)


def show(
    letter: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="A letter, as `list` names it.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show all there is about a dead letter: reason, traceback, headers, bytes, and when it was sent back."""
    from streams.cli.dead_letters_report import shown, shown_json  # noqa: PLC0415 - keeps `nexus --help` quick
    from streams.letters import Name, find  # noqa: PLC0415
    from streams.settings import load_settings  # noqa: PLC0415

    name = Name.parse(letter)
    found = asyncio.run(find(load_settings(config), name))
    if as_json:
        print_json(shown_json(found))
        return
    for line in shown(found):
        print(line)


def replay(
    letters: Annotated[list[str] | None, typer.Argument(metavar="PARTITION:OFFSET", help="Letters, as `list` names them.")] = None,
    *,
    source: SourceOption = None,
    reason: ReasonOption = None,
    topic: TopicOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    every: Annotated[bool, typer.Option("--all", help="Every letter.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also letters that were replayed already.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send dead letters back to the topic they came from, each once; name them or say which.

    Repeating, interrupting or running it twice at once sends no letter twice. Exits 1 if one can't be sent.
    """
    from streams.cli.dead_letters_report import replayed, replayed_json  # noqa: PLC0415 - keeps `nexus --help` quick
    from streams.letters import Replay  # noqa: PLC0415
    from streams.settings import load_settings  # noqa: PLC0415

    selection = _chosen(_selection(letters or [], source, reason, topic, since, until), every=every)
    run = Replay(load_settings(config), selection, _now_ms, again=again, advance=_progress())
    report = asyncio.run(run.look()) if dry_run else _run(run, again=again)
    if as_json:
        print_json(replayed_json(report, dry_run=dry_run))
    else:
        for line in replayed(report, dry_run=dry_run):
            print(line)
    if report.not_sent:
        first = report.not_sent[0]
        say(f"nexus: {len(report.not_sent):,} letters can't be sent back; the first: {first.letter.name}: {first.why}")
        raise typer.Exit(1)


def _selection(
    names: list[str], source: str | None, reason: str | None, topic: str | None, since: str | None, until: str | None
) -> Selection:
    from streams.letters import Name, Selection, moment  # noqa: PLC0415

    now_ms = _now_ms()
    since_ms, until_ms = (None if text is None else moment(text, now_ms) for text in (since, until))
    return Selection(frozenset(map(Name.parse, names)), source, reason, topic, since_ms, until_ms)


def _chosen(selection: Selection, *, every: bool) -> Selection:
    """Give the selection back if it says clearly what to send. Raises SettingsError."""
    from resolvers.errors import SettingsError  # noqa: PLC0415

    if every and selection.chooses:
        raise SettingsError("--all sends every letter: leave it out, or the letters and options that choose some")
    if selection.names and selection.by_kind:
        raise SettingsError("name letters, or choose them by --source, --reason, --topic, --since and --until, not both")
    if not every and not selection.chooses:
        raise SettingsError("which letters? Name them, or say --source, --reason, --topic, --since, --until or --all")
    return selection


def _run(run: Replay, *, again: bool) -> Report:
    """Replay, and say what was sent also where it ends early."""
    from streams.letters import told_already  # noqa: PLC0415

    async def replaying() -> Report:
        asyncio.get_running_loop().set_exception_handler(told_already)
        return await run.run()

    try:
        return asyncio.run(replaying())
    except BaseException:
        if sent := run.report.sent.total():
            say(
                f"sent {sent:,} letters before it ended, each with its receipt"
                + ("" if again else "; the same command goes on with the others")
            )
        raise


def _progress() -> Callable[[int, int], None]:
    told = time.monotonic()

    def advance(sent: int, of: int) -> None:
        nonlocal told
        if time.monotonic() - told >= PROGRESS_SECONDS:
            told = time.monotonic()
            say(f"{sent:,} of {of:,} sent")

    return advance


def _now_ms() -> int:
    from streams.dead_letters import now_ms  # noqa: PLC0415

    return now_ms()
