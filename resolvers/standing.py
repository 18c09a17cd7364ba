"""The standing of an identifier: whether it connects, and what operators have said of it.

Invariant: a view of what a store keeps, so that both stores give the same for the same evidence and corrections.
Neighbours: the port gives it; `preview` computes with it what a correction would change.
"""

from __future__ import annotations

from dataclasses import dataclass

from resolvers.identifier import Identifier


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one identifier beside its links. `linked` are pairs of an identifier and the time in epoch ms since when.

    Of those it is forbidden or linked with, only identifiers that were seen are named. `erased` is the latest cutoff of an erasure that
    covers it, in epoch ms; None where none does.
    """

    known: bool = False
    blocked: bool = False
    hub: bool = False
    forbidden: tuple[Identifier, ...] = ()
    linked: tuple[tuple[Identifier, int], ...] = ()
    erased: int | None = None

    @property
    def off(self) -> bool:
        """Say whether it connects nothing."""
        return self.blocked or self.hub
