"""`nexus erase`: have everything that was seen of somebody before a time count no more, and see first what that takes away.

Invariant: `--dry-run` sends nothing; what is sent names digests alone. Neighbours: `streams.erasing` does the work; the workers take
the commands in.
"""

from __future__ import annotations

import asyncio
import getpass
import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.correct import (
    MOST_SHOWN,
    ActorOption,
    DryRunOption,
    EntityOption,
    ReasonOption,
    command_document,
    cut_lines,
    name_of,
    preview_document,
    preview_lines,
)
from streams.cli.options import ConfigOption, JsonOption
from streams.cli.output import print_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streams.command import Command
    from streams.erasing import Asked, ForetoldErasure
    from streams.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("erase")(erase)


def erase(
    subjects: Annotated[
        list[str],
        typer.Argument(metavar="WHAT", help="The id of an entity, which covers all of its identifiers; or identifiers as TYPE:VALUE."),
    ],
    *,
    entity_type: EntityOption = None,
    cutoff: Annotated[
        str | None, typer.Option("--cutoff", metavar="TIME", help="Erase what was seen before this time: RFC 3339; else before now.")
    ] = None,
    dry_run: DryRunOption = False,
    reason: ReasonOption = "",
    actor: ActorOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase an entity: its identifiers, and what was seen with any of them before the cutoff, count no more, whenever it arrives.

    There is no way back. What is seen of the same identifiers later is another entity's. The records of the raw topics, the event
    log and the timeline's history stay: docs/how-to/erase-a-person.md says how to bound that.
    """
    from resolvers.instant import write_instant  # noqa: PLC0415 - keeps `nexus --help` quick
    from streams.dead_letters import now_ms  # noqa: PLC0415
    from streams.settings import load_settings  # noqa: PLC0415

    settings = load_settings(config)
    now = write_instant(now_ms())
    said = {"issued_at": now, "actor": actor if actor is not None else getpass.getuser(), "reason": reason}
    commands, found = asyncio.run(_run(settings, _asked(settings, subjects, entity_type), cutoff or now, said, dry_run=dry_run))
    if as_json:
        documents = [command_document(command) for command in commands]
        print_json(
            {
                "sent": not dry_run,
                "commands": documents,
                "spanning_links": found.spanning,
                **preview_document(found.preview, found.looked_at),
            }
        )
        return
    for line in _lines(found, sent=not dry_run):
        print(line)
    if not dry_run:
        names = ", ".join(command.command_id for command in commands)
        print(f"command {names} is on {settings.topic('commands')}; the workers take it in")


def _asked(settings: Settings, subjects: list[str], entity_type: str | None) -> Asked:
    """Read what is to be erased: an entity id, or identifiers."""
    from resolvers.errors import NexusError  # noqa: PLC0415
    from resolvers.identifier import founder_of  # noqa: PLC0415
    from streams.cli.explain import asked  # noqa: PLC0415
    from streams.erasing import Asked  # noqa: PLC0415
    from streams.graph import rules_of  # noqa: PLC0415

    try:
        founder_of(subjects[0])
    except ValueError:
        rules = rules_of(settings)
        return Asked(identifiers=tuple(dict.fromkeys(asked(rules, text, entity_type) for text in subjects)))
    if len(subjects) > 1:
        raise NexusError("one entity is erased at a time; several identifiers may be named together")
    return Asked(subjects[0])


async def _run(
    settings: Settings, asked: Asked, cutoff: str, said: dict[str, str], *, dry_run: bool
) -> tuple[Sequence[Command], ForetoldErasure]:
    """Look at what is taken away, and send the commands. Raises NexusError."""
    from resolvers.errors import NexusError, Rejected, StoreMismatch  # noqa: PLC0415
    from streams.cli.ask import no_space  # noqa: PLC0415
    from streams.correcting import send  # noqa: PLC0415
    from streams.dead_letters import now_ms  # noqa: PLC0415
    from streams.erasing import commands, cover, foretell_erasure  # noqa: PLC0415

    try:
        covered = await cover(settings, asked)
        written = list(commands(settings, covered, cutoff, command_id=uuid.uuid4().hex, **said))
        found = await foretell_erasure(settings, covered, written, now_ms())
    except Rejected as error:
        raise NexusError(str(error)) from error
    except StoreMismatch as error:
        raise NexusError(no_space(settings)) from error
    if not dry_run:
        for command in written:
            await send(settings, command)
    return written, found


def _lines(found: ForetoldErasure, *, sent: bool) -> Iterator[str]:
    """Say in words what is taken away."""
    will = "will be" if sent else "would be"
    for identifier in found.unseen:
        yield f"{name_of(identifier)} was not seen yet: what is seen of it before the cutoff will not count"
    if found.preview is None:
        yield from cut_lines(found.looked_at)
    else:
        lines = list(preview_lines(found.preview, will, erased=True))
        yield from lines[:MOST_SHOWN]
        if len(lines) > MOST_SHOWN:
            yield f"... and {len(lines) - MOST_SHOWN:,} more changes; --json has them all"
        if not lines:
            yield "no entity changes"
    if found.spanning:
        links = "1 link was" if found.spanning == 1 else f"{found.spanning:,} links were"
        known = "" if found.looked_at is None else "at least "
        yield f"{known}{links} last seen in the cutoff's hour or later: what was seen after it stays, and is read from the event log"
