"""Commands: operators' corrections, read from their own log.

Invariant: every command ends acknowledged somewhere: until corrections are built, as a dead letter with the reason.
Neighbours: a source like that of events, with positions kept by the resolver.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from resolvers.errors import Rejected
from streams.batch import Outcome, SourceBatch
from streams.counters import Counters
from streams.dead_letters import dead_letter
from streams.sender import Sender, send_all

COMMANDS = ("block", "unblock", "forbid", "permit", "link", "unlink", "erase")
"""The words a command may be."""


class CommandStage:
    """Handles batches of commands."""

    def __init__(self, sender: Sender, counters: Counters, clock: Callable[[], int], *, dead_letters_topic: str) -> None:
        """`clock` gives epoch milliseconds."""
        self._sender = sender
        self._counters = counters
        self._clock = clock
        self._dead_letters_topic = dead_letters_topic

    async def __call__(self, batch: SourceBatch) -> Outcome:
        """Answer every command of a batch."""
        self._counters.add("commands_read", count=len(batch.records))
        at_ms = self._clock()
        await send_all(
            self._sender,
            [dead_letter(self._dead_letters_topic, record, refused(record.value), at_ms, source="commands") for record in batch.records],
        )
        return Outcome.DONE


def refused(value: bytes | None) -> Rejected:
    """Say why a command is not carried out."""
    if value is None:
        return Rejected("the record has no value; a command is a JSON object with command_id, command and identifiers")
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        return Rejected(f"the record is not a command: {error}")
    word = document.get("command") if isinstance(document, dict) else None
    if not isinstance(word, str):
        return Rejected("the record is not a command: it must be a JSON object whose `command` is a word")
    if word not in COMMANDS:
        return Rejected(f"{word[:100]!r} is not a command; there are {', '.join(COMMANDS)}")
    return Rejected(f"command {word!r} is not available in this version")
