"""Recovery: what a shard has to wait for before it may tell anything, after the store lost writes.

Invariant: a shard is told nothing until the logs are applied up to the ends that were taken when the loss was
noticed, and until its topics were read. Neighbours: the resolver in memory keeps one; in Redis `lua/recover.lua` and
`lua/take.lua` do the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from resolvers.errors import Fenced
from resolvers.port import Ends, Waiting


class Step(Enum):
    """How far a shard is."""

    HOLD = "hold"
    """It waits for the logs, though nothing was lost."""

    WAITING = "waiting"
    UNREAD = "unread"


@dataclass(slots=True)
class Recovery:
    """The shards in recovery, and the ends up to which the logs must be applied."""

    steps: dict[int, Step] = field(default_factory=dict)
    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    readers: dict[int, tuple[str, int]] = field(default_factory=dict)

    def begin(self, step: Step, shards: int, ends: Ends, behind: int | None = None) -> bool:
        """Have every shard wait, unless they do; `behind` is a shard that is to begin anew. Gives whether this began it."""
        began = not self.steps or (step is Step.WAITING and Step.HOLD in self.steps.values())
        if began:
            self.steps = dict.fromkeys(range(shards), step)
        if behind is not None:
            self.steps[behind] = step
            self.readers.pop(behind, None)
        if began or behind is not None:
            self.ends |= {place: max(end, self.ends.get(place, 0)) for place, end in ends.items()}
        return began

    def state(self, shard: int, applied: Callable[[tuple[str, int]], int]) -> Waiting | None:
        """Tell what a shard waits for now; `applied` gives up to where a partition of a log is applied."""
        step = self.steps.get(shard)
        if step in {Step.HOLD, Step.WAITING}:
            if any(applied(place) < end for place, end in self.ends.items()):
                return Waiting.CATCHING_UP
            if step is Step.HOLD:
                self._leave(shard)
                return None
            self.steps[shard] = Step.UNREAD
        return Waiting.UNREAD if shard in self.steps else None

    def begin_reading(self, shard: int, reader: str) -> None:
        """Let a reader begin; whoever read before is fenced. Raises Fenced when there is nothing to read."""
        if self.steps.get(shard) is not Step.UNREAD:
            raise Fenced(f"shard {shard}: its topics are not to be read now")
        self.readers[shard] = (reader, 0)

    def called(self, shard: int, reader: str, calls: int) -> None:
        """Note one more call of a reader. Raises Fenced when another one has begun, or a call before was lost."""
        if self.readers.get(shard) not in {(reader, calls), (reader, calls + 1)}:
            raise Fenced(f"shard {shard}: another worker reads its topics now, or what was read is lost")
        self.readers[shard] = (reader, calls + 1)

    def end_reading(self, shard: int, reader: str, calls: int) -> None:
        """Let the shard go on. Raises Fenced when another reader has begun, or a call was lost."""
        if self.readers.get(shard) != (reader, calls):
            raise Fenced(f"shard {shard}: another worker reads its topics now, or what was read is lost")
        self._leave(shard)

    def _leave(self, shard: int) -> None:
        del self.steps[shard]
        self.readers.pop(shard, None)
        if not self.steps:
            self.ends.clear()
