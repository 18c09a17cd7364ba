"""The letter: one dead letter read back from its topic, the record that it holds, and the receipt of its replay.

Invariant: two letters are of one record if that record's place and bytes are the same. The place alone is not enough:
a raw topic that was made anew counts its offsets from 0 again.
Neighbours: `streams.dead_letters` writes what is read here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

from aiokafka.structs import ConsumerRecord

from resolvers.errors import Rejected, SettingsError
from streams.dead_letters import ORIGINAL, RECEIPT
from streams.times import format_time, parse_time

REPLAYED = "replayed"
DIGEST_BYTES = 8
NO_REASON = "no reason given"

_NAME = re.compile(r"(\d{1,9}):(\d{1,19})", re.ASCII)

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """Where a letter lies on the dead-letters topic, written `PARTITION:OFFSET`; people call it by that."""

    partition: int
    offset: int

    def __str__(self) -> str:
        """Write the name as it is read."""
        return f"{self.partition}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name. Raises SettingsError."""
        match = _NAME.fullmatch(text.strip())
        if match is None:
            raise SettingsError(f"{text!r} names no dead letter: write PARTITION:OFFSET, such as 0:12, as `nexus dead-letters list` does")
        return cls(int(match[1]), int(match[2]))


@dataclass(frozen=True, slots=True)
class Identity:
    """The source record of a letter: where it lay, and a digest of its key and value. `topic` is empty where a letter does not say."""

    topic: str
    partition: int
    offset: int
    digest: int


@dataclass(frozen=True, slots=True)
class Letter:
    """What is kept in mind of a letter: not its bytes. `time_ms` is when it was written, `timestamp_ms` the source record's own."""

    name: Name
    record: Identity
    source: str
    reason: str
    time_ms: int
    timestamp_ms: int
    has_key: bool

    @property
    def order(self) -> tuple[int, Name]:
        """Give what letters are sorted by: the oldest first."""
        return self.time_ms, self.name


@dataclass(frozen=True, slots=True)
class Receipt:
    """What says that a letter went back: which one, of which record, when, and to which `topic/partition`."""

    letter: Name
    record: Identity
    time: str
    to: str


@dataclass(frozen=True, slots=True)
class Original:
    """The source record as it was before it became a letter."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


def name_of(record: ConsumerRecord) -> Name:
    """Name the letter that a record of the dead-letters topic is."""
    return Name(record.partition, record.offset)


def letter_of(record: ConsumerRecord) -> Letter:
    """Read a letter. Whatever a header should say and does not is replaced by what the record itself says."""
    said = texts(record)
    return Letter(
        name_of(record),
        _identity(said, record, _digest(record)),
        said.get("source", ""),
        _reason(said),
        _time_ms(said, record),
        _number(said, "source-timestamp", record.timestamp),
        record.key is not None,
    )


def receipt_of(record: ConsumerRecord) -> Receipt | None:
    """Read a receipt; None for a letter, and for a receipt that names none."""
    said = texts(record)
    match = _NAME.fullmatch(said.get("letter", "")) if RECEIPT in said else None
    if match is None:
        return None
    return Receipt(
        Name(int(match[1]), int(match[2])), _identity(said, record, _number(said, "digest", -1)), said.get("time", ""), said.get("to", "")
    )


def receipt_headers(letter: Letter, at_ms: int, to: str) -> Headers:
    """Write the receipt of a letter, which has the letter's key and no value."""
    said = {
        RECEIPT: REPLAYED,
        "letter": str(letter.name),
        "source-topic": letter.record.topic,
        "source-partition": str(letter.record.partition),
        "source-offset": str(letter.record.offset),
        "digest": str(letter.record.digest),
        "time": format_time(at_ms),
        "to": to,
    }
    return tuple((name, text.encode()) for name, text in said.items())


def original(record: ConsumerRecord) -> Original:
    """Give the source record back: its bytes, its own headers, and its own timestamp where the letter says it."""
    headers = tuple((name.removeprefix(ORIGINAL), value) for name, value in record.headers if name.startswith(ORIGINAL))
    return Original(record.key, record.value, headers, _number(texts(record), "source-timestamp", record.timestamp))


def texts(record: ConsumerRecord) -> dict[str, str]:
    """Read what a letter or a receipt says about itself: its headers but for those of the source record."""
    headers: Sequence[tuple[str, bytes | None]] = record.headers or ()
    return {name: (value or b"").decode("utf-8", "replace") for name, value in headers if not name.startswith(ORIGINAL)}


def _identity(said: dict[str, str], record: ConsumerRecord, digest: int) -> Identity:
    partition, offset = _number(said, "source-partition", -1), _number(said, "source-offset", -1)
    if not said.get("source-topic") or partition < 0 or offset < 0:
        return Identity("", record.partition, record.offset, digest)
    return Identity(sys.intern(said["source-topic"]), partition, offset, digest)


def _digest(record: ConsumerRecord) -> int:
    digest = blake2b(digest_size=DIGEST_BYTES)
    for part in (record.key, record.value):
        digest.update(b"-" if part is None else b"%d:" % len(part))
        digest.update(part or b"")
    return int.from_bytes(digest.digest(), "big")


def _reason(said: dict[str, str]) -> str:
    """Give the reason; an exception that nobody expected says little without its name (`KeyError: 'country'`)."""
    error, kind = said.get("error") or NO_REASON, said.get("error-type", "")
    return error if kind in {"", Rejected.__name__, error} else f"{kind}: {error}"


def _time_ms(said: dict[str, str], record: ConsumerRecord) -> int:
    try:
        return parse_time(said.get("time", ""))
    except ValueError:
        return int(record.timestamp)


def _number(said: dict[str, str], name: str, otherwise: int) -> int:
    text = said.get(name, "")
    return int(text) if re.fullmatch(r"-?\d{1,20}", text, re.ASCII) else otherwise
