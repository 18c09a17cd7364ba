"""`nexus diff`: what two spaces make of the same evidence, before one takes the place of the other.

Invariant: nothing is written. Neighbours: `rebuild` makes the other space, `resolvers.comparison` compares.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import ConfigOption, JsonOption
from streams.cli.output import plain, print_json

if TYPE_CHECKING:
    from resolvers.comparison import Comparison, Found
    from streams.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("diff")(diff)


def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="A space, such as the live one.")],
    after: Annotated[str, typer.Argument(metavar="B", help="Another, such as one rebuilt under other rules.")],
    limit: Annotated[int, typer.Option("--limit", min=0, metavar="N", help="Show the N largest changes.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which entities are merged, split, renamed or as they were between two spaces; the largest changes first.

    Reads both spaces once, and holds every identifier's key in memory.
    """
    from resolvers.comparison import compare  # noqa: PLC0415 - keeps `nexus --help` quick
    from streams.settings import load_settings  # noqa: PLC0415

    settings = load_settings(config)
    one, other = asyncio.run(_owners(settings, before, after))
    found = compare(one, other)
    if as_json:
        print_json(_document(found, limit))
        return
    for line in _lines(found, before, after, limit):
        print(line)


async def _owners(settings: Settings, *spaces: str) -> list[dict[str, str]]:
    from resolvers.errors import NexusError, StoreMismatch  # noqa: PLC0415
    from streams.cli.ask import no_space  # noqa: PLC0415
    from streams.graph import open_graph  # noqa: PLC0415

    read = []
    for space in spaces:
        there = settings.model_copy(update={"space": space})
        try:
            async with open_graph(there, check=False) as graph:
                await graph.backlog()  # raises where there is none
                read.append({key: document["entity_id"] async for topic, key, document in graph.documents() if topic == "identifiers"})
        except StoreMismatch as error:
            raise NexusError(no_space(there)) from error
    return read


def _lines(found: Comparison, before: str, after: str, limit: int) -> list[str]:
    from resolvers.comparison import Kind  # noqa: PLC0415

    lines = [f"{'':12}{before:>14}{after:>14}"]
    lines += [
        f"{kind.value:12}{found.before[kind]:>14,}{found.after[kind]:>14,}" for kind in Kind if found.before[kind] or found.after[kind]
    ]
    lines += [_line(one) for one in found.changes[:limit]]
    if len(found.changes) > limit:
        lines.append(f"and {len(found.changes) - limit:,} smaller changes; --limit shows more")
    return lines


def _line(one: Found) -> str:
    ids = " -> ".join(_some(side) or "nobody" for side in (one.before, one.after))
    return (
        f"{one.kind.value}: {ids} ({one.identifiers:,} identifiers: {plain(_some(one.examples))}{', ...' if one.identifiers > 3 else ''})"
    )


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _document(found: Comparison, limit: int) -> dict[str, Any]:
    changes = [
        {
            "kind": one.kind.value,
            "before": list(one.before),
            "after": list(one.after),
            "identifiers": one.identifiers,
            "examples": list(one.examples),
        }
        for one in found.changes[:limit]
    ]
    counts = {
        side: {kind.value: count for kind, count in counter.items()} for side, counter in (("before", found.before), ("after", found.after))
    }
    return {**counts, "changed": len(found.changes), "changes": changes}
