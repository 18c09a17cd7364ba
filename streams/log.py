"""The log: structlog for what we say, the libraries' own loggers beside it, both on standard error.

Invariant: standard output is for results alone, and no line quotes a record or an identifier, not even when debugging.
Neighbours: the command line sets it up before any command, `streams.worker` for Faust's own; `redaction` says what of an error may be told.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import TextIO

import structlog

from resolvers.errors import NexusError
from streams.redaction import stack, without_errors

QUIET_LOGGERS = ("aiokafka", "faust", "mode", "kafka", "asyncio")
"""Libraries that tell every heartbeat and rebalance; only their errors are shown unless debugging."""

FIRST_CONNECTION = 'Unable connect to "%s:%s": %s'
"""What aiokafka says for each try of a client that starts; our own message says it once, with what to do."""

COORDINATOR = "Group Coordinator Request failed: %s"
"""What aiokafka says while a fresh Kafka still makes the topic of its groups, and then tries again."""

COORDINATOR_NOT_AVAILABLE = 15

QUOTING_LOGGERS = ("aiokafka.producer", "aiokafka.conn", "aiokafka.consumer.fetcher", "faust.transport", "faust.topics", "faust.channels")
"""Those that write whole records when debugging: they tell no more than INFO."""

MOST_MESSAGES = 1_000
SELDOM_SECONDS = 5.0
"""A Kafka that is gone makes its client say the same thousands of times."""


class Seldom(logging.Filter):
    """Lets the same message of a library pass once in a while, whatever its arguments."""

    def __init__(self, name: str, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._library = name
        self._seconds = seconds
        self._clock = clock
        self._shown: dict[tuple[str, object], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether to show a record."""
        if not record.name.startswith(self._library):
            return True
        said, now = (record.name, record.msg), self._clock()
        if now - self._shown.get(said, float("-inf")) < self._seconds:
            return False
        if len(self._shown) >= MOST_MESSAGES:
            self._shown.clear()
        self._shown[said] = now
        return True


def set_up_log(*, as_json: bool = False, debug: bool = False) -> None:
    """Send all logging to standard error, for people or as one JSON object a line. Again is harmless."""
    level = logging.DEBUG if debug else logging.INFO
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    ending: list[structlog.typing.Processor] = (
        [structlog.processors.ExceptionRenderer(_stack_of), structlog.processors.JSONRenderer()]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_write_stack)]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    handler.addFilter(_without_quotes)
    if not debug:
        handler.addFilter(_without_expected_traces)
        handler.addFilter(_not_said_by_us)
        handler.addFilter(Seldom("aiokafka", SELDOM_SECONDS))
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG if debug else logging.ERROR)
    for name in QUOTING_LOGGERS if debug else ():
        logging.getLogger(name).setLevel(logging.INFO)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _without_expected_traces(record: logging.LogRecord) -> bool:
    """Leave the stack out for errors raised on purpose: their message says what to do."""
    if record.exc_info and isinstance(record.exc_info[1], NexusError):
        record.exc_info = None
    return True


def _not_said_by_us(record: logging.LogRecord) -> bool:
    """Leave out what aiokafka says of a Kafka that is not ready, where we wait for it with a message of our own."""
    if not record.name.startswith("aiokafka"):
        return True
    if record.msg == COORDINATOR and isinstance(record.args, tuple):
        return not any(getattr(argument, "errno", None) == COORDINATOR_NOT_AVAILABLE for argument in record.args)
    return bool(record.msg != FIRST_CONNECTION)


def _without_quotes(record: logging.LogRecord) -> bool:
    """Leave out of asyncio's messages the errors and results that they quote."""
    if record.name == "asyncio":
        record.msg, record.args = without_errors(record.getMessage()), ()
    return True


def _stack_of(exc_info: structlog.typing.ExcInfo) -> str:
    return stack(exc_info[1])


def _write_stack(stream: TextIO, info: structlog.typing.ExcInfo) -> None:
    stream.write("\n" + stack(info[1]))
