"""Dead letters: what could not become an event, the bytes unchanged, with the reason beside them.

Invariant: the value and the key are those of the source record; everything said about it is in the headers.
Beside the letters lie receipts: records without a value that say which letter was sent back to where it came from.
Neighbours: adapt, resolve and commands write letters, `letters` reads them and sends them back; a Faust agent counts
what arrives on the topic.
"""

from __future__ import annotations

import re
import time
import traceback
from base64 import b64encode
from collections.abc import AsyncIterator, Collection, Iterable
from typing import Any

from aiokafka.structs import ConsumerRecord
from faust.types import EventT

from streams.counters import Counters
from streams.sender import Outgoing
from streams.times import format_time

REASON_CHARACTERS = 2_000
TRACEBACK_BYTES = 8 * 1024
_TYPE_NAME = re.compile(r"[A-Za-z_]\w{0,99}", re.ASCII)
ORIGINAL = "original-"
RECEIPT = "receipt"
"""The header that only receipts have: a source record's own headers stand in its letter behind `original-`."""


def now_ms() -> int:
    """Read the wall clock."""
    return int(time.time() * 1000)


def dead_letter(
    topic: str, record: ConsumerRecord, error: Exception, at_ms: int, *, source: str = "", adapter: str = "", with_traceback: bool = False
) -> Outgoing:
    """Write the dead letter of a source record; `str(error)` is the reason that a person can act on.

    `with_traceback` is for errors nobody expected: a bug in someone's function is found by it.
    """
    said = {
        "source-topic": record.topic,
        "source-partition": str(record.partition),
        "source-offset": str(record.offset),
        "source-timestamp": str(record.timestamp),
        "source": source,
        "adapter": adapter,
        "error": reason_of(error),
        "error-type": type(error).__name__,
        "time": format_time(at_ms),
    }
    headers = [(name, text.encode("utf-8", "replace")) for name, text in said.items()]
    if with_traceback:
        headers.append(("traceback", "".join(traceback.format_exception(error)).encode("utf-8", "replace")[-TRACEBACK_BYTES:]))
    headers += [(ORIGINAL + name, value) for name, value in record.headers or ()]
    return Outgoing(topic, record.key, record.value, tuple(headers))


def is_receipt(headers: Iterable[tuple[str, Any]] | None) -> bool:
    """Tell a receipt from a letter by its headers."""
    return any(name == RECEIPT for name, _ in headers or ())


def readable(content: bytes | None) -> str | dict[str, str] | None:
    """Give bytes for a JSON document: as text where they are, else in base64."""
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(content).decode()}


def reason_of(error: Exception) -> str:
    """Write an error as one bounded line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= REASON_CHARACTERS else text[: REASON_CHARACTERS - 3] + "..."


async def count_dead_letters(counters: Counters, sources: Collection[str], stream: Any) -> None:  # noqa: ANN401 - a Faust stream
    """Be the agent of the dead-letters topic: count what arrives by source and type of error. Nothing rests on its delivery.

    Reasons quote records, so they go no further; nor do sources that are none of `sources`.
    """
    events: AsyncIterator[EventT[bytes]] = stream.events()
    async for event in events:
        headers = dict(event.headers or {})
        if is_receipt(headers.items()):
            continue
        source, kind = (_text(headers.get(name)) for name in ("source", "error-type"))
        counters.dead_letter(source if source in sources else "-", kind if _TYPE_NAME.fullmatch(kind) else "-")


def _text(value: Any) -> str:  # noqa: ANN401 - Faust says nothing of its headers' type
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
