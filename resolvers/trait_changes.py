"""Trait changes: what the timeline tells when the traits of an entity became others.

Invariant: folding these records gives the traits that a document has room for. No record is longer than twice the bytes of traits in a
document: a value that no document holds is not told, and of a trait that keeps all values only what came and what went is, in pieces.
Neighbours: `timeline` tells what else changed; `trait_rules` bounds what a trait keeps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from resolvers.change import NOBODY, Change
from resolvers.entity import Fact, fits_a_document
from resolvers.trait_rules import MOST_KEPT, MOST_KEPT_BYTES, OF_VALUE

Traits = Mapping[str, Fact]
Values = Mapping[bytes, Fact]

MOST_VALUES = 500
MOST_VALUES_BYTES = 64 * 1024
"""So many values that came or went stand in one record, of so many bytes, or one that is longer."""


def one_by_one(traits: Traits) -> dict[str, bytes]:
    """Give the values that are told of traits that have one."""
    return {name: fact.value for name, fact in traits.items() if OF_VALUE not in name and fits_a_document(name, fact)}


def set_changes(old: Traits, new: Traits) -> Iterator[Change]:
    """Tell how traits that keep all values came from what was told, by name."""
    before, after = _sets(old), _sets(new)
    for name in sorted(before.keys() | after.keys()):
        yield from _set_changes(name, before.get(name, {}), after.get(name, {}))


def _set_changes(name: str, old: Values, new: Values) -> Iterator[Change]:
    """Tell first which values went as nothing shows them any more, then which came by each event, and which have no room any more."""
    by_event: dict[Fact, list[bytes]] = defaultdict(list)
    for value in new.keys() - old.keys():
        fact = new[value]
        by_event[Fact(fact.time, fact.source, fact.event_id)].append(value)
    gone = old.keys() - new.keys()
    total = sum(map(len, new)) if by_event else 0
    cut = {one for one in gone if by_event and (len(new) == MOST_KEPT or total + len(one) > MOST_KEPT_BYTES)}
    yield from _pieces(name, NOBODY, [], sorted(gone - cut))
    last = max(by_event, default=NOBODY)
    for event in sorted(by_event):
        yield from _pieces(name, event, sorted(by_event[event]), sorted(cut) if event == last else [])


def _pieces(name: str, event: Fact, added: Iterable[bytes], removed: Iterable[bytes]) -> Iterator[Change]:
    """Tell values in several records where they are many."""
    piece: dict[str, list[Any]] = {"added": [], "removed": []}
    count, size = 0, 0
    for side, value in [*(("removed", one) for one in removed), *(("added", one) for one in added)]:
        if count and (count == MOST_VALUES or size + len(value) > MOST_VALUES_BYTES):
            yield Change("trait.changed", event, {"trait": name, **piece})
            piece, count, size = {"added": [], "removed": []}, 0, 0
        piece[side].append(msgspec.json.decode(value))
        count, size = count + 1, size + len(value)
    if count:
        yield Change("trait.changed", event, {"trait": name, **piece})


def _sets(traits: Traits) -> dict[str, dict[bytes, Fact]]:
    """Give the facts of traits that keep all values, by name and value."""
    found: dict[str, dict[bytes, Fact]] = defaultdict(dict)
    for key, fact in traits.items():
        name, mark, _ = key.partition(OF_VALUE)
        if mark:
            found[name][fact.value] = fact
    return found
