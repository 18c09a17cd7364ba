"""Poison: which records of a batch make the stage fail, and when it is not the records at all.

Invariant: what is not a record's fault passes at once, and a stage that gets nothing right says so and ends; nothing
here gives up more than a handful of records in a row. Neighbours: the resolve stage, whose work is harmless to repeat.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from aiokafka.errors import KafkaError
from redis.exceptions import DataError, RedisError, ResponseError

from resolvers.errors import NexusError, Poison

HANDFUL = 5
"""Most records in a row that may fail without one that does not; more are a bug of ours or a broken store."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_OF_A_RECORD = (ResponseError, DataError)
"""What Redis's client raises for a call that can't be done; those below them tell of Redis itself, such as a missing permission."""


def blames_a_record(error: Exception) -> bool:
    """Whether an error may come from the record at hand, and not from the outside, the store or another worker."""
    if isinstance(error, NexusError):
        return isinstance(error, Poison)
    if isinstance(error, RedisError):
        return type(error) in _OF_A_RECORD
    return not isinstance(error, (KafkaError, OSError, MemoryError))


async def sifted(
    items: Sequence[Item], work: Callable[[Sequence[Item]], Awaitable[Answer]]
) -> tuple[list[Answer], list[tuple[Item, Exception]]]:
    """Do work on items, halving wherever it fails; gives the answers, and the items that fail alone with their errors.

    The work must be harmless to repeat and to do in pieces. One bad item of n costs about 2 log n further calls.
    Raises what blames no record.
    """
    try:
        return [await work(items)], []
    except Exception as error:
        if not blames_a_record(error):
            raise
        if len(items) == 1:
            return await _once_more(items, work)
    middle = len(items) // 2
    answers, bad = await sifted(items[:middle], work)
    more_answers, more_bad = await sifted(items[middle:], work)
    return answers + more_answers, bad + more_bad


async def _once_more(
    items: Sequence[Item], work: Callable[[Sequence[Item]], Awaitable[Answer]]
) -> tuple[list[Answer], list[tuple[Item, Exception]]]:
    """Try the one item again, since what failed once may have been the moment's fault."""
    try:
        return [await work(items)], []
    except Exception as error:
        if not blames_a_record(error):
            raise
        return [], [(items[0], error)]


class Doubt:
    """Counts failures in a row over batches, to tell bad records from a stage that gets nothing right."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def weigh(self, errors: Sequence[Exception], fine: int) -> None:
        """Take note of how many records of a batch did well, and of the errors of the others.

        Raises the last error once more than a handful have failed since a record last did well, or when they are more than
        half of a batch: then it is not them.
        """
        self._in_a_row = 0 if fine else self._in_a_row + len(errors)
        if errors and (self._in_a_row > HANDFUL or (len(errors) > HANDFUL and len(errors) > fine)):
            raise errors[-1]
