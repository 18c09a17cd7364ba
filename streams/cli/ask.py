"""`nexus resolve` and `nexus entity`: ask the identity graph who somebody is.

Invariant: nothing is written, and no space is made where there is none. Neighbours: the same answers lie on the
topics of entities and identifiers, a moment later and with versions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import ConfigOption, JsonOption
from streams.cli.output import plain, print_json, say

if TYPE_CHECKING:
    from rich.console import Console

    from resolvers.identifier import Identifier
    from resolvers.port import Resolver
    from resolvers.preview import Picture, Surroundings
    from resolvers.reach import Drawing
    from resolvers.rules import Rules
    from streams.settings import Settings


MOST_DRAWN = 1_000
"""A graph of more identifiers or links is cut: nobody could read it."""


class GraphForm(Enum):
    """How a graph is written."""

    JSON = "json"
    DOT = "dot"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("resolve")(resolve)
    app.command("entity")(entity)


def resolve(
    kind: Annotated[str, typer.Argument(metavar="TYPE", help="An identifier type of the settings, such as email.")],
    value: Annotated[str, typer.Argument(help="Its value, in any spelling; it is normalised as in an event.")],
    entity_type: Annotated[
        str | None, typer.Option("--entity", metavar="ENTITY", help="Entity type; else the first that declares TYPE.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="TIME", help="By what events up to this time have shown: RFC 3339, with a zone.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the entity that an identifier belongs to. Exits 1 when nobody has it, and says so when its value is blocked.

    As of an event time it is shown by its identifiers, under the guards of the settings and the commands that stand today;
    traits are not kept for every time.
    """
    from streams.graph import rules_of  # noqa: PLC0415 - keeps `nexus --help` quick
    from streams.settings import load_settings  # noqa: PLC0415

    settings = load_settings(config)
    identifier = identifier_of(rules_of(settings), kind, value, entity_type)
    document = asyncio.run(_entity_of(settings, identifier) if as_of is None else _entity_then(settings, identifier, as_of))
    if as_json:
        print_json(document)
    else:
        _show(document)


def entity(
    entity_id: Annotated[str, typer.Argument(metavar="ID", help="An entity id, also one that ended.")],
    graph: Annotated[
        GraphForm | None,
        typer.Option("--graph", metavar="FORM", help="Its identifiers and links instead: json, or dot for Graphviz."),
    ] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="TIME", help="As it was at this event time, by all that is known today: RFC 3339.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show an entity; for an id that ended, what became of it, and the living entity that it leads to, if it was merged.

    An id that was split names its successors, and one that was erased says so; both are answers, with exit code 0. An id that was never
    issued has none.

    A graph of more than about 1,000 identifiers or links is cut, the nearest to the founder are kept, and it says so.

    As of an event time it is shown with what was true then by all events that are known today, in whatever order they came, and under the
    commands that stand today: identifiers, traits, states, memberships, and the members of a group. Of an entity that lives that is
    all that is its own today and was seen by then. An id that was merged is shown with what was its own then; after its end, with what
    it became. That reads all of the event log from when the entity was first seen, in seconds for each hundred thousand events. Where
    the log was cut since, it says from when on it is whole: traits and memberships from before may be missing.
    """
    from streams.settings import load_settings  # noqa: PLC0415 - keeps `nexus --help` quick

    settings = load_settings(config)
    if as_of is not None:
        found = asyncio.run(_told_then(settings, entity_id, as_of))
        if as_json:
            print_json(found)
        elif "merged_into" in found:
            print(f"{entity_id} was merged into {found['merged_into']} by then")
        else:
            _show(found)
        return
    ended, document = asyncio.run(_living(settings, entity_id))
    if graph is not None:
        _draw_living(settings, ended, document, graph)
    elif as_json:
        print_json({**ended, "entity": document} if ended and document else document or ended)
    else:
        if ended:
            print(_became(ended))
        if document:
            _show(document)


async def _told_then(settings: Settings, entity_id: str, time: str) -> dict[str, Any]:
    from resolvers.errors import NexusError, StoreMismatch  # noqa: PLC0415
    from streams.graph import open_graph, rules_of  # noqa: PLC0415
    from streams.past import Asked, KafkaLog, as_of  # noqa: PLC0415

    at_ms = _instant(time)
    async with open_graph(settings, check=False) as graph:
        try:
            return await as_of(Asked(rules_of(settings), graph, KafkaLog(settings), entity_id, at_ms))
        except StoreMismatch as error:
            raise NexusError(no_space(settings)) from error


def _instant(as_of: str) -> int:
    from resolvers.errors import NexusError  # noqa: PLC0415
    from resolvers.instant import read_instant  # noqa: PLC0415

    try:
        return read_instant(as_of)
    except ValueError as error:
        raise NexusError(f"--as-of {as_of!r} is not an RFC 3339 time: {error}") from error


def _draw_living(settings: Settings, ended: dict[str, Any] | None, document: dict[str, Any] | None, form: GraphForm) -> None:
    from resolvers.errors import NexusError  # noqa: PLC0415

    if document is None:
        raise NexusError(f"there is no graph to draw: {_became(ended or {})}")
    if ended:
        say(_became(ended))
    _draw(settings, document, form)


def _became(ended: Mapping[str, Any]) -> str:
    """Say what became of an id that ended."""
    match ended["status"]:
        case "merged":
            return f"{ended['entity_id']} was merged into {ended['merged_into']}"
        case "split":
            came = ", ".join(ended["successors"]) or "nobody"
            return f"{ended['entity_id']} was split, its founding identifier connects nothing; of it came {came}"
        case _:
            return f"{ended['entity_id']} was erased"


def _draw(settings: Settings, document: dict[str, Any], form: GraphForm) -> None:
    from streams.cli.drawing import as_dot, as_json, cut_line  # noqa: PLC0415

    drawing = asyncio.run(_drawing(settings, document))
    if drawing.cut:
        say(f"nexus: {cut_line(drawing)}")
    if form is GraphForm.DOT:
        print(as_dot(document["entity_id"], drawing))
    else:
        print_json(as_json(document, drawing))


async def _drawing(settings: Settings, document: dict[str, Any]) -> Drawing:
    from resolvers.identifier import Identifier  # noqa: PLC0415
    from resolvers.reach import draw  # noqa: PLC0415
    from streams.graph import open_graph  # noqa: PLC0415

    founder = document["identifiers"][0]
    async with open_graph(settings, check=False) as graph:
        return await draw(graph, Identifier(document["entity_type"], founder["type"], founder["value"]), MOST_DRAWN)


def identifier_of(rules: Rules, kind: str, value: str, entity_type: str | None) -> Identifier:
    """Normalise what was asked for. Raises SettingsError for what the settings do not declare, NexusError for what can't be asked."""
    from resolvers.errors import NexusError, SettingsError  # noqa: PLC0415
    from streams.settings.problem import suggestion  # noqa: PLC0415

    declared = {name: tuple(rule.identifiers) for name, rule in rules.entities.items()}
    if entity_type is not None and entity_type not in declared:
        raise SettingsError(f"--entity {entity_type}: the settings declare {', '.join(declared)}{suggestion(entity_type, tuple(declared))}")
    having = [name for name in ([entity_type] if entity_type else declared) if kind in declared[name]]
    if not having:
        asked = {entity_type: declared[entity_type]} if entity_type else declared
        told = "; ".join(f"{name} has {', '.join(kinds)}" for name, kinds in asked.items())
        every = tuple(one for kinds in asked.values() for one in kinds)
        raise SettingsError(f"the settings declare no identifier type {kind!r}: {told}{suggestion(kind, every)}")
    if not value.strip():
        raise NexusError("an empty value identifies nobody")
    usable = rules.usable(having[0], kind, value)
    if usable is None:
        raise NexusError(f"{kind} {value.strip()!r} is blocked for {having[0]}: many share it, so it connects and identifies nobody")
    return usable.identifier


async def _entity_of(settings: Settings, identifier: Identifier) -> dict[str, Any]:
    from resolvers.errors import NexusError, StoreMismatch  # noqa: PLC0415
    from streams.graph import open_graph  # noqa: PLC0415

    async with open_graph(settings, check=False) as graph:
        try:
            found = await graph.identifier(identifier)
            document = await graph.entity(found["entity_id"]) if found else None
            if document is None:
                raise NexusError(await nobody(settings, graph, identifier))
        except StoreMismatch as error:
            raise NexusError(no_space(settings)) from error
    return document


async def _entity_then(settings: Settings, identifier: Identifier, as_of: str) -> dict[str, Any]:
    """Compute an entity by the evidence up to an event time. Raises NexusError."""
    from resolvers.errors import NexusError, StoreMismatch  # noqa: PLC0415
    from resolvers.preview import picture, surroundings, until  # noqa: PLC0415
    from streams.graph import open_graph, rules_of  # noqa: PLC0415

    at_ms = _instant(as_of)
    async with open_graph(settings, check=False) as graph:
        try:
            around = await surroundings(graph, [identifier], over_all=True)
        except StoreMismatch as error:
            raise NexusError(no_space(settings)) from error
    if around.cut:
        raise NexusError(f"more than 20,000 links hang together around {plain(str(identifier))}: that is too much to look back in")
    then = until(around, at_ms)
    found = picture(rules_of(settings), then)
    if identifier not in found.entity_of:
        what = "connects nothing" if identifier in found.off else "was not seen"
        raise NexusError(f"{plain(f'{identifier.type}:{identifier.value}')} {what} by {as_of}")
    return entity_then(found, then, found.entity_of[identifier])


def entity_then(found: Picture, then: Surroundings, entity_id: str) -> dict[str, Any]:
    """Write the document of an entity as it was: identifiers and first times."""
    from resolvers.instant import write_instant  # noqa: PLC0415

    first: dict[Identifier, int] = {}
    for link in then.links.values():
        for usable in link.identifiers:
            first[usable.identifier] = min(first.get(usable.identifier, link.first.occurred_at), link.first.occurred_at)
    members = sorted(found.members[entity_id], key=lambda one: (first[one], one))
    listed = [{"type": one.type, "value": one.value, "first_seen": write_instant(first[one])} for one in members]
    return {
        "entity_id": entity_id,
        "entity_type": members[0].entity_type,
        "first_seen": listed[0]["first_seen"],
        "identifiers": listed,
        "identifier_count": len(listed),
    }


async def _living(settings: Settings, entity_id: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Give what became of an id that ended, else None, and the living entity, None for an id that was split or erased.

    Raises NexusError for an id that was never issued.
    """
    from resolvers.entity import ENDED  # noqa: PLC0415
    from resolvers.errors import NexusError, StoreMismatch  # noqa: PLC0415
    from resolvers.identifier import founder_of  # noqa: PLC0415
    from streams.graph import open_graph  # noqa: PLC0415

    try:
        founder_of(entity_id)
    except ValueError as error:
        raise NexusError(str(error)) from error
    async with open_graph(settings, check=False) as graph:
        try:
            document = await graph.entity(entity_id)
            ended = document if document and document["status"] in ENDED else None
            if ended:
                document = await graph.entity(ended["merged_into"]) if ended["status"] == "merged" else None
        except StoreMismatch as error:
            raise NexusError(no_space(settings)) from error
    if document is None and (ended is None or ended["status"] == "merged"):
        raise NexusError(f"no entity {entity_id} is known in space {settings.space}")
    return ended, document


async def nobody(settings: Settings, graph: Resolver, identifier: Identifier) -> str:
    """Say why an identifier belongs to nobody."""
    from resolvers.apart import off  # noqa: PLC0415
    from streams.cli.explain_report import reason_line  # noqa: PLC0415
    from streams.graph import rules_of  # noqa: PLC0415

    standing = await graph.standing(identifier)
    reason = off(rules_of(settings), identifier, standing) if standing.known else None
    return reason_line(reason) if reason else unknown(settings, identifier)


def unknown(settings: Settings, identifier: Identifier) -> str:
    """Say that no event has shown an identifier."""
    return f"no {identifier.entity_type} with {identifier.type} {plain(identifier.value)} is known in space {settings.space}"


def no_space(settings: Settings) -> str:
    """Say that the space is not there, and what may be the reason."""
    at = settings.redis.url.rpartition("@")[2]
    return f"Redis at {at} has no space {settings.space!r}: `nexus worker` makes it; or check `space` and `redis.url` in the settings"


def _show(document: Mapping[str, Any]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415

    from streams.cli.layout import grid, tidy  # noqa: PLC0415

    console = Console(highlight=False, emoji=False)
    traits = document.get("traits", {})
    name = traits.get("name")
    with tidy(console):
        head = f"[bold]{document['entity_id']}[/]  {document.get('entity_type', '')}" + (
            f"  [bold green]{escape(str(name))}[/]" if name else ""
        )
        console.print(head, soft_wrap=True)
        facts = [("first seen", document["first_seen"])]
        facts += [("last seen", f"{document['last_seen'][:13]}h")] if "last_seen" in document else []
        facts += [(trait, escape(str(value))) for trait, value in traits.items()]
        console.print(grid((f"[dim]{fact}[/]", told) for fact, told in facts))
        _show_states(console, document)
        count, listed = document["identifier_count"], document["identifiers"]
        oldest = f", the oldest {len(listed):,} of them" if count > len(listed) else ""
        console.print(f"  {count:,} identifier{'' if count == 1 else 's'}{oldest}:")
        rows = ((f"[dim]{one['type']}[/]", f"[dim]{one['first_seen'][:10]}[/]", escape(one["value"])) for one in listed)
        console.print(grid(rows, 4))


def _show_states(console: Console, document: Mapping[str, Any]) -> None:
    """Print the states and, where they are known, the memberships and members, and from when on."""
    from rich.markup import escape  # noqa: PLC0415

    from streams.cli.layout import grid  # noqa: PLC0415

    if held := document.get("states"):
        console.print(grid((f"[dim]{state}[/]", escape(one["value"]), f"[dim]since {one['since'][:16]}[/]") for state, one in held.items()))
    if belongs := document.get("memberships"):
        console.print(grid((f"[dim]{escape(plain(one['role'] or 'member'))} of[/]", one["group_id"]) for one in belongs))
    if members := document.get("members"):
        count = document["member_count"]
        first = f", the first {len(members):,} of them" if count > len(members) else ""
        console.print(f"  {count:,} member{'' if count == 1 else 's'}{first}:")
        console.print(grid(((one["person_id"], f"[dim]{escape(plain(one['role'] or ''))}[/]") for one in members), 4))
    if begins := document.get("log_begins"):
        console.print(f"  the event log is whole from {begins[:16]} on: earlier traits and memberships are not known", soft_wrap=True)
