"""A Kafka that is small enough to be certain of: logs, groups' offsets, transactions with fencing, all in memory.

Its coroutine methods are the requests that clients make. What outlives every process is here; `kafka_clients` holds
what a process has of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from aiokafka.errors import CommitFailedError, ProducerFenced
from aiokafka.structs import ConsumerRecord, TopicPartition

from tests.kafka_fakes import record

Row = tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]
"""Key, value, headers."""


class End(Enum):
    """How a transaction stands."""

    OPEN = "open"
    PREPARED = "prepared"
    """Kafka has promised to commit it, and readers do not see that yet."""

    COMMITTED = "committed"
    ABORTED = "aborted"


@dataclass
class Transaction:
    """What one producer writes as one."""

    end: End = End.OPEN
    places: set[TopicPartition] = field(default_factory=set)
    offsets: dict[tuple[str, TopicPartition], int] = field(default_factory=dict)

    @property
    def unstable(self) -> bool:
        """Say whether readers of what is committed must wait for it."""
        return self.end in {End.OPEN, End.PREPARED}


@dataclass(frozen=True, slots=True)
class Entry:
    """One offset of a log: a record, or the marker that ends a transaction."""

    row: Row | None
    transaction: Transaction | None = None

    @property
    def readable(self) -> bool:
        """Say whether a read_committed consumer is given it."""
        return self.row is not None and (self.transaction is None or self.transaction.end is End.COMMITTED)


@dataclass(frozen=True, slots=True)
class Writer:
    """A transactional producer as Kafka knows it: of two with one name, the one with the higher epoch."""

    name: str
    epoch: int


class Broker:
    """All of Kafka."""

    def __init__(self, partitions: Mapping[str, int]) -> None:
        self.logs: dict[TopicPartition, list[Entry]] = {
            TopicPartition(topic, number): [] for topic, count in partitions.items() for number in range(count)
        }
        self.offsets: dict[tuple[str, TopicPartition], int] = {}
        self.generations: dict[str, int] = {}
        self.epochs: dict[str, int] = {}
        self.transactions: dict[str, Transaction] = {}

    def places(self, topic: str) -> list[TopicPartition]:
        """Name a topic's partitions."""
        return sorted(place for place in self.logs if place.topic == topic)

    def committed_records(self, topic: str) -> Iterable[ConsumerRecord]:
        """Give what a read_committed consumer sees of a topic, partition by partition."""
        for place in self.places(topic):
            yield from self._records(place, 0)

    def _records(self, place: TopicPartition, start: int) -> Iterable[ConsumerRecord]:
        for offset in range(start, self._stable(place)):
            entry = self.logs[place][offset]
            if entry.readable and entry.row is not None:
                key, value, headers = entry.row
                yield record(value, offset, place, key=key, headers=headers)

    def _stable(self, place: TopicPartition) -> int:
        """Give the first offset that a read_committed consumer must wait for."""
        log = self.logs[place]
        return next((offset for offset, entry in enumerate(log) if entry.transaction and entry.transaction.unstable), len(log))

    async def metadata(self, topic: str) -> set[int]:
        """Give the numbers of a topic's partitions."""
        return {place.partition for place in self.places(topic)}

    async def bounds(self, place: TopicPartition) -> tuple[int, int]:
        """Give the first offset, and the one after the last that a read_committed consumer may see."""
        return 0, self._stable(place)

    async def fetch(self, place: TopicPartition, start: int, most: int | None) -> tuple[list[ConsumerRecord], int]:
        """Read records from an offset on; gives the next offset too, which passes over markers and what was aborted."""
        found = list(self._records(place, start))
        if most is not None and len(found) > most:
            return found[:most], found[most - 1].offset + 1
        return found, max(start, self._stable(place))

    async def join(self, group: str) -> int:
        """Take every partition of a group over; gives the group's generation."""
        self.generations[group] = self.generations.get(group, 0) + 1
        return self.generations[group]

    async def committed(self, group: str, place: TopicPartition) -> int | None:
        """Read a group's offset. Those of a transaction count once it is committed."""
        return self.offsets.get((group, place))

    async def commit(self, group: str, generation: int, offsets: Mapping[TopicPartition, int]) -> None:
        """Store offsets, unless another member has taken the partitions over."""
        if generation != self.generations.get(group):
            raise CommitFailedError
        self.offsets.update({(group, place): offset for place, offset in offsets.items()})

    async def send(self, place: TopicPartition, rows: Iterable[Row], writer: Writer | None) -> None:
        """Append records, within the writer's transaction if there is a writer."""
        transaction = self._of(writer) if writer else None
        if transaction is not None:
            transaction.places.add(place)
        self.logs[place] += [Entry(row, transaction) for row in rows]

    async def init_transactions(self, name: str) -> Writer:
        """Fence every former writer of this name. What it left open is aborted; what it had committed is seen from now on."""
        self._complete(name, End.ABORTED)
        self.epochs[name] = self.epochs.get(name, 0) + 1
        return Writer(name, self.epochs[name])

    async def send_offsets(self, writer: Writer, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit a group's offsets with the transaction."""
        self._of(writer).offsets.update({(group, place): offset for place, offset in offsets.items()})

    async def commit_transaction(self, writer: Writer) -> None:
        """Promise to commit. Readers see it once the markers are written."""
        self._of(writer).end = End.PREPARED

    async def write_markers(self, writer: Writer) -> None:
        """Let readers see what was committed; Kafka does this by itself, some time after it has promised."""
        if self.epochs[writer.name] == writer.epoch:
            self._complete(writer.name, End.COMMITTED)

    def _of(self, writer: Writer) -> Transaction:
        if self.epochs[writer.name] != writer.epoch:
            raise ProducerFenced
        return self.transactions.setdefault(writer.name, Transaction())

    def _complete(self, name: str, otherwise: End) -> None:
        transaction = self.transactions.pop(name, None)
        if transaction is None:
            return
        transaction.end = End.COMMITTED if transaction.end is End.PREPARED else otherwise
        for place in transaction.places:
            self.logs[place].append(Entry(None, transaction))
        if transaction.end is End.COMMITTED:
            self.offsets.update(transaction.offsets)
