"""Composing: from the rows of a round to the records of the output topics, without version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from resolvers.carried import ALONE, Around
from resolvers.entity import (
    MembershipView,
    entity_document,
    erased_document,
    identifier_document,
    membership_document,
    merged_document,
    split_document,
)
from resolvers.identifier import founder_of
from resolvers.port import OutputRecord, Remembered
from resolvers.redis_rows import Rows, entity_type_of, read_membership
from resolvers.timeline import changes, ended, ending, joinings, membership_changes, partings, refusal, timeline_record, untold
from resolvers.told_states import pack_states

GOES_ON = 2
"""Said of an entity that was told in the round before, but for some of its merges."""

AGAIN = 4
"""Of an entity whose observations could not be read together: that it must be told once more."""


def compose(
    rows: Rows, taken: Iterable[list[Any]], now: int, around: Mapping[bytes, Around], remembered: list[Remembered]
) -> Iterator[OutputRecord]:
    """Write the documents of the keys that a round took at a present (ms), and the timeline; adds what must be remembered of states.

    `around` says, by the founder's digest, whom memberships connect entities with whose states are derived of them.
    """
    for row in taken:
        match row[0]:
            case b"e":
                yield from _entity(rows, row, now, around.get(row[1], ALONE), remembered)
            case b"i":
                seen = rows.identifier(row[3])
                yield OutputRecord("identifiers", str(seen.identifier), identifier_document(seen, rows.entity_id(row[1], row[2])))
            case b"o":
                yield OutputRecord("identifiers", str(rows.identifier(row[1]).identifier), None)
            case b"x":
                yield from _retired(row[1], row[2].decode("utf-8", "surrogatepass"))
            case _:
                yield from _membership(rows, row)
                if rows.carried:
                    remembered.append((row[2][0] + row[2][2],))


def _entity(rows: Rows, taken: list[Any], now: int, around: Around, remembered: list[Remembered]) -> Iterator[OutputRecord]:
    _, digest, had, traits, notes, row = taken
    told_states, lapses, means = b"", 0, 0
    match row[0]:
        case b"living":
            view = rows.entity(digest, row, now, around)
            told_states, lapses = pack_states(view), view.lapses or 0
            means = rows.means(row[9], told_states) if row[10] is not None else AGAIN
            old = rows.told(view, digest, row, traits, told_states) if had else None
            entity_id, entity_type, document = view.entity_id, view.entity_type, entity_document(view)
            merges = rows.merges(notes, b"+")
            parted = partings(view, [merge.absorbed_id for merge in rows.merges(notes, b"/")])
            erased = bool(row[8]) or any(note[0] == b"x" for note in notes)
            told = [*parted, *changes(old, view, merges if had == GOES_ON else untold(old, merges), erased=erased)]
            told += [
                refusal(guard, merge.event, merge.identifiers) for sign, guard in _GUARDS.items() for merge in rows.merges(notes, sign)
            ]
        case b"gone":
            entity_type, survivor = entity_type_of(row[2]), rows.entity_id(row[1], row[2])
            entity_id = rows.entity_id(digest, row[2])
            document = merged_document(entity_id, entity_type, survivor)
            known = () if had == GOES_ON else row[4]
            joined = list(joinings([merge for merge in rows.merges(notes, b"+") if founder_of(merge.absorbed_id) not in known]))
            if row[3] and not joined:
                return  # as it was told before
            last = (merge.event for merge in rows.merges(notes, b"-")[-1:])
            told = joined if row[3] else [*joined, ending(survivor, *last)]
        case b"erased":
            entity_id, entity_type = rows.entity_id(digest, row[1]), entity_type_of(row[1])
            told = [ended(document := erased_document(entity_id, entity_type))]
        case b"split":
            entity_id, entity_type = rows.entity_id(digest, row[1]), entity_type_of(row[1])
            document = split_document(entity_id, entity_type, rows.successors(row))
            told = [*joinings(rows.merges(notes, b"+")), ended(document)]
        case _:
            return
    if told_states or lapses or means or _remembers(row):
        remembered.append((digest, told_states, lapses, means))
    yield OutputRecord("entities", entity_id, document)
    for change in told:
        yield OutputRecord("timeline", entity_id, timeline_record(entity_id, entity_type, change))


def _remembers(row: list[Any]) -> bool:
    """Say whether states may be remembered of an entity."""
    match row[0]:
        case b"living":
            return bool(row[9] or row[10])
        case b"gone":
            return bool(row[5])
        case _:
            return True


def _retired(kind: bytes, key: str) -> Iterator[OutputRecord]:
    """Write the tombstone of a key that a topic had and the graph does not know, though it has applied the whole log."""
    yield OutputRecord(_TOPICS[kind], key, None, as_told=True)


_GUARDS = {b"l": "limit", b"s": "size", b"f": "forbidden"}
_TOPICS = {b"e": "entities", b"i": "identifiers", b"m": "memberships"}


def _membership(rows: Rows, taken: list[Any]) -> Iterator[OutputRecord]:
    person, group, view = rows.membership(taken[2])
    old: MembershipView | None = read_membership((person, group), taken[1])
    yield OutputRecord("memberships", f"{person}:{group}", membership_document(view) if view else None)
    for change in membership_changes(old, view, erased=bool(taken[2][5])):
        yield OutputRecord("timeline", person, timeline_record(person, entity_type_of(taken[2][1]), change))
