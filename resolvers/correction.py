"""Corrections: what operators say against the evidence, and which of their words stand.

Invariant: of all corrections about one subject the latest by (issued at, command id) stands, whatever came first, so
that the outcome is one function of the set. Neighbours: `parts` honours them, both resolvers keep them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from resolvers.edge import Together, strength
from resolvers.erasure import Erasure
from resolvers.parts import Corrections
from resolvers.sighting import Position, Usable


class Kind(Enum):
    """What a correction is about."""

    BLOCK = "block"
    """One identifier connects and founds nothing."""

    FORBID = "forbid"
    """Two identifiers are never one entity."""

    LINK = "link"
    """Two identifiers that were seen are joined by an edge, as if they had been seen together."""


Subject = tuple[Kind, tuple[bytes, ...]]
"""What a correction is about, and the digests of the identifiers that it names, in order."""


@dataclass(frozen=True, slots=True)
class Correction:
    """One command. `holds` says the thing, else it takes it back. `issued_at` is in epoch milliseconds.

    `identifiers` is one to block, and two, of one entity type, to forbid or to link.
    """

    command_id: str
    kind: Kind
    holds: bool
    identifiers: tuple[Usable, ...]
    issued_at: int

    @property
    def subject(self) -> Subject:
        """Say what it is about."""
        return self.kind, tuple(sorted(one.digest for one in self.identifiers))

    @property
    def turn(self) -> tuple[int, bytes]:
        """Say which of two about one subject is the later."""
        return self.issued_at, self.command_id.encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class CorrectionBatch:
    """Consecutive corrections and erasures of one partition of one log; positions and marks as in a `Batch` of evidence."""

    log: str
    partition: int
    start: int
    end: Position
    corrections: tuple[Correction | Erasure, ...]
    after: str = ""
    mark: str = ""


def standing(corrections: Iterable[Correction]) -> dict[Subject, Correction]:
    """Keep the latest correction of each subject."""
    found: dict[Subject, Correction] = {}
    for one in corrections:
        known = found.get(one.subject)
        if known is None or known.turn < one.turn:
            found[one.subject] = one
    return found


def in_force(corrections: Iterable[Correction]) -> Corrections:
    """Say what is blocked, forbidden and linked by corrections that stand."""
    holding = [one for one in corrections if one.holds]
    pairs = [(one.kind, one.subject[1], one) for one in holding]
    return Corrections(
        frozenset(digests[0] for kind, digests, _ in pairs if kind is Kind.BLOCK),
        frozenset((digests[0], digests[1]) for kind, digests, _ in pairs if kind is Kind.FORBID),
        tuple(Together(tuple(sorted(one.identifiers, key=strength)), one.issued_at) for kind, _, one in pairs if kind is Kind.LINK),
    )
