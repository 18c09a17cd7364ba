"""`nexus explain`: which links, from which events and sources, connect two identifiers.

Invariant: nothing is written, and what is named is evidence that the graph has: every event named is in the event log, unless
that was cut off since. Neighbours: `ask` says who somebody is, this says why; `streams.explaining` finds it, `explain_report` says it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import ConfigOption, JsonOption
from streams.cli.output import plain, print_json

if TYPE_CHECKING:
    from resolvers.identifier import Identifier
    from resolvers.rules import Rules
    from streams.explaining import Answer
    from streams.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("explain")(explain)


def explain(
    one: Annotated[str, typer.Argument(metavar="A", help="TYPE:VALUE, such as email:ann@x.example, or ENTITY:TYPE:VALUE.")],
    other: Annotated[str, typer.Argument(metavar="B", help="The other identifier, in the same form.")],
    entity_type: Annotated[
        str | None, typer.Option("--entity", metavar="ENTITY", help="Entity type; else the first that declares TYPE.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show why two identifiers are one entity: the shortest chain of links between them, each with the first event that showed it.

    Values are normalised as in an event. Where guards or commands keep them apart, these are named along the shortest chain
    of links; values that the settings block are on no link. Exits 1 then, and when nothing connects them, when one was never seen, and when
    one is blocked.
    """
    from resolvers.explanation import Connected  # noqa: PLC0415 - keeps `nexus --help` quick
    from streams.cli.explain_report import answer_document, answer_lines  # noqa: PLC0415
    from streams.graph import rules_of  # noqa: PLC0415
    from streams.settings import load_settings  # noqa: PLC0415

    settings = load_settings(config)
    rules = rules_of(settings)
    ends = asked(rules, one, entity_type), asked(rules, other, entity_type)
    found = asyncio.run(_answer(settings, rules, *ends))
    if as_json:
        print_json(answer_document(*ends, found))
    else:
        print("\n".join(answer_lines(*ends, found)))
    if not isinstance(found, Connected):
        raise typer.Exit(1)


def asked(rules: Rules, text: str, entity_type: str | None) -> Identifier:
    """Read `TYPE:VALUE` or `ENTITY:TYPE:VALUE`. Values may have colons, so only declared words count as ENTITY and TYPE."""
    from resolvers.errors import NexusError  # noqa: PLC0415
    from streams.cli.ask import identifier_of  # noqa: PLC0415

    first, colon, rest = text.partition(":")
    if not colon:
        raise NexusError(f"{plain(text)!r} is no identifier: write TYPE:VALUE, such as email:ann@x.example")
    second, colon, value = rest.partition(":")
    if first in rules.entities and colon and second in rules.entities[first].identifiers and entity_type in {None, first}:
        return identifier_of(rules, second, value, first)
    return identifier_of(rules, first, rest, entity_type)


async def _answer(settings: Settings, rules: Rules, one: Identifier, other: Identifier) -> Answer:
    """Find the answer. Raises NexusError where there is none: never seen, no space, in motion."""
    from resolvers.errors import NexusError, StoreMismatch  # noqa: PLC0415
    from resolvers.explanation import Unknown  # noqa: PLC0415
    from streams.cli.ask import no_space, unknown  # noqa: PLC0415
    from streams.explaining import answer  # noqa: PLC0415
    from streams.graph import open_graph  # noqa: PLC0415

    async with open_graph(settings, check=False) as graph:
        try:
            found = await answer(graph, rules, one, other)
        except StoreMismatch as error:
            raise NexusError(no_space(settings)) from error
    if isinstance(found, Unknown):
        raise NexusError(unknown(settings, found.identifier))
    return found
