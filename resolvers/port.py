"""The resolver's port: what the stages ask of the identity graph, whichever store keeps it.

Invariant: the graph is one function of the set of evidence applied, whatever its order, batches and repeats.
`resolvers.memory` is the specification; `resolvers.redis_graph` must be indistinguishable from it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from resolvers.correction import CorrectionBatch
from resolvers.entity import EntityView
from resolvers.identifier import Identifier
from resolvers.link import MOST_LINKS, LinkPage
from resolvers.sighting import Batch, Position
from resolvers.standing import Standing


@dataclass(frozen=True, slots=True)
class Applied:
    """The answer to a batch: for each evidence, the entity id of each of its sightings, as known now.

    None where all identifiers of a sighting connect nothing.

    It does not imply that anything has been published; that is the outbox's business.
    """

    entity_ids: tuple[tuple[str | None, ...], ...]


@dataclass(frozen=True, slots=True)
class OutputRecord:
    """One record of an output topic. `topic` is its word: entities, identifiers, memberships or timeline.

    `value` None is a tombstone; its key is `as_told` where it was read from a topic.
    """

    topic: str
    key: str
    value: dict[str, Any] | None
    as_told: bool = False


Remembered = tuple[bytes, bytes, int, int] | tuple[bytes, bytes, int, int, int] | tuple[bytes]
"""What a round tells of an entity's states: its founder's digest, packed histories, when the next value lapses (ms), 0 for never, and
who is told again therefore: 1 its groups, 2 its members, 4 itself; of one with very many observations also for how many ms it rests.
Or the founders' digests of a membership that it tells."""


@dataclass(frozen=True, slots=True)
class Round:
    """What a shard's publisher has taken from the outbox and must write in one transaction.

    `number` is the version of everything in it. `records` are composed; `payload` is None until `keep` stored the
    bytes that a resend must repeat. `taker` names who took it, or took it over
    last. `recovery` says that the store had lost writes, so that changes may be told again. `remembered` is for the store that gave it.
    """

    shard: int
    number: int
    records: tuple[OutputRecord, ...] = ()
    payload: bytes | None = None
    recovery: bool = False
    taker: str = ""
    remembered: tuple[Remembered, ...] = ()


class Waiting(Enum):
    """Why a shard has no round for now, though there may be something to tell."""

    CATCHING_UP = "catching up"
    """Publishing waits until the logs are applied up to where they ended when the recovery began."""

    UNREAD = "unread"
    """The shard's compacted topics must be read first, and what they say given to `retell`."""


@dataclass(frozen=True, slots=True)
class ToldRecord:
    """What a compacted output topic holds: the last record of a key, as its readers see it.

    `topic` is its word: entities, identifiers or memberships. `document` None is a tombstone.
    """

    topic: str
    key: str
    document: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Reread:
    """A stretch of a partition of the events log that must be applied once more, as a batch of the log `REREAD`.

    An erasure took links away that evidence after its cutoff may have shown too. `start` is where the position of that log is,
    `end` the offset after the last record; of each event only those matter that name one of `digests` (of first generations).
    """

    partition: int
    start: int
    end: int
    digests: frozenset[bytes]


REREAD = "reread"
"""The name under which positions of evidence that is applied once more are kept."""


Ends = Mapping[tuple[str, int], int]
"""By log and partition, the offset after the last record."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is applied and not yet told.

    Dirty output keys, those of rounds in flight, sweeps, shards in recovery, unsettled cases, partitions that must be read again.
    """

    dirty: int
    in_flight: int
    sweeps: int
    recovering: int = 0
    cases: int = 0
    rereads: int = 0

    @property
    def empty(self) -> bool:
        """Say whether the topics have been told everything."""
        return not (self.dirty or self.in_flight or self.sweeps or self.recovering or self.cases or self.rereads)


@dataclass(frozen=True, slots=True)
class Ready:
    """What has something to do at a glance: shards with keys to tell, cases to settle, sweeps to go on with.

    What comes with time alone, as a value that lapses, and what a recovery asks for is not among it: look for that now and then.
    """

    shards: frozenset[int]
    cases: bool = False
    sweeps: bool = False


class Resolver(Protocol):
    """One space's identity graph. Safe to call from one event loop; many workers may hold one each."""

    async def open(self) -> None:
        """Create the space, or check that it was made with the same rules, key, buckets and partitions.

        Raises StoreMismatch, RedisUnavailable.
        """

    async def close(self) -> None:
        """Give connections back."""

    async def position(self, log: str, partition: int) -> Position:
        """Tell where the partition's applied evidence ends; offset 0 when nothing was applied."""

    async def apply(self, batch: Batch) -> Applied:
        """Join a batch's evidence and move the position, in one atomic step; again is harmless.

        Raises PositionGap when the batch does not start at the stored position, or when the partition's last call was
        not the one that it comes `after`; then nothing was written.
        """

    async def correct(self, batch: CorrectionBatch) -> None:
        """Take a batch's corrections and erasures in and move the position, in one atomic step; again is harmless.

        Of corrections about one subject the latest stands; what follows from one is settled. Raises PositionGap as `apply` does.
        """

    async def pending(self, shard: int, told: int) -> Round | None:
        """Give the round that a former publisher of this shard left in flight with its payload kept, if any.

        `told` is the number of the last round that Kafka has. A round that was taken and whose payload was never kept
        is given back to the outbox: nothing of it was sent. Raises StoreLost when the store knows less than Kafka
        has: it lost writes, and `recover` must be called.
        """

    async def take(self, shard: int, limit: int, told: int) -> Round | Waiting | None:
        """Move up to `limit` dirty output keys of a shard into a new round and compose their records.

        The round's number is above every number before. None when nothing is dirty. `records` may be empty when what
        was dirty is as it was told before. Raises StoreLost when `told`, the number of the last round that Kafka has,
        is above every number that the store knows.
        """

    async def keep(self, round_: Round, payload: bytes) -> None:
        """Store a taken round's bytes, before anything is sent.

        Raises Fenced when the round is not in flight, or is another taker's of the same number.
        """

    async def finish(self, round_: Round) -> None:
        """End a round that Kafka has committed, or that had no records. Harmless when it is over, or another taker's."""

    async def recover(self, ends: Ends, shard: int | None = None, told: int = 0) -> bool:
        """Begin a recovery unless one is under way: every shard waits until the logs are applied up to `ends`, and is unread.

        The `shard` that noticed the loss, if one did, begins anew in any case, and its round numbers go on above
        `told`; where it knows of that round by now, nothing is done. Gives whether this call began the recovery. Harmless to
        repeat.
        """

    async def hold(self, ends: Ends) -> None:
        """Have publishing wait until the logs are applied up to `ends`; nothing was lost."""

    async def begin_reading(self, shard: int, reader: str) -> None:
        """Begin to read an unread shard's topics: from now on `retell` is this reader's alone."""

    async def retell(self, shard: int, reader: str, calls: int, told: Sequence[ToldRecord]) -> None:
        """Make keys dirty, and what a topic holds of each what was told of it last.

        A key that the store does not know is retired: a round will write its tombstone. `calls` counts this reader's calls
        before; the same again is harmless. Raises Fenced when another reader has begun, or a call before was lost.
        """

    async def end_reading(self, shard: int, reader: str, calls: int) -> None:
        """End the reading: rounds go on, and those of what is dirty now are marked as recovery.

        Raises Fenced when another reader has begun, or not all of this reader's calls are known.
        """

    async def sweep(self, limit: int) -> int:
        """Mark what a wide effect made dirty, at most about `limit` keys; gives how many sweeps remain."""

    async def settle(self) -> int:
        """Settle the case that has been due for longest, if one is; gives how many cases wait.

        A case is what evidence joins against a guard, or may: its parts stay as they are until it is settled, by a pure
        function of all its evidence. Any number of workers may call this.
        """

    async def rereads(self) -> tuple[Reread, ...]:
        """Say what of the events log must be applied once more. Harmless to do twice."""

    async def backlog(self) -> Backlog:
        """Count what is applied and not yet told."""

    async def ready(self, shards: Collection[int]) -> Ready:
        """Glance at what there is to do in these shards: the cheapest question, asked often. It may name more, and notices no loss."""

    async def identifier(self, identifier: Identifier) -> dict[str, Any] | None:
        """Give the identifier's document, without version, or None when it was never seen."""

    async def entity(self, entity_id: str) -> dict[str, Any] | None:
        """Give the living entity's document or, for an id that ended, what became of it; None for an unknown id."""

    async def view(self, entity_id: str) -> EntityView | None:
        """Give a living entity with the whole histories of its states; None for an id that ended or is unknown."""

    async def links(self, identifier: Identifier, after: int = 0, limit: int = MOST_LINKS) -> LinkPage:
        """Give a page of the links that an identifier is on: at most `limit`, fewer where they have many identifiers.

        `after` is what the page before gave, of the same store; 0 begins. No links in the first page: it was never seen.
        A link that is made meanwhile may be left out; no link is given twice.
        """

    async def standing(self, identifier: Identifier) -> Standing:
        """Say whether an identifier connects, and what operators have said of it."""

    def documents(self) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
        """Walk over every (topic, key, document) of the space, without versions, in no order."""
