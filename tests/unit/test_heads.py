from __future__ import annotations

from typing import Any

from aiokafka.structs import TopicPartition

from streams.heads import Head, Heads

PLACE = TopicPartition("nexus.events", 3)
OTHER = TopicPartition("nexus.events", 4)


class Consumer:
    """A consumer that knows the ends of some partitions, and has lost others."""

    def __init__(self, ends: dict[TopicPartition, int | None]) -> None:
        self._ends = ends

    def highwater(self, place: TopicPartition) -> int | None:
        assert place in self._ends
        return self._ends[place]


def of(heads: Heads, **ends: Any) -> list[Head]:
    return heads.of(Consumer({PLACE: ends["end"]}), [PLACE, OTHER])


def test_a_head_moves_with_what_is_handled() -> None:
    heads = Heads(lambda: 1_000)
    heads.began(PLACE, 5)
    heads.began(OTHER, 5)
    assert of(heads, end=None) == [Head(PLACE, 5, 1_000)]
    assert of(heads, end=9)[0].lag == 4
    heads.handled(PLACE, 8, 777)
    assert of(heads, end=9) == [Head(PLACE, 8, 777, 9)]
    heads.passed(PLACE, 9)
    assert of(heads, end=9) == [Head(PLACE, 9, 777, 9)]
    assert of(heads, end=9)[0].lag == 0


def test_what_was_not_fetched_yet_has_no_lag() -> None:
    assert Head(PLACE, 5, 0).lag is None
    assert Head(PLACE, 5, 0, 3).lag == 0
