"""The comparison of two graphs of the same evidence: which entities are merged, split, renamed or as they were.

Pure: two maps from identifier to entity id in, findings out. Entities of the one that share identifiers with entities of the other
are looked at together. Cost: O(n) in the identifiers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

Owners = Mapping[str, str]
"""From an identifier's key, `entity type:identifier type:value`, to the id of its entity."""


class Kind(Enum):
    """What became of some entities."""

    UNCHANGED = "unchanged"
    RENAMED = "renamed"
    """The same identifiers under another id."""

    GROWN = "grown"
    """The same id, with identifiers that were nobody's before."""

    SHRUNK = "shrunk"
    """The same id, without identifiers that are nobody's now."""

    MERGED = "merged"
    SPLIT = "split"
    REGROUPED = "regrouped"
    """Several became several others."""

    GONE = "gone"
    """None of its identifiers is anybody's now."""

    NEW = "new"


@dataclass(frozen=True, slots=True)
class Found:
    """Entities of both sides that hang together: their ids before and after, and how many identifiers they have."""

    kind: Kind
    before: tuple[str, ...]
    after: tuple[str, ...]
    identifiers: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many entities of either side are of each kind, and what changed, the largest first."""

    before: Counter[Kind]
    after: Counter[Kind]
    changes: tuple[Found, ...]


def compare(before: Owners, after: Owners, examples: int = 3) -> Comparison:
    """Compare two graphs. `examples` identifiers of each change are named."""
    counts: tuple[Counter[Kind], Counter[Kind]] = (Counter(), Counter())
    changes = []
    for found in _found(before, after, examples):
        counts[0][found.kind] += len(found.before)
        counts[1][found.kind] += len(found.after)
        if found.kind is not Kind.UNCHANGED:
            changes.append(found)
    changes.sort(key=lambda one: (-one.identifiers, one.before, one.after))
    return Comparison(*counts, tuple(changes))


def _found(before: Owners, after: Owners, examples: int) -> Iterator[Found]:
    members: tuple[dict[str, list[str]], dict[str, list[str]]] = ({}, {})
    for ids, owners in zip(members, (before, after), strict=True):
        for key, entity_id in owners.items():
            ids.setdefault(entity_id, []).append(key)
    todo = {(0, entity_id) for entity_id in members[0]} | {(1, entity_id) for entity_id in members[1]}
    while todo:
        reached, together = [todo.pop()], set()
        while reached:
            side, entity_id = one = reached.pop()
            together.add(one)
            other = (after, before)[side]
            near = {(1 - side, other[key]) for key in members[side][entity_id] if key in other} & todo
            todo -= near
            reached += near
        was, becomes = (sorted(entity_id for side, entity_id in together if side == which) for which in (0, 1))
        had = {key for entity_id in was for key in members[0][entity_id]}
        has = {key for entity_id in becomes for key in members[1][entity_id]}
        named = tuple(sorted(had | has)[:examples])
        yield Found(_kind(was, becomes, had, has), tuple(was), tuple(becomes), len(had | has), named)


def _kind(before: list[str], after: list[str], had: set[str], has: set[str]) -> Kind:  # noqa: PLR0911 - one line for each
    if not after:
        return Kind.GONE
    if not before:
        return Kind.NEW
    if len(before) > 1 and len(after) > 1:
        return Kind.REGROUPED
    if len(before) > 1:
        return Kind.MERGED
    if len(after) > 1:
        return Kind.SPLIT
    if before != after:
        return Kind.RENAMED
    if had == has:
        return Kind.UNCHANGED
    return Kind.GROWN if has > had else Kind.SHRUNK
