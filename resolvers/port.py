"""The resolver's port: what the stages ask of the identity graph, whichever store keeps it.

Invariant: the graph is one function of the set of evidence applied, whatever its order, batches and repeats.
`resolvers.memory` is the specification; `resolvers.redis_graph` must be indistinguishable from it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

from resolvers.identifier import Identifier
from resolvers.sighting import Batch, Position


@dataclass(frozen=True, slots=True)
class Applied:
    """The answer to a batch: for each evidence, the entity id of each of its sightings, as known now.

    It does not imply that anything has been published; that is the outbox's business.
    """

    entity_ids: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class OutputRecord:
    """One record of an output topic. `topic` is its word: entities, identifiers, memberships or timeline.

    `value` None is a tombstone.
    """

    topic: str
    key: str
    value: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Round:
    """What a shard's publisher has taken from the outbox and must write in one transaction.

    `number` is the version of everything in it. `records` are composed; `payload` is None until `keep` stored the
    bytes that a resend must repeat.
    """

    shard: int
    number: int
    records: tuple[OutputRecord, ...] = ()
    payload: bytes | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is applied and not yet told: dirty output keys, those of rounds in flight, and sweeps under way."""

    dirty: int
    in_flight: int
    sweeps: int

    @property
    def empty(self) -> bool:
        """Say whether the topics have been told everything."""
        return not (self.dirty or self.in_flight or self.sweeps)


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

        Raises PositionGap when the batch does not start at the stored position, in which case nothing was written.
        """

    async def pending(self, shard: int) -> Round | None:
        """Give the round that a former publisher of this shard left in flight with its payload kept, if any.

        A round that was taken and whose payload was never kept is given back to the outbox: nothing of it was sent.
        """

    async def take(self, shard: int, limit: int, floor: int) -> Round | None:
        """Move up to `limit` dirty output keys of a shard into a new round and compose their records.

        The round's number is above `floor` and every number before. None when nothing is dirty. `records` may be
        empty when what was dirty is as it was told before.
        """

    async def keep(self, shard: int, number: int, payload: bytes) -> None:
        """Store a taken round's bytes, before anything is sent. Raises Fenced when the round is not in flight."""

    async def finish(self, shard: int, number: int) -> None:
        """End a round that Kafka has committed, or that had no records. Harmless when it is over already."""

    async def sweep(self, limit: int) -> int:
        """Mark what a wide effect made dirty, at most about `limit` keys; gives how many sweeps remain."""

    async def backlog(self) -> Backlog:
        """Count what is applied and not yet told."""

    async def identifier(self, identifier: Identifier) -> dict[str, Any] | None:
        """Give the identifier's document, without version, or None when it was never seen."""

    async def entity(self, entity_id: str) -> dict[str, Any] | None:
        """Give the living entity's document or, for an id that ended, what became of it; None for an unknown id."""

    def documents(self) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
        """Walk over every (topic, key, document) of the space, without versions, in no order."""
