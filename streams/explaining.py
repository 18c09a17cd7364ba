"""Explaining: what connects two identifiers of a space, or what keeps them apart.

Invariant: nothing is written, and what is named is evidence that the graph has. Neighbours: `resolvers.explanation` finds the chain of
links, `resolvers.apart` the guards along it; the command line says it.
"""

from __future__ import annotations

from dataclasses import dataclass

from resolvers.apart import Apart, Evidence, Reason, apart, off
from resolvers.errors import NexusError
from resolvers.explanation import Connected, NotConnected, Outcome, TooWide, Unknown, explain
from resolvers.identifier import Identifier
from resolvers.port import Resolver
from resolvers.rules import Rules
from resolvers.within import Within

Owners = tuple[str | None, str | None]
"""The entity ids of the two, None for one that belongs to nobody."""


@dataclass(frozen=True, slots=True)
class KeptApart:
    """Links lead from one to the other, and guards or commands refuse some.

    `owner_of` has the entity ids of the chain's identifiers where it was not computed which links are refused; else it is empty.
    """

    owners: Owners
    apart: Apart
    owner_of: dict[Identifier, str | None]


@dataclass(frozen=True, slots=True)
class Off:
    """One of the two connects nothing, and so belongs to nobody."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class GaveUp:
    """Nothing was found among so many links, and there may be more."""

    owners: Owners
    links: int


Answer = Connected | KeptApart | NotConnected | Off | GaveUp
"""What is said of two identifiers that events have shown; else Unknown names the one that none has."""


async def answer(graph: Resolver, rules: Rules, one: Identifier, other: Identifier) -> Answer | Unknown:
    """Say what connects two identifiers, or what keeps them apart.

    Raises NexusError where the links change while they are read, StoreMismatch where there is no space, RedisUnavailable.
    """
    owners = await _owner(graph, one), await _owner(graph, other)
    for identifier, owner in zip((one, other), owners, strict=True):
        if owner is None:
            standing = await graph.standing(identifier)
            reason = off(rules, identifier, standing) if standing.known else None
            return Off(reason) if reason else Unknown(identifier)
    if one == other:  # which may have no link that counts
        return Connected(())
    if owners[0] is not None and owners[0] == owners[1]:
        return await _within(graph, rules, owners[0], one, other)
    return await _between(graph, rules, owners, one, other)


async def _owner(graph: Resolver, identifier: Identifier) -> str | None:
    document = await graph.identifier(identifier)
    return None if document is None else str(document["entity_id"])


async def _within(graph: Resolver, rules: Rules, entity_id: str, one: Identifier, other: Identifier) -> Answer | Unknown:
    """Find the chain of links that hold one entity together."""
    kinds = rules.entities[one.entity_type].identifiers
    outcome: Outcome = await explain(Within(graph, entity_id, {kind: rule.priority for kind, rule in kinds.items()}), one, other)
    match outcome:
        case Connected():
            return outcome
        case TooWide(links):
            return GaveUp((entity_id, entity_id), links)
        case _:
            raise NexusError(f"both belong to {entity_id}, whose links change just now: ask again")


async def _between(graph: Resolver, rules: Rules, owners: Owners, one: Identifier, other: Identifier) -> Answer | Unknown:
    """Find what keeps two identifiers of different entities apart."""
    outcome: Outcome = await explain(Evidence(graph, rules), one, other)
    match outcome:
        case Connected(chain):
            found = await apart(graph, rules, chain)
            if not found.cut and not any(reasons for _, reasons in found.steps):
                raise NexusError(f"links lead from {owners[0]} to {owners[1]}, and are joined or divided just now: ask again")
            stops = {one, *(step.end for step in chain)} if found.cut else set()
            return KeptApart(owners, found, {stop: await _owner(graph, stop) for stop in stops})
        case TooWide(links):
            return GaveUp(owners, links)
        case _:
            return outcome
