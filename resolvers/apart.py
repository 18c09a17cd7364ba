"""Apart: which guards keep the ends of a chain of links from being one entity, link by link.

Invariant: nothing is written. What is named is what dividing would come to if nothing else arrived, since it is the same pure function
of the same evidence. Neighbours: `explanation` finds the chain; `preview` reads what is around it. Cost: reads all links of the
components that the chain goes through; gives up beyond a bound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from resolvers.division import Guard, Refused
from resolvers.explanation import Step
from resolvers.identifier import Identifier
from resolvers.link import MOST_LINKS, LinkPage
from resolvers.preview import MOST_LINKS_READ, Picture, picture, surroundings
from resolvers.rules import Rules
from resolvers.standing import Standing
from resolvers.within import commanded


class Reader(Protocol):
    """Who gives links and standings; a resolver does."""

    async def links(self, identifier: Identifier, after: int = 0, limit: int = MOST_LINKS) -> LinkPage:
        """Give a page of the links that an identifier is on."""

    async def standing(self, identifier: Identifier) -> Standing:
        """Say whether it connects, and what operators have said of it."""


class Why(Enum):
    """Why a link joins not all of its identifiers."""

    BLOCKED = "blocked"
    HUB = "hub"
    LIMIT = "limit"
    SIZE = "size"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class Reason:
    """One guard at one link. `identifiers` are the one that connects nothing, or the two that it would have joined, the stronger first.

    `of` names the type of a hub's owners, or the one whose limit would be broken; `most` is the number that the guard allows, 0 where it
    has none. `pair` are the two that a command forbids to be one entity: one of each side.
    """

    why: Why
    identifiers: tuple[Identifier, ...]
    of: str = ""
    most: int = 0
    pair: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True)
class Apart:
    """The links of a chain, each with the guards that say no there. `read` counts the links that were read around it.

    Where it is `cut` there are more, and only blocked identifiers and hubs are named: which links are refused was not computed.
    """

    steps: tuple[tuple[Step, tuple[Reason, ...]], ...]
    read: int
    cut: bool


class Evidence:
    """Reads all links whatever counts of them, those that commands made included."""

    def __init__(self, graph: Reader, rules: Rules) -> None:
        self._graph = graph
        self._entities = rules.entities

    async def links(self, identifier: Identifier, after: int = 0, limit: int = MOST_LINKS) -> LinkPage:
        """Give a page of the links that an identifier is on."""
        page = await self._graph.links(identifier, after, limit)
        if after:
            return page
        standing = await self._graph.standing(identifier)
        priorities = {kind: rule.priority for kind, rule in self._entities[identifier.entity_type].identifiers.items()}
        return LinkPage((*page.links, *commanded(identifier, standing, priorities)), page.after)


async def apart(graph: Reader, rules: Rules, chain: Sequence[Step], most: int = MOST_LINKS_READ) -> Apart:
    """Name the guards along a chain, whose ends are of different entities. Reads at most about `most` links."""
    stops = [chain[0].start, *(step.end for step in chain)]
    standings = {stop: await graph.standing(stop) for stop in stops}
    around = await surroundings(graph, [stop for stop, standing in standings.items() if not standing.off], most)
    pictured = None if around.cut else picture(rules, around)
    steps = []
    for step in chain:
        none = [reason for stop in (step.start, step.end) if (reason := off(rules, stop, standings[stop]))]
        refused = [] if pictured is None else _refused(rules, around.standings, pictured, step)
        steps.append((step, (*none, *refused)))
    return Apart(tuple(steps), len(around.links), around.cut)


def off(rules: Rules, identifier: Identifier, standing: Standing) -> Reason | None:
    """Say why an identifier connects nothing; None where it does."""
    if standing.blocked:
        return Reason(Why.BLOCKED, (identifier,))
    hub = rules.entities[identifier.entity_type].identifiers[identifier.type].hub
    return Reason(Why.HUB, (identifier,), *hub) if standing.hub and hub else None


def _refused(rules: Rules, standings: Mapping[Identifier, Standing], pictured: Picture, step: Step) -> Iterator[Reason]:
    """Name the guards that refuse the edges by which a link would join its two stops."""
    for one in (refused for division in pictured.divisions for refused in division.refused):
        ends = one.edge.stronger.identifier, one.edge.weaker.identifier
        if step.link.linked.issuperset(ends) and ends[1] in {step.start, step.end}:
            yield _reason(rules, standings, pictured, one)


def _reason(rules: Rules, standings: Mapping[Identifier, Standing], pictured: Picture, refused: Refused) -> Reason:
    ends = refused.edge.stronger.identifier, refused.edge.weaker.identifier
    rule = rules.entities[ends[0].entity_type]
    one, other = (pictured.members[pictured.entity_of[end]] for end in ends)
    match refused.guard:
        case Guard.SIZE:
            return Reason(Why.SIZE, ends, most=rule.size)
        case Guard.LIMIT:
            counts = Counter(member.type for member in one | other)
            limits = {kind: rule.identifiers[kind].limit for kind in sorted(counts)}
            kind, limit = next((kind, limit) for kind, limit in limits.items() if limit is not None and counts[kind] > limit)
            return Reason(Why.LIMIT, ends, kind, limit)
        case Guard.FORBIDDEN:
            pairs = ((member, enemy) for member in sorted(one) for enemy in standings[member].forbidden if enemy in other)
            return Reason(Why.FORBIDDEN, ends, pair=next(pairs))
