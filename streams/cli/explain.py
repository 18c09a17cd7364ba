"""`nexus explain`: which links, from which events and sources, connect two identifiers.

Invariant: nothing is written, and what is named is evidence that the graph has: every event named is in the event log, unless
that was cut off since. Neighbours: `ask` says who somebody is, this says why.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import ConfigOption, JsonOption
from streams.cli.output import plain, print_json

if TYPE_CHECKING:
    from resolvers.explanation import Outcome, Step, TooWide
    from resolvers.identifier import Identifier
    from resolvers.port import Resolver
    from resolvers.rules import Rules
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

    Values are normalised as in an event. Exits 1 when nothing connects them, when one was never seen, and when the
    settings block one, which then connects nothing.
    """
    from streams.graph import rules_of  # noqa: PLC0415 - keeps `nexus --help` quick
    from streams.settings import load_settings  # noqa: PLC0415

    settings = load_settings(config)
    rules = rules_of(settings)
    ends = _asked(rules, one, entity_type), _asked(rules, other, entity_type)
    chain = asyncio.run(_chain(settings, *ends))
    if as_json:
        print_json({"from": _document(ends[0]), "to": _document(ends[1]), "links": [_step(step) for step in chain]})
    else:
        _show(*ends, chain)


def _asked(rules: Rules, text: str, entity_type: str | None) -> Identifier:
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


async def _chain(settings: Settings, one: Identifier, other: Identifier) -> tuple[Step, ...]:
    """Find the chain. Raises NexusError, which says why there is none."""
    from resolvers import explanation  # noqa: PLC0415
    from resolvers.errors import NexusError, StoreMismatch  # noqa: PLC0415
    from streams.cli.ask import no_space, unknown  # noqa: PLC0415
    from streams.graph import open_graph  # noqa: PLC0415

    async with open_graph(settings, check=False) as graph:
        try:
            outcome: Outcome = await explanation.explain(graph, one, other)
            match outcome:
                case explanation.Connected(chain):
                    return chain
                case explanation.NotConnected():
                    raise NexusError(f"nothing connects {_name(one)} and {_name(other)}: no links lead from one to the other")
                case explanation.Unknown(identifier):
                    raise NexusError(unknown(settings, identifier))
                case explanation.TooWide():
                    raise NexusError(await _too_wide(graph, one, other, outcome))
        except StoreMismatch as error:
            raise NexusError(no_space(settings)) from error


async def _too_wide(graph: Resolver, one: Identifier, other: Identifier, outcome: TooWide) -> str:
    """Say at least whether they are one entity, which the graph knows without the links."""
    owners = [(await graph.identifier(identifier) or {}).get("entity_id", "nobody") for identifier in (one, other)]
    told = f"both belong to {owners[0]}" if owners[0] == owners[1] else f"they belong to {owners[0]} and {owners[1]}"
    return f"gave up on {_name(one)} and {_name(other)} after {_links(outcome.links)}: {told}"


def _show(one: Identifier, other: Identifier, chain: tuple[Step, ...]) -> None:
    if not chain:
        print(f"{_name(one)} and {_name(other)} are the same identifier")
        return
    print(f"{_name(one)} and {_name(other)} are connected by {_links(len(chain))}:")
    for step in chain:
        print(f"  {_line(step)}")


def _line(step: Step) -> str:
    from resolvers.instant import write_instant  # noqa: PLC0415

    event = step.link.first
    beside = sorted(step.link.linked - {step.start, step.end})
    also = f" (and {', '.join(map(_name, beside[:_BESIDE]))}{', ...' if len(beside) > _BESIDE else ''})" if beside else ""
    seen = f"{_name(step.start)} with {_name(step.end)}{also}"
    return f"{seen}: event {plain(event.event_id)} of {plain(event.source)}, {write_instant(event.occurred_at)}"


_BESIDE = 5
"""So many further identifiers of a link are named for people."""


def _links(count: int) -> str:
    return f"{count:,} link{'' if count == 1 else 's'}"


def _name(identifier: Identifier) -> str:
    return plain(f"{identifier.type}:{identifier.value}")


def _document(identifier: Identifier) -> dict[str, Any]:
    return {"entity_type": identifier.entity_type, "type": identifier.type, "value": identifier.value}


def _step(step: Step) -> dict[str, Any]:
    from resolvers.link import link_document  # noqa: PLC0415

    return {"from": _document(step.start), "to": _document(step.end), **link_document(step.link)}
