"""Files of sightings: which identifiers a record shows together, the same for every peer.

Identifiers are written as `type:value`, normalised already, so that no peer gains or loses by that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec


class Sighting(msgspec.Struct):
    """One record: its id, its time, and the identifiers of the person that it saw."""

    id: str
    at: str
    identifiers: list[str]


encode_sighting = msgspec.json.Encoder().encode
"""Sighting -> a line of JSON, without its end."""

_decode = msgspec.json.Decoder(Sighting).decode


def read_sightings(paths: Sequence[Path]) -> Iterator[Sighting]:
    """Read records file by file."""
    for path in paths:
        with path.open("rb") as file:
            yield from map(_decode, file)


def pairs(identifiers: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Give as few pairs as connect what was seen together: the first with each other."""
    first, *others = identifiers
    return ((first, other) for other in others)
