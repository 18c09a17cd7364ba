"""Redaction: errors in words that may stand in a log, which is read by more people than the data are.

Invariant: text that may quote a record is left out: that of a rejection, and that of every error which is not known to speak of the outside
alone. What is left out of the log stands in the dead letter. Neighbours: `log` writes stack traces by it, stages their warnings.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from pathlib import PurePath
from types import TracebackType

from aiokafka.errors import KafkaError
from faust.exceptions import FaustError
from redis.exceptions import DataError, RedisError, ResponseError

from resolvers.errors import NexusError, Poison

SPEAK_OF_THE_OUTSIDE = (KafkaError, RedisError, OSError, FaustError)
"""Errors of clients: what they say names addresses, partitions and limits."""

_QUOTED = re.compile(r"\b(exception|result)=(\w*)[^\n]*")
"""What asyncio writes of a task that failed: the error as Python would write it, or what the task gave."""


def may_be_told(error: BaseException) -> bool:
    """Whether an error's own text quotes no record. Redis's reply to a call it can't make may quote the call."""
    if isinstance(error, NexusError):
        return not isinstance(error, Poison)
    if type(error) in (ResponseError, DataError):
        return False
    return isinstance(error, SPEAK_OF_THE_OUTSIDE)


def words(error: BaseException) -> str:
    """Write an error as one line: its text where that may be told, else its type and the line of code that raised it."""
    text = " ".join(str(error).split())
    if may_be_told(error):
        return text if isinstance(error, NexusError) and text else f"{type(error).__name__}: {text}".removesuffix(": ")
    return f"{type(error).__name__}{_at(error.__traceback__)}"


def stack(error: BaseException) -> str:
    """Write an error with its stack and those it came of, as Python does, but with the text only of errors that may be told."""
    return "\n".join(_parts(error, set())).rstrip("\n")


def without_errors(text: str) -> str:
    """Leave out of asyncio's message what it quotes of errors, results and arguments: all but the first line may."""
    return _QUOTED.sub(r"\1=\2...", text.partition("\n")[0])


def _parts(error: BaseException, seen: set[int]) -> Iterator[str]:
    if id(error) in seen:
        return
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _parts(before, seen)
        yield "which led to:\n"
    if error.__traceback__ is not None:
        yield "Traceback (most recent call last):\n" + "".join(traceback.format_tb(error.__traceback__)).rstrip("\n")
    yield f"{type(error).__name__}: {error}" if may_be_told(error) else f"{type(error).__name__} (its text may quote a record)"
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _parts(one, seen)


def _at(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)
    return f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
