"""Advice: which values and types look like junk or like shared devices, what holds the largest entities together, which guards would help.

Pure functions from what Redis holds of a space to findings with numbers. Invariant: what is counted is evidence: links that count, and
identifiers that were not erased. Neighbours: `nexus doctor --identifiers` shows it; `verify.dump` brings the records.
"""

from __future__ import annotations

import base64
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from streams.settings import EntitySettings
from streams.verify.dump import Dump

TRIED = 200
"""Of a large entity, so many identifiers with the most links are tried as those that hold it together."""

FEW_OWNERS = 1
MANY_OWNERS = 5
_WORDS = "none|null|unknown|test|demo|anonymous|guest|dummy|fake|n/?a"
_JUNK = re.compile(rf"(.)\1{{3,}}|.*@(test|example)\.[a-z]+|({_WORDS})([@._ -].*|\d*)")
_SHORT = 2
"""A value of so few characters is no identifier if many owners have it."""

_ROUND = (*range(2, 11), *range(15, 101, 5), *range(150, 10_001, 50))


@dataclass(slots=True)
class Sighted:
    """One identifier: with whom it was seen, with how many values of the strongest type, on how many links, since when."""

    entity_type: str
    type: str
    value: str
    links: int = 0
    others: int = 0
    owners: int = 0
    new_owners: int = 0
    first: int = 0
    last: int = 0
    blocked: bool = False
    hub: bool = False

    @property
    def growth(self) -> float:
        """Give the share of owners that were first seen with it in the newest tenth of its life."""
        return self.new_owners / self.owners if self.owners else 0.0


@dataclass(frozen=True, slots=True)
class TypeFinding:
    """One identifier type, by how many values of the strongest type its values were seen with. `over` and `limit` are suggestions."""

    entity_type: str
    type: str
    values: int
    shared: int
    crowded: int
    most: int
    high: int
    hubs: int
    over: int | None = None
    beyond_over: int = 0
    """Values of it that a hub rule over so many would take out of use."""

    limit: int | None = None
    beyond_limit: int = 0
    """Entities with more than one value of it, which the limit would divide."""


@dataclass(frozen=True, slots=True)
class Bridge:
    """An identifier without which an entity falls apart, and into which pieces, the largest first."""

    identifier: str
    pieces: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class EntityFinding:
    """A large entity and what holds it together."""

    entity_id: str
    size: int
    bridges: tuple[Bridge, ...]


@dataclass(slots=True)
class Advice:
    """Everything that was found."""

    identifiers: list[Sighted] = field(default_factory=list)
    types: list[TypeFinding] = field(default_factory=list)
    entities: list[EntityFinding] = field(default_factory=list)
    junk: list[Sighted] = field(default_factory=list)


def advise(dump: Dump, entities: Mapping[str, EntitySettings], limit: int) -> Advice:
    """Look for what would join too many; at most `limit` of each kind, the worst first. Costs O(links), and some for each large entity."""
    seen = _sighted(dump, _strongest(entities))
    by_owners = sorted(seen.values(), key=lambda one: (-one.owners, -one.others, one.value))
    strongest = _strongest(entities)
    weak = [one for one in by_owners if one.type != strongest.get(one.entity_type) and (one.owners > FEW_OWNERS or one.hub)]
    junk = [one for one in by_owners if not one.blocked and one.links > 1 and _is_junk(one)]
    return Advice(weak[:limit], list(_types(dump, seen, entities)), list(_largest(dump, entities, limit)), junk[:limit])


def _is_junk(one: Sighted) -> bool:
    return bool(_JUNK.fullmatch(one.value.casefold())) or (len(one.value) <= _SHORT and one.owners > MANY_OWNERS)


def _strongest(entities: Mapping[str, EntitySettings]) -> dict[str, str]:
    """Name the strongest identifier type of each entity type."""
    return {name: min(entity.identifiers, key=lambda kind: entity.identifiers[kind].priority or 0) for name, entity in entities.items()}


def _sighted(dump: Dump, strongest: Mapping[str, str]) -> dict[int, Sighted]:
    """Count for each node with whom it was seen, and when it met whom of the strongest type first."""
    found: dict[int, Sighted] = {}
    for number, node in dump.nodes.items():
        if not node.erased:
            entity_type, _, kind = dump.names.get(node.code, "?:?").partition(":")
            value = dump.values.get(number, "")
            found[number] = Sighted(
                entity_type, kind, value, first=node.first, last=node.last, blocked=bool(node.flags & 1), hub=bool(node.flags & 2)
            )
    others: dict[int, set[int]] = defaultdict(set)
    owners: dict[int, dict[int, int]] = defaultdict(dict)
    for link in dump.links.values():
        members = [] if link.dead else [number for number, _ in link.members if number in found]
        top = [number for number in members if found[number].type == strongest.get(found[number].entity_type)]
        for number in members:
            found[number].links += 1
            others[number].update(one for one in members if one != number)
            for owner in top:
                if owner != number and not found[owner].blocked:
                    met = owners[number]
                    met[owner] = min(link.first, met.get(owner, link.first))
    for number, one in found.items():
        met = owners.get(number, {})
        one.others, one.owners = len(others.get(number, ())), len(met)
        newest = one.last * 3_600_000 - (one.last * 3_600_000 - one.first) // 10
        one.new_owners = sum(first >= newest for first in met.values())
    return found


def _types(dump: Dump, seen: Mapping[int, Sighted], entities: Mapping[str, EntitySettings]) -> Iterator[TypeFinding]:
    """Describe each type, and suggest a hub rule for weak ones and a limit for the strongest."""
    strongest = _strongest(entities)
    owners: dict[tuple[str, str], list[int]] = defaultdict(list)
    hubs: dict[tuple[str, str], int] = defaultdict(int)
    for one in seen.values():
        owners[one.entity_type, one.type].append(one.owners)
        hubs[one.entity_type, one.type] += one.hub
    several: dict[str, int] = defaultdict(int)
    living: dict[str, int] = defaultdict(int)
    for part in dump.parts.values():
        for code, count in part.counts.items():
            name = dump.names.get(code, "")
            several[name] += count > 1
            living[name] += 1
    for (entity_type, kind), counts in sorted(owners.items()):
        declared = entities.get(entity_type)
        if declared is None or kind not in declared.identifiers:
            continue
        counts.sort()
        top, name = kind == strongest[entity_type], f"{entity_type}:{kind}"
        rule = declared.identifiers[kind].hub
        above = _round_above(_share(counts, 0.999))
        over = above if not top and counts[-1] > FEW_OWNERS and above < (rule.over if rule else MANY_OWNERS) else None
        may_limit = top and declared.identifiers[kind].limit is None and several[name] * 1_000 <= living[name]
        yield TypeFinding(
            entity_type,
            kind,
            len(counts),
            sum(count > FEW_OWNERS for count in counts),
            sum(count > MANY_OWNERS for count in counts),
            counts[-1],
            _share(counts, 0.99),
            hubs[entity_type, kind],
            over,
            sum(count > over for count in counts) if over else 0,
            1 if may_limit else None,
            several[name],
        )


def _share(counts: list[int], share: float) -> int:
    """Give the value that so large a share of sorted counts does not exceed."""
    return counts[min(len(counts) - 1, int(len(counts) * share))]


def _round_above(count: int) -> int:
    """Give a round number at least as large, and at least 2; beyond ten thousand the number itself."""
    return next((one for one in _ROUND if one >= count), count)


def _largest(dump: Dump, entities: Mapping[str, EntitySettings], limit: int) -> Iterator[EntityFinding]:
    """Describe the largest entities, those of one or two identifiers left out."""
    roots = sorted(dump.parts, key=lambda root: (-dump.parts[root].size, root))[:limit]
    members: dict[int, list[int]] = {root: [] for root in roots if dump.parts[root].size > 2}
    for number in dump.nodes:
        root = _root(dump, number)
        if root in members:
            members[root].append(number)
    links: dict[int, list[list[int]]] = {root: [] for root in members}
    for link in dump.links.values():
        on = [] if link.dead else [number for number, _ in link.members if not dump.nodes[number].off]
        root = _root(dump, on[0]) if on else 0
        if len(on) > 1 and root in links:
            links[root].append(on)
    for root, inside in members.items():
        founder = dump.nodes[dump.parts[root].founder]
        entity_type = dump.names[founder.code].partition(":")[0]
        letters = base64.b32encode(founder.digest).decode().rstrip("=").lower()
        prefix = entities[entity_type].prefix if entity_type in entities else entity_type[:3]
        yield EntityFinding(f"{prefix}_{letters}", len(inside), tuple(_bridges(dump, inside, links[root])))


def _root(dump: Dump, number: int) -> int:
    while dump.nodes[number].parent != number:
        number = dump.nodes[number].parent
    return number


def _bridges(dump: Dump, inside: list[int], links: list[list[int]]) -> Iterator[Bridge]:
    """Take identifiers away one by one, and see whether the rest is still one; the worst three."""
    on: dict[int, list[int]] = defaultdict(list)
    for at, members in enumerate(links):
        for number in members:
            on[number].append(at)
    tried = sorted(inside, key=lambda number: (-len(on[number]), number))[:TRIED]
    found = []
    for number in tried:
        pieces = sorted(_pieces(set(inside) - {number}, links, on), reverse=True)
        if len(pieces) > 1:
            found.append(Bridge(f"{dump.names[dump.nodes[number].code]}:{dump.values.get(number, '?')}", tuple(pieces)))
    yield from sorted(found, key=lambda one: (-(sum(one.pieces) - one.pieces[0]), one.identifier))[:3]


def _pieces(left: set[int], links: list[list[int]], on: Mapping[int, Iterable[int]]) -> Iterator[int]:
    """Measure the pieces into which identifiers fall by their links."""
    while left:
        size, todo = 0, [left.pop()]
        while todo:
            size += 1
            for at in on[todo.pop()]:
                joined = left.intersection(links[at])
                left -= joined
                todo += joined
        yield size
