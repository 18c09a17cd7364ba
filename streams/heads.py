"""Heads: how far a stage is on each partition that it holds, and what lies before it, as its consumer knows it.

Invariant: Kafka is not asked; the end of a partition is the one that its last answer to a fetch named. Neighbours: `source` keeps them,
`metrics.gauges` shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import IllegalStateError
from aiokafka.structs import TopicPartition


@dataclass(frozen=True, slots=True)
class Head:
    """One partition: where the next batch begins, the partition's end if it is known, and the time of the last record handled.

    Until a record was handled `handled_ms` is when the partition was taken over.
    """

    place: TopicPartition
    position: int
    handled_ms: int
    end: int | None = None

    @property
    def lag(self) -> int | None:
        """Give how many offsets lie before it; None where nothing was fetched yet."""
        return None if self.end is None else max(0, self.end - self.position)


class Heads:
    """The heads of one source. `clock` gives epoch milliseconds."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._heads: dict[TopicPartition, Head] = {}

    def began(self, place: TopicPartition, position: int) -> None:
        """Note where reading begins."""
        self._heads[place] = Head(place, position, self._clock())

    def handled(self, place: TopicPartition, position: int, at_ms: int) -> None:
        """Note that everything before a position is handled, and the time of the last record."""
        self._heads[place] = Head(place, position, at_ms)

    def passed(self, place: TopicPartition, position: int) -> None:
        """Note that there is no record before a position."""
        self._heads[place] = replace(self._heads[place], position=position)

    def of(self, consumer: AIOKafkaConsumer, held: Iterable[TopicPartition]) -> list[Head]:
        """Give the heads of what is held now, with the ends that the consumer knows."""
        found = []
        for place in held:
            if place in self._heads:
                try:
                    end = consumer.highwater(place)
                except (IllegalStateError, AssertionError, KeyError):  # it goes away at this moment
                    continue
                found.append(replace(self._heads[place], end=end))
        return found
