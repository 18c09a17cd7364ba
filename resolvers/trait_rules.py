"""Trait rules: which of the values that were seen of a trait an entity has.

A fact with the largest order counts, then the largest by (source, event id, value); for most traits the order is the event time.
Invariant: pure; so what counts is a function of the set of facts. A trait that keeps all values is one fact for each,
under its name and the value. Neighbours: `evidence` orders facts; `entity` writes documents.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

import msgspec

from resolvers.instant import EARLIEST_MS, LATEST_MS

OF_VALUE = "\x00"
"""Stands between the name of a trait that keeps all values and one of them, as canonical JSON."""

_SPAN = LATEST_MS - EARLIEST_MS + 1
MOST_SOURCES = 20
"""An order must be a whole number that Lua can hold, below 2 to the 53: so many spans of time fit."""

_LONGEST = 1_000_000

MOST_KEPT = 500
MOST_KEPT_BYTES = 128 * 1024
"""A trait that keeps all values keeps at most so many, of at most so many bytes of JSON together: the shortest, then the least by bytes."""


class Valued(Protocol):
    """What has a value as canonical JSON."""

    @property
    def value(self) -> bytes:
        """Give it."""


Seen = TypeVar("Seen", bound=Valued)


class Keep(StrEnum):
    """Which value counts."""

    LATEST = "latest"
    EARLIEST = "earliest"
    LONGEST = "longest"
    SOURCE = "source"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class TraitRule:
    """The rule of one trait. `sources` are those that count more than others, the best first."""

    keep: Keep = Keep.LATEST
    sources: tuple[str, ...] = ()

    def order(self, occurred_at: int, source: str, value: bytes) -> int | None:
        """Give the order of a fact, at a time in ms; None where that is the time itself."""
        since = occurred_at - EARLIEST_MS
        match self.keep:
            case Keep.EARLIEST:
                return _SPAN - since
            case Keep.LONGEST:
                return min(_length(value), _LONGEST)
            case Keep.SOURCE:
                rank = len(self.sources) - self.sources.index(source) if source in self.sources else 0
                return rank * _SPAN + since
            case _:
                return None


LATEST = TraitRule()


def split(rule: TraitRule, name: str, value: object) -> Iterator[tuple[str, object]]:
    """Give the facts of a value: one, or for a trait that keeps all values one for each element of a list."""
    if rule.keep is not Keep.ALL:
        yield name, value
        return
    for one in value if isinstance(value, list) else [value]:
        if one is not None:
            yield name + OF_VALUE, one


def _length(value: bytes) -> int:
    """Count the characters of a text, or the bytes of what else it is."""
    found = msgspec.json.decode(value)
    return len(found) if isinstance(found, str) else len(value)


def gathered(traits: Mapping[str, bytes]) -> dict[str, bytes]:
    """Give the values of traits by name, those of one that keeps all as a list, in the order of their JSON."""
    found: dict[str, bytes] = {}
    several: dict[str, list[bytes]] = {}
    for name in sorted(traits):
        base, mark, _ = name.partition(OF_VALUE)
        if mark:
            several.setdefault(base, []).append(traits[name])
        else:
            found[name] = traits[name]
    return found | {name: b"[" + b",".join(sorted(values)) + b"]" for name, values in several.items()}


def within_bounds(traits: Mapping[str, Seen]) -> dict[str, Seen]:
    """Leave out what a trait that keeps all values has no room for.

    What stays begins the values in order, as far as they fit. As a later value is never shorter, what is cut from a part of a set is cut
    from the set: cutting is idempotent, and may be done as often as one likes while sets are united.
    """
    several: dict[str, list[tuple[int, bytes, str]]] = defaultdict(list)
    for name, fact in traits.items():
        base, mark, _ = name.partition(OF_VALUE)
        if mark:
            several[base].append((len(fact.value), fact.value, name))
    gone: set[str] = set()
    for values in several.values():
        total = 0
        for count, (size, _, name) in enumerate(sorted(values), start=1):
            total += size
            if count > MOST_KEPT or total > MOST_KEPT_BYTES:
                gone.add(name)
    return {name: fact for name, fact in traits.items() if name not in gone}
