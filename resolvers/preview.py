"""The preview: what a correction would change, computed from the evidence around the identifiers that it names.

Invariant: nothing is written. The outcome is what settling would come to if nothing else arrived, since it is the same pure
function of the same evidence. Cost: reads all links of the components it touches; gives up beyond a bound.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from resolvers.correction import Correction, Kind
from resolvers.division import Division
from resolvers.edge import Together, edges_of, strength
from resolvers.erasure import Erasure
from resolvers.folds import id_of
from resolvers.hub import hubs
from resolvers.identifier import Identifier, identifier_digest, later_digest
from resolvers.link import MOST_LINKS, LinkPage, SeenLink
from resolvers.parts import Corrections, components_of
from resolvers.rules import Rules
from resolvers.sighting import Usable
from resolvers.standing import Standing

MOST_LINKS_READ = 20_000
"""A preview of more would take long; what it is about is then settled without one."""


class Reader(Protocol):
    """Who gives links and standings; a resolver does."""

    async def links(self, identifier: Identifier, after: int = 0, limit: int = MOST_LINKS) -> LinkPage:
        """Give a page of the links that an identifier is on."""

    async def standing(self, identifier: Identifier) -> Standing:
        """Say whether it connects, and what operators have said of it."""


@dataclass(slots=True)
class Surroundings:
    """Everything that decides who is one around some identifiers. `expanded` are those all of whose links are here."""

    links: dict[bytes, SeenLink] = field(default_factory=dict)
    standings: dict[Identifier, Standing] = field(default_factory=dict)
    expanded: set[Identifier] = field(default_factory=set)
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """Who is one: the divisions of all components, each entity's id by its identifiers, and who is off."""

    divisions: tuple[Division, ...]
    entity_of: dict[Identifier, str]
    members: dict[str, frozenset[Identifier]]
    off: frozenset[Identifier]


async def surroundings(
    reader: Reader, starts: Sequence[Identifier], most: int = MOST_LINKS_READ, *, over_all: bool = False
) -> Surroundings:
    """Read on from identifiers over everything that connects, and over those that are named even where they do not.

    Who shares a link with what is named is read too, if it is a hub: it may stop being one. `over_all` reads on over
    whatever does not connect today as well.
    """
    found, todo = Surroundings(), deque(starts)
    for start in starts:  # what is named is known of, however little is read
        await _standing(reader, found, start)
    while todo and not found.cut:
        identifier = todo.popleft()
        if identifier in found.expanded:
            continue
        found.expanded.add(identifier)
        standing = await _standing(reader, found, identifier)
        for link in await _all_links(reader, found, identifier, most):
            for usable in link.identifiers:
                other = await _standing(reader, found, usable.identifier)
                if over_all or not other.off or identifier in starts:
                    todo.append(usable.identifier)
        todo += [other for other, _ in standing.linked]
    return found


async def _standing(reader: Reader, found: Surroundings, identifier: Identifier) -> Standing:
    if identifier not in found.standings:
        found.standings[identifier] = await reader.standing(identifier)
    return found.standings[identifier]


async def _all_links(reader: Reader, found: Surroundings, identifier: Identifier, most: int) -> list[SeenLink]:
    on: list[SeenLink] = []
    after = 0
    while True:
        page = await reader.links(identifier, after)
        on += page.links
        found.links |= {link.name: link for link in page.links}
        after = page.after
        found.cut = found.cut or len(found.links) > most
        if not after or found.cut:
            return on


def until(around: Surroundings, at_ms: int) -> Surroundings:
    """Leave out what was first seen later than a time in epoch ms. Who is a hub then follows from what is left, if all was read."""
    links = {name: link for name, link in around.links.items() if link.first.occurred_at <= at_ms}
    return Surroundings(links, around.standings, around.expanded, around.cut)


def covered_anew(rules: Rules, around: Surroundings, erasure: Erasure) -> set[bytes]:
    """Give the digests of what an erasure covers and none with as late a cutoff has covered before: it changes nothing of the others."""
    before = {identifier_digest(rules.identity_key, one): standing.erased for one, standing in around.standings.items()}
    cutoffs = ((one.digest, before.get(one.digest)) for one in erasure.covered)
    return {digest for digest, cutoff in cutoffs if cutoff is None or cutoff < erasure.cutoff}


def without(rules: Rules, around: Surroundings, erasure: Erasure) -> Surroundings:
    """Leave out what an erasure takes away, as far as links tell: nothing is left here of one that was seen before its cutoff."""
    key, covered = rules.identity_key, covered_anew(rules, around, erasure)
    links: dict[bytes, SeenLink] = {}
    for name, link in around.links.items():
        first = [identifier_digest(key, one.identifier) for one in link.identifiers]
        if not covered.intersection(first):
            links[name] = link
        elif link.first.occurred_at >= erasure.cutoff:
            later = [
                replace(one, digest=later_digest(key, digest, erasure.cutoff)) if digest in covered else one
                for one, digest in zip(link.identifiers, first, strict=True)
            ]
            links[name] = replace(link, identifiers=tuple(sorted(later, key=strength)))
    return Surroundings(links, around.standings, around.expanded, around.cut)


def picture(rules: Rules, around: Surroundings, corrections: Iterable[Correction] = ()) -> Picture:
    """Compute who is one, under what stands and some corrections more."""
    by_type: dict[str, dict[Identifier, Standing]] = {}
    for identifier, standing in _with(around.standings, corrections).items():
        by_type.setdefault(identifier.entity_type, {})[identifier] = standing
    found = [_picture_of(rules, entity_type, around, standings) for entity_type, standings in by_type.items()]
    return Picture(
        tuple(division for one in found for division in one.divisions),
        {identifier: name for one in found for identifier, name in one.entity_of.items()},
        {name: members for one in found for name, members in one.members.items()},
        frozenset(identifier for one in found for identifier in one.off),
    )


def _picture_of(rules: Rules, entity_type: str, around: Surroundings, standings: dict[Identifier, Standing]) -> Picture:
    """Compute who is one of the identifiers of one entity type; a link is of one type."""
    seen = [link for link in around.links.values() if link.identifiers[0].identifier.entity_type == entity_type]
    digest_of = {identifier: identifier_digest(rules.identity_key, identifier) for identifier in standings}
    digest_of |= {one.identifier: one.digest for link in seen for one in link.identifiers}  # it may have been erased once
    by_digest = {digest: identifier for identifier, digest in digest_of.items()}
    rule = rules.entities[entity_type]
    links = [Together(link.identifiers, link.first.occurred_at) for link in seen]
    blocked = {digest_of[one] for one, standing in standings.items() if standing.blocked}
    counted = hubs(links, rule, blocked)  # right for those all of whose links are here
    expanded = {digest_of[one] for one in around.expanded if one in digest_of}
    known = {digest_of[one] for one, standing in standings.items() if standing.hub} - expanded
    off = blocked | (counted & expanded) | known
    usable = {one.digest: one for link in links for one in link.identifiers if one.digest in expanded and one.digest not in off}
    linked = [pair for pair in _linked(rules, standings, digest_of) if all(one.digest in usable for one in pair.identifiers)]
    edges = [edge for edge in edges_of([*links, *linked], off) if edge.stronger.digest in usable and edge.weaker.digest in usable]
    forbidden = frozenset(
        (digest_of[one], digest_of[other]) for one, found in standings.items() for other in found.forbidden if other in digest_of
    )
    divisions = components_of(usable.values(), edges, rule, Corrections(forbidden=forbidden).enemies())
    first = _first_seen(links)
    members: dict[str, frozenset[Identifier]] = {}
    for part in (part for division in divisions for part in division.parts):
        founder = min(part, key=lambda digest: (first[digest], digest))
        members[id_of(rules, entity_type, founder)] = frozenset(by_digest[digest] for digest in part)
    entity_of = {identifier: name for name, part in members.items() for identifier in part}
    return Picture(tuple(divisions), entity_of, members, frozenset(by_digest[digest] for digest in off if digest in by_digest))


def _first_seen(links: Iterable[Together]) -> dict[bytes, int]:
    first: dict[bytes, int] = {}
    for link in links:
        for one in link.identifiers:
            first[one.digest] = min(first.get(one.digest, link.first), link.first)
    return first


def _linked(rules: Rules, standings: dict[Identifier, Standing], digest_of: Mapping[Identifier, bytes]) -> list[Together]:
    found = []
    for one, standing in standings.items():
        for other, since in standing.linked:
            if other not in digest_of:
                continue
            ends = [_usable(rules, identifier, digest_of[identifier]) for identifier in (one, other)]
            found.append(Together(tuple(sorted(ends, key=strength)), since))
    return found


def _usable(rules: Rules, identifier: Identifier, digest: bytes) -> Usable:
    return Usable(identifier, digest, rules.entities[identifier.entity_type].identifiers[identifier.type].priority)


def _with(standings: dict[Identifier, Standing], corrections: Iterable[Correction]) -> dict[Identifier, Standing]:
    """Say what standings would be with some corrections."""
    found = dict(standings)
    for one in corrections:
        named = [usable.identifier for usable in one.identifiers]
        for identifier, *others in (named, named[::-1]):
            had = found.get(identifier, Standing())
            if one.kind is Kind.BLOCK:
                found[identifier] = replace(had, blocked=one.holds)
            elif one.kind is Kind.FORBID:
                rest = tuple(other for other in had.forbidden if other not in others)
                found[identifier] = replace(had, forbidden=(*rest, *others) if one.holds else rest)
            else:
                pairs = tuple(pair for pair in had.linked if pair[0] not in others)
                found[identifier] = replace(had, linked=(*pairs, *((other, one.issued_at) for other in others)) if one.holds else pairs)
    return found


@dataclass(frozen=True, slots=True)
class Move:
    """Identifiers that would belong to another entity than now. An id None is nobody."""

    before: str | None
    after: str | None
    identifiers: tuple[Identifier, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a correction would change: which identifiers move, which ids end, and which are new."""

    moves: tuple[Move, ...]
    ended: tuple[str, ...]
    new: tuple[str, ...]

    @property
    def splits(self) -> dict[str, tuple[str, ...]]:
        """Give the ids whose identifiers would be of several entities, or of somebody else though the id lives on; and whose."""
        found: dict[str, set[str]] = {}
        for move in self.moves:
            if move.before is not None and move.after is not None:
                found.setdefault(move.before, set() if move.before in self.ended else {move.before}).add(move.after)
        return {before: tuple(sorted(after)) for before, after in found.items() if len(after) > 1}

    @property
    def merges(self) -> dict[str, tuple[str, ...]]:
        """Give the ids whose identifiers would all be of one other entity, by that entity's id."""
        found: dict[str, set[str]] = {}
        split = self.splits
        for move in self.moves:
            if move.before is not None and move.after is not None and move.before in self.ended and move.before not in split:
                found.setdefault(move.after, set()).add(move.before)
        return {after: tuple(sorted(before)) for after, before in found.items()}


def difference(before: Picture, after: Picture) -> Preview:
    """Compare who is one before and after."""
    found: dict[tuple[str | None, str | None], list[Identifier]] = {}
    for identifier in sorted(before.entity_of.keys() | after.entity_of.keys()):
        was, becomes = before.entity_of.get(identifier), after.entity_of.get(identifier)
        if was != becomes:
            found.setdefault((was, becomes), []).append(identifier)
    moves = [Move(was, becomes, tuple(identifiers)) for (was, becomes), identifiers in found.items()]
    ids = before.members.keys(), after.members.keys()
    return Preview(
        tuple(sorted(moves, key=lambda one: (-len(one.identifiers), one.identifiers))),
        tuple(sorted(ids[0] - ids[1])),
        tuple(sorted(ids[1] - ids[0])),
    )


def refusals(pictured: Picture) -> dict[tuple[bytes, bytes], str]:
    """Name the guard for each edge whose ends are kept apart, by its ends."""
    return {one.edge.ends: one.guard.value for division in pictured.divisions for one in division.refused}
