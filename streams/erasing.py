"""Erasing: which identifiers an erasure covers, what it would take away, and sending it.

Invariant: what is sent names digests alone. Neighbours: `command` reads and writes one, `resolvers.preview` computes what it would
change; a worker takes it in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from resolvers.erasure import Erasure
from resolvers.errors import NexusError
from resolvers.identifier import Identifier, identifier_digest
from resolvers.instant import HOUR_MS
from resolvers.port import Resolver
from resolvers.preview import Picture, Preview, Surroundings, covered_anew, difference, picture, surroundings, without
from resolvers.rules import Rules
from streams.command import ERASE, MOST_COVERED, Command, Named, erasure_of
from streams.correcting import LookedAt, looked_at
from streams.graph import open_graph, rules_of
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be erased: an entity with all of its identifiers, or single identifiers."""

    entity_id: str = ""
    identifiers: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True)
class ForetoldErasure:
    """What an erasure would take away. `preview` is None where too much hangs together to compute it here, and `looked_at` there alone.

    `spanning` counts links that were seen before the cutoff and, in its hour or later, perhaps after it too: what is seen of them after
    it stays, as a new entity's, and only the event log can tell what that is.
    """

    covered: tuple[Identifier, ...]
    preview: Preview | None
    looked_at: LookedAt | None
    spanning: int
    unseen: tuple[Identifier, ...]


async def cover(settings: Settings, asked: Asked) -> tuple[Identifier, ...]:
    """Say which identifiers are covered. Raises NexusError for an id that is not a living entity's, StoreMismatch, RedisUnavailable."""
    if not asked.entity_id:
        return asked.identifiers
    async with open_graph(settings, check=False) as graph:
        return await _identifiers_of(rules_of(settings), graph, asked.entity_id)


async def _identifiers_of(rules: Rules, graph: Resolver, entity_id: str) -> tuple[Identifier, ...]:
    document = await graph.entity(entity_id)
    while document is not None and document["status"] == "merged":
        document = await graph.entity(document["merged_into"])
    if document is None:
        raise NexusError(f"no entity has the id {entity_id}")
    if document["status"] != "active":
        raise NexusError(f"{entity_id} is {document['status']}: nothing lives under this id; name what is to be erased as TYPE:VALUE")
    listed = tuple(Identifier(document["entity_type"], one["type"], one["value"]) for one in document["identifiers"])
    if document["identifier_count"] == len(listed):
        return listed
    around = await surroundings(graph, listed[:1], most=50 * document["identifier_count"])
    found = picture(rules, around).members.get(document["entity_id"], frozenset())
    if around.cut or len(found) != document["identifier_count"]:
        raise NexusError(f"{entity_id} has {document['identifier_count']:,} identifiers, and changes while they are read: try again")
    return tuple(sorted(found))


def commands(
    settings: Settings, covered: Sequence[Identifier], cutoff: str, *, command_id: str, issued_at: str, actor: str, reason: str
) -> Iterator[Command]:
    """Write the commands that erase identifiers: one, or as many as their number needs."""
    key = rules_of(settings).identity_key
    named = [Named(one.type, entity_type=one.entity_type, digest=identifier_digest(key, one).hex()) for one in covered]
    for at in range(0, len(named), MOST_COVERED):
        name = command_id if len(named) <= MOST_COVERED else f"{command_id}-{at // MOST_COVERED}"
        some = named[at : at + MOST_COVERED]
        yield Command(command_id=name, command=ERASE, identifiers=some, cutoff=cutoff, issued_at=issued_at, actor=actor, reason=reason)


async def foretell_erasure(
    settings: Settings, covered: tuple[Identifier, ...], commands_: Sequence[Command], now_ms: int
) -> ForetoldErasure:
    """Compute what an erasure would take away now. Raises Rejected, StoreMismatch where there is no space, RedisUnavailable."""
    rules = rules_of(settings)
    erasures = [erasure_of(rules, command, now_ms) for command in commands_]
    whole = Erasure("", tuple(one for each in erasures for one in each.covered), erasures[0].cutoff)
    async with open_graph(settings, check=False) as graph:
        around = await surroundings(graph, covered)
        near = await looked_at(graph, around, covered)
    unseen = tuple(one for one in covered if not around.standings[one].known)
    found = None if around.cut else difference(*erased_pictures(rules, around, whole))
    return ForetoldErasure(covered, found, near, spanning(rules, around, whole), unseen)


def erased_pictures(rules: Rules, around: Surroundings, erasure: Erasure) -> tuple[Picture, Picture]:
    """Compute who is one before and after an erasure; what is seen of a spanning link after the cutoff is not there."""
    return picture(rules, around), picture(rules, without(rules, around, erasure))


def spanning(rules: Rules, around: Surroundings, erasure: Erasure) -> int:
    """Count the links that were seen before the cutoff and, in its hour or later, perhaps after it too, as far as links were read."""
    covered = covered_anew(rules, around, erasure)
    return sum(
        link.first.occurred_at < erasure.cutoff < (link.last_hour + 1) * HOUR_MS
        and any(identifier_digest(rules.identity_key, one.identifier) in covered for one in link.identifiers)
        for link in around.links.values()
    )
