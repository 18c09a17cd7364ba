"""Erasure: which sightings count no more, and under which digest an erased identifier is known from then on.

Invariant: a function of the set of erasures: of each identifier the latest cutoff that covers it counts, whatever came first.
Neighbours: `kept` applies it to evidence in memory, `lua/erased.lua` in Redis.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from resolvers.edge import strength
from resolvers.identifier import later_digest
from resolvers.sighting import Sighting, Usable

Cutoffs = Mapping[bytes, int]
"""By the digest of an identifier's first generation: before which time, in epoch ms, its sightings count no more."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """A command: what was seen before `cutoff`, in epoch ms, with any of the covered identifiers counts no more, whenever it arrives.

    `covered` have the digests of first generations; their values may be empty, as the command does not say them.
    """

    command_id: str
    covered: tuple[Usable, ...]
    cutoff: int


def cutoffs_with(cutoffs: Cutoffs, erasure: Erasure) -> dict[bytes, int]:
    """Join an erasure with those before."""
    return {**cutoffs, **{one.digest: max(erasure.cutoff, cutoffs.get(one.digest, erasure.cutoff)) for one in erasure.covered}}


def reborn(usable: Usable, cutoffs: Cutoffs, key: bytes) -> Usable:
    """Give an identifier under the digest that it has since it was erased last; unchanged when it never was."""
    cutoff = cutoffs.get(usable.digest)
    return usable if cutoff is None else replace(usable, digest=later_digest(key, usable.digest, cutoff))


def surviving(seen: Sighting, occurred_at: int, cutoffs: Cutoffs, key: bytes) -> Sighting | None:
    """Give what counts of a sighting; None when it was before the cutoff of any of its identifiers."""
    covering = [cutoffs[one.digest] for one in seen.identifiers if one.digest in cutoffs]
    if not covering:
        return seen
    if occurred_at < max(covering):
        return None
    return replace(seen, identifiers=tuple(sorted(_reborn(seen.identifiers, cutoffs, key), key=strength)))


def _reborn(usable: Iterable[Usable], cutoffs: Cutoffs, key: bytes) -> Iterable[Usable]:
    return (reborn(one, cutoffs, key) for one in usable)
