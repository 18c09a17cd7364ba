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
    from resolvers.link import SeenLink
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

    Values are normalised as in an event. Where guards or commands keep them apart, these are named along the shortest chain
    of links. Exits 1 then, and when nothing connects them, when one was never seen, and when one is blocked.
    """
    from streams.graph import rules_of  # noqa: PLC0415 - keeps `nexus --help` quick
    from streams.settings import load_settings  # noqa: PLC0415

    settings = load_settings(config)
    rules = rules_of(settings)
    ends = asked(rules, one, entity_type), asked(rules, other, entity_type)
    chain = asyncio.run(_chain(settings, *ends))
    if as_json:
        print_json({"from": _document(ends[0]), "to": _document(ends[1]), "links": [_step(step) for step in chain]})
    else:
        _show(*ends, chain)


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


async def _chain(settings: Settings, one: Identifier, other: Identifier) -> tuple[Step, ...]:
    """Find the chain. Raises NexusError, which says why there is none."""
    from resolvers.errors import NexusError, StoreMismatch  # noqa: PLC0415
    from streams.cli.ask import no_space  # noqa: PLC0415
    from streams.graph import open_graph  # noqa: PLC0415

    async with open_graph(settings, check=False) as graph:
        try:
            owners = [await _owner(settings, graph, identifier) for identifier in (one, other)]
            if owners[0] == owners[1]:
                return await _within(settings, graph, owners[0], one, other)
            raise NexusError(await _apart(settings, graph, (one, other), owners))
        except StoreMismatch as error:
            raise NexusError(no_space(settings)) from error


async def _owner(settings: Settings, graph: Resolver, identifier: Identifier) -> str:
    """Give the entity of an identifier. Raises NexusError that says why it has none."""
    from resolvers.errors import NexusError  # noqa: PLC0415
    from streams.cli.ask import nobody  # noqa: PLC0415

    document = await graph.identifier(identifier)
    if document is None:
        raise NexusError(await nobody(settings, graph, identifier))
    return str(document["entity_id"])


async def _within(settings: Settings, graph: Resolver, entity_id: str, one: Identifier, other: Identifier) -> tuple[Step, ...]:
    """Find the chain of links that hold one entity together. Raises NexusError when it is too far or things move meanwhile."""
    from resolvers import explanation  # noqa: PLC0415
    from resolvers.errors import NexusError  # noqa: PLC0415
    from resolvers.within import Within  # noqa: PLC0415
    from streams.graph import rules_of  # noqa: PLC0415

    kinds = rules_of(settings).entities[one.entity_type].identifiers
    reader = Within(graph, entity_id, {kind: rule.priority for kind, rule in kinds.items()})
    outcome: Outcome = await explanation.explain(reader, one, other)
    match outcome:
        case explanation.Connected(chain):
            return chain
        case explanation.TooWide():
            raise NexusError(await _too_wide(graph, one, other, outcome))
        case _:
            raise NexusError(f"both belong to {entity_id}, whose links change just now: ask again")


async def _apart(settings: Settings, graph: Resolver, ends: tuple[Identifier, Identifier], owners: list[str]) -> str:
    """Say what keeps two identifiers of different entities apart, or that nothing connects them."""
    from resolvers import explanation  # noqa: PLC0415

    one, other = ends
    outcome: Outcome = await explanation.explain(graph, one, other)
    match outcome:
        case explanation.Connected(chain):
            told = await _kept_apart(settings, graph, chain)
            return f"{_name(one)} belongs to {owners[0]}, {_name(other)} to {owners[1]}; they are kept apart:\n{told}"
        case explanation.TooWide():
            return await _too_wide(graph, one, other, outcome)
        case _:
            return f"nothing connects {_name(one)} and {_name(other)}: no links lead from one to the other"


async def _kept_apart(settings: Settings, graph: Resolver, chain: tuple[Step, ...]) -> str:
    """Name the guards along the shortest chain of links, whatever counts of it."""
    from resolvers.preview import picture, refusals, surroundings  # noqa: PLC0415
    from streams.graph import rules_of  # noqa: PLC0415

    rules = rules_of(settings)
    around = await surroundings(graph, [chain[0].start, chain[-1].end])
    guards = {} if around.cut else refusals(picture(rules, around))
    lines = []
    for step in chain:
        why = [await _why_off(settings, graph, identifier) for identifier in (step.start, step.end)]
        refused = [_refused(rules, step.link, guard, ends) for ends, guard in guards.items()]
        reasons = [one for one in dict.fromkeys([*why, *refused]) if one]
        lines.append(f"  {_line(step)}" + "".join(f"\n    {reason}" for reason in reasons))
    return "\n".join(lines)


async def _why_off(settings: Settings, graph: Resolver, identifier: Identifier) -> str:
    from streams.cli.ask import why_off  # noqa: PLC0415

    return why_off(settings, identifier, await graph.standing(identifier))


def _refused(rules: Rules, link: SeenLink, guard: str, ends: tuple[bytes, bytes]) -> str:
    """Say that a guard refused an edge of this link; empty where the edge is of another."""
    named = {usable.digest: usable.identifier for usable in link.identifiers}
    if not named.keys() >= set(ends):
        return ""
    stronger, weaker = (named[end] for end in ends)
    why = {
        "limit": "more identifiers of one type than their limit would be one",
        "size": f"more than {rules.entities[stronger.entity_type].size:,} identifiers would be one",
        "forbidden": "a command forbids that they are one",
    }[guard]
    return f"refused ({guard}): {_name(stronger)} and {_name(weaker)}, else {why}" if guard != "forbidden" else f"refused: {why}"


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
    if not event.source:
        return f"{seen}: by command, {write_instant(event.occurred_at)}"
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
