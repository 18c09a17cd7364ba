"""The schedule: which faults strike in which round, and with which seed.

Invariant: a function of the campaign's seed; kinds come in shuffled bags of one each, so that in any number of rounds
each kind is the first of its round equally often, give or take one. Neighbours: `faults` has the kinds, `campaign`
holds the rounds.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from tests.chaos.faults import FAULTS

WORLD_ROUNDS = 6
"""Rounds held in one world: more have more history, and take the judge longer."""

TOGETHER = 0.2
"""Part of the rounds in which a second fault strikes too."""

MOST_SEED = 2**31


@dataclass(frozen=True, slots=True)
class Plan:
    """One round to be: its faults, and the seed of everything they choose. As text it is what `--repeat` takes."""

    seed: int
    kinds: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `SEED:KIND+KIND`. Raises ValueError."""
        seed, _, kinds = text.partition(":")
        if not seed.isdecimal() or not kinds:
            raise ValueError(f"{text!r} is no round: write SEED:KIND, such as 12345:freeze or 12345:freeze+net-cut")
        return cls(int(seed), known(kinds.split("+")))

    def __str__(self) -> str:
        return f"{self.seed}:{'+'.join(self.kinds)}"

    @property
    def needs_copy(self) -> bool:
        """Say whether a fault needs a copy of Redis from an earlier round."""
        return any(FAULTS[kind].needs_copy for kind in self.kinds)

    @property
    def loses_writes(self) -> bool:
        """Say whether Redis may lose writes."""
        return any(FAULTS[kind].loses_writes for kind in self.kinds)

    def again(self) -> Plan:
        """Give the round to hold instead when this one's fault hit nothing: another seed, the same kinds."""
        return Plan(random.Random(self.seed).randrange(MOST_SEED), self.kinds)


def known(kinds: Sequence[str]) -> tuple[str, ...]:
    """Give the kinds back if there are such. Raises ValueError naming those there are."""
    if wrong := [kind for kind in kinds if kind not in FAULTS]:
        raise ValueError(f"{', '.join(wrong)}: there is no such fault; there are {', '.join(FAULTS)}")
    return tuple(kinds)


def schedule(seed: int, rounds: int, kinds: Sequence[str]) -> list[Plan]:
    """Deal faults out over rounds."""
    pick = random.Random(seed)
    firsts: list[str] = []
    while len(firsts) < rounds:
        firsts += pick.sample(kinds, len(kinds))
    firsts = _copies_later(firsts[:rounds])
    return [Plan(pick.randrange(MOST_SEED), _with_second(first, kinds, pick)) for first in firsts]


def _copies_later(firsts: list[str]) -> list[str]:
    """Let no world begin with a fault that needs a copy from an earlier round, as far as there are others."""
    for begin in range(0, len(firsts), WORLD_ROUNDS):
        others = (place for place in range(begin, min(begin + WORLD_ROUNDS, len(firsts))) if not FAULTS[firsts[place]].needs_copy)
        place = next(others, begin)
        firsts[begin], firsts[place] = firsts[place], firsts[begin]
    return firsts


def _with_second(first: str, kinds: Sequence[str], pick: random.Random) -> tuple[str, ...]:
    others = [kind for kind in kinds if FAULTS[kind].target != FAULTS[first].target and not FAULTS[kind].needs_copy]
    if not others or pick.random() >= TOGETHER:
        return (first,)
    return first, pick.choice(others)
