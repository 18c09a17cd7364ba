"""`nexus block`, `unblock`, `forbid`, `permit`, `link`, `unlink`: say something against the evidence, and see first what it changes.

Invariant: `--dry-run` sends nothing; without it exactly one command is sent, and what it changes is shown before that.
Neighbours: `streams.correcting` does the work; the workers take the command in.
"""

from __future__ import annotations

import asyncio
import getpass
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import ConfigOption, JsonOption
from streams.cli.output import plain, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from resolvers.identifier import Identifier
    from resolvers.preview import Preview
    from streams.command import Command
    from streams.correcting import Foretold, LookedAt
    from streams.settings import Settings

OneArgument = Annotated[str, typer.Argument(metavar="A", help="TYPE:VALUE, such as email:ann@x.example, or ENTITY:TYPE:VALUE.")]
OtherArgument = Annotated[str, typer.Argument(metavar="B", help="The other identifier, in the same form.")]
EntityOption = Annotated[str | None, typer.Option("--entity", metavar="ENTITY", help="Entity type; else the first that declares TYPE.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would change, and send nothing.")]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for people who read the commands later.")]
ActorOption = Annotated[str | None, typer.Option("--actor", metavar="NAME", help="Who says so; else the name of the account.")]

MOST_SHOWN = 20


ABOUT_ONE = {
    "block": "Have an identifier connect nothing any more, also in the past: who was joined by it alone is split.",
    "unblock": "Take a block back: the identifier connects again, and what was split by the block is merged.",
}
ABOUT_TWO = {
    "forbid": "Have two identifiers never be one entity, whatever links them.",
    "permit": "Take back that two identifiers are forbidden to be one entity.",
    "link": "Join two identifiers as if they had been seen together. Guards hold for this link as for any other.",
    "unlink": "Take a link back that was made by command. What events have shown together stays linked: forbid or block it.",
}
"""The commands, and what their help says."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for word, told in ABOUT_ONE.items():
        app.command(word)(_about_one(word, told))
    for word, told in ABOUT_TWO.items():
        app.command(word)(_about_two(word, told))


def _about_one(word: str, told: str) -> Callable[..., None]:
    def command(
        one: OneArgument,
        *,
        entity_type: EntityOption = None,
        dry_run: DryRunOption = False,
        reason: ReasonOption = "",
        actor: ActorOption = None,
        config: ConfigOption = None,
        as_json: JsonOption = False,
    ) -> None:
        _say(word, [one], entity_type, dry_run=dry_run, reason=reason, actor=actor, config=config, as_json=as_json)

    command.__doc__ = told
    return command


def _about_two(word: str, told: str) -> Callable[..., None]:
    def command(
        one: OneArgument,
        other: OtherArgument,
        *,
        entity_type: EntityOption = None,
        dry_run: DryRunOption = False,
        reason: ReasonOption = "",
        actor: ActorOption = None,
        config: ConfigOption = None,
        as_json: JsonOption = False,
    ) -> None:
        _say(word, [one, other], entity_type, dry_run=dry_run, reason=reason, actor=actor, config=config, as_json=as_json)

    command.__doc__ = told
    return command


def _say(
    word: str,
    named: list[str],
    entity_type: str | None,
    *,
    dry_run: bool,
    reason: str,
    actor: str | None,
    config: Path | None,
    as_json: bool,
) -> None:
    from streams.settings import load_settings  # noqa: PLC0415 - keeps `nexus --help` quick

    settings = load_settings(config)
    command = _command(settings, word, named, entity_type, reason, actor)
    found = asyncio.run(_run(settings, command, dry_run=dry_run))
    if as_json:
        print_json({"sent": not dry_run, "command": command_document(command), **preview_document(found.preview, found.looked_at)})
        return
    for line in _lines(found, sent=not dry_run):
        print(line)
    if not dry_run:
        print(f"command {command.command_id} is on {settings.topic('commands')}; the workers take it in")


def _command(settings: Settings, word: str, named: list[str], entity_type: str | None, reason: str, actor: str | None) -> Command:
    from resolvers.instant import write_instant  # noqa: PLC0415
    from streams.cli.explain import asked  # noqa: PLC0415
    from streams.command import Command, Named  # noqa: PLC0415
    from streams.dead_letters import now_ms  # noqa: PLC0415
    from streams.graph import rules_of  # noqa: PLC0415

    rules = rules_of(settings)
    identifiers = [asked(rules, text, entity_type) for text in named]
    return Command(
        command_id=uuid.uuid4().hex,
        command=word,
        identifiers=[Named(one.type, one.value, one.entity_type) for one in identifiers],
        issued_at=write_instant(now_ms()),
        actor=actor if actor is not None else getpass.getuser(),
        reason=reason,
    )


async def _run(settings: Settings, command: Command, *, dry_run: bool) -> Foretold:
    """Look at what a command changes, and send it. Raises NexusError."""
    from resolvers.errors import NexusError, Rejected, StoreMismatch  # noqa: PLC0415
    from streams.cli.ask import no_space  # noqa: PLC0415
    from streams.correcting import foretell, send  # noqa: PLC0415
    from streams.dead_letters import now_ms  # noqa: PLC0415

    try:
        found = await foretell(settings, command, now_ms())
    except Rejected as error:
        raise NexusError(str(error)) from error
    except StoreMismatch as error:
        raise NexusError(no_space(settings)) from error
    if not dry_run:
        await send(settings, command)
    return found


def _lines(found: Foretold, *, sent: bool) -> Iterator[str]:
    """Say in words what changes."""
    will = "will be" if sent else "would be"
    for identifier in found.unseen:
        yield f"{name_of(identifier)} was not seen yet: this holds from the first event on that shows it"
    if found.preview is None:
        yield from cut_lines(found.looked_at)
        return
    lines = list(preview_lines(found.preview, will))
    yield from lines[:MOST_SHOWN]
    if len(lines) > MOST_SHOWN:
        yield f"... and {len(lines) - MOST_SHOWN:,} more changes; --json has them all"
    if not lines:
        yield "no entity changes"


def cut_lines(looked: LookedAt | None) -> Iterator[str]:
    """Say what was looked at where too much hangs together, and that what changes was not computed."""
    if looked is None:
        return
    yield f"looked at {looked.links:,} links of {looked.identifiers:,} identifiers, and more hang together with them"
    if looked.touched:
        more = f" and {len(looked.touched) - MOST_SHOWN:,} more" if len(looked.touched) > MOST_SHOWN else ""
        yield f"what is named, or was seen together with that, is now of {', '.join(looked.touched[:MOST_SHOWN])}{more}"
    yield "what is split, merged or moved, and what of the rest is touched, was not computed: the workers do that"


def preview_lines(preview: Preview, will: str, *, erased: bool = False) -> Iterator[str]:
    """Say in words what a preview says; where it is of an erasure, what is nobody's any more was erased."""
    merged = {before for came in preview.merges.values() for before in came}
    for survivor, came in preview.merges.items():
        yield f"{', '.join(came)} {will} merged into {survivor}"
    for move in preview.moves:
        if move.after is None:
            yield f"{_names(move.identifiers)} of {move.before} {will} {'erased' if erased else 'of nobody'}"
        elif move.before is None:
            yield f"{_names(move.identifiers)} {will} of {move.after}"
        elif move.before not in merged:
            how = "split off as" if move.after in preview.new else "moved to"
            yield f"{_names(move.identifiers)} of {move.before} {will} {how} {move.after}"


def _names(identifiers: tuple[Identifier, ...]) -> str:
    more = f" and {len(identifiers) - 5} more" if len(identifiers) > 5 else ""
    return ", ".join(map(name_of, identifiers[:5])) + more


def name_of(identifier: Identifier) -> str:
    """Name an identifier for people."""
    return plain(f"{identifier.type}:{identifier.value}")


def command_document(command: Command) -> dict[str, Any]:
    """Write a command as it is sent."""
    import msgspec  # noqa: PLC0415

    told: dict[str, Any] = msgspec.to_builtins(command)
    return told


def preview_document(preview: Preview | None, looked: LookedAt | None) -> dict[str, Any]:
    """Write what changes; null where it was not computed: `looked_at` says there what was read, and which entities it is of now."""
    if preview is None:
        near = {"links": looked.links, "identifiers": looked.identifiers, "entity_ids": list(looked.touched)} if looked else None
        return {"changes": None, "looked_at": near}
    moves = [{"from": one.before, "to": one.after, "identifiers": list(map(_identifier, one.identifiers))} for one in preview.moves]
    return {
        "changes": {
            "split": {before: list(after) for before, after in preview.splits.items()},
            "merged": {after: list(before) for after, before in preview.merges.items()},
            "ended_ids": list(preview.ended),
            "new_ids": list(preview.new),
            "moves": moves,
        }
    }


def _identifier(identifier: Identifier) -> dict[str, str]:
    return {"entity_type": identifier.entity_type, "type": identifier.type, "value": identifier.value}
