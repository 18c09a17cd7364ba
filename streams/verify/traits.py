"""Traits, recomputed: which value of a trait counts. Written from the settings' reference, apart from the resolver."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from streams.settings import Settings
from streams.verify.canonical import canonical
from streams.verify.instants import YEAR_ONE

if TYPE_CHECKING:
    from streams.verify.expected import Moment

Seen = TypeVar("Seen", bound=tuple[Any, bytes])
"""A value, and what it was seen by."""

YEAR_10000 = 253_402_300_800_000
SPAN = YEAR_10000 + YEAR_ONE


class DeclaredTraits:
    """The traits for which the settings choose otherwise than by the latest event."""

    def __init__(self, settings: Settings) -> None:
        """Read the settings."""
        self._chosen = {(entity, name): one for entity, declared in settings.entities.items() for name, one in declared.traits.items()}

    def seen(self, entity_type: str, traits: Mapping[str, object]) -> Iterator[tuple[str, bytes]]:
        """Give the values of a participant's traits; of one that keeps all values each under a name of its own."""
        for name, value in traits.items():
            chosen = self._chosen.get((entity_type, name))
            if chosen is None or chosen.keep != "all":
                if value is not None:
                    yield name, canonical(value)
                continue
            for one in value if isinstance(value, list) else [value]:
                if one is not None:
                    yield f"{name}\0{canonical(one).decode()}", canonical(one)

    def ranked(self, entity_type: str, name: str, moment: Moment, value: bytes) -> Moment:
        """Give what decides between two values of a trait: the event, or what stands in the place of its time."""
        chosen = self._chosen.get((entity_type, name))
        at, source, event_id = moment
        if chosen is None:
            return moment
        if chosen.keep == "earliest":
            return SPAN - (at + YEAR_ONE), source, event_id
        if chosen.keep == "longest":
            said = msgspec.json.decode(value)
            return min(len(said) if isinstance(said, str) else len(value), 1_000_000), source, event_id
        if chosen.keep == "source":
            rank = len(chosen.sources) - chosen.sources.index(source) if source in chosen.sources else 0
            return rank * SPAN + at + YEAR_ONE, source, event_id
        return moment


def told(traits: Mapping[str, bytes]) -> dict[str, bytes]:
    """Give what is told of traits: of one that keeps all values the list of them."""
    plain = {name: value for name, value in traits.items() if "\0" not in name}
    lists: dict[str, list[bytes]] = {}
    for name, value in traits.items():
        if "\0" in name:
            lists.setdefault(name.split("\0")[0], []).append(value)
    return plain | {name: b"[" + b",".join(sorted(values)) + b"]" for name, values in lists.items()}


def has_room(name: str, value: bytes) -> bool:
    """Say whether the timeline tells a value: no document takes one of over half a mebibyte, with the name of the trait."""
    return len(name.encode("utf-8", "surrogatepass")) + len(value) <= 512 * 1024


def bounded(traits: dict[str, Seen]) -> dict[str, Seen]:
    """Keep of each trait that keeps all values the 500 shortest, of 128 KiB together at most; of as long ones the least."""
    by_trait: dict[str, list[tuple[int, bytes, str]]] = {}
    for name, (_, value) in traits.items():
        if "\0" in name:
            by_trait.setdefault(name.split("\0")[0], []).append((len(value), value, name))
    for values in by_trait.values():
        values.sort(reverse=True)
        total = sum(size for size, _, _ in values)
        while len(values) > 500 or total > 128 * 1024:
            size, _, name = values[0]
            total -= size
            del traits[name], values[0]
    return traits
