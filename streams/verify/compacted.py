"""A compacted topic as its readers see it: the last value of every key, and the rules that every record keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import msgspec

from streams.verify.canonical import parsed
from streams.verify.report import Difference


class Record(Protocol):
    """A record of an output topic, as Kafka gives it; `value` None is a tombstone."""

    @property
    def partition(self) -> int:
        """Give its partition."""

    @property
    def offset(self) -> int:
        """Give its offset."""

    @property
    def key(self) -> bytes | None:
        """Give its key."""

    @property
    def value(self) -> bytes | None:
        """Give its value."""


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """Such a record, made by hand."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


class Last(NamedTuple):
    """What a key holds: its last record's value, and the highest version it ever had."""

    partition: int
    version: int
    value: bytes | None


class Compacted:
    """One topic, read record by record; the records of one partition come in the order of their offsets."""

    def __init__(self, word: str) -> None:
        """`word` is the topic's name in the design: entities, identifiers or memberships."""
        self.word = word
        self.last: dict[str, Last] = {}
        self.highest: dict[int, int] = {}
        self.records = 0
        self.problems: list[Difference] = []

    def add(self, record: Record) -> None:
        """Take the next record in."""
        self.records += 1
        key = (record.key or b"").decode("utf-8", "replace")
        before = self.last.get(key)
        version = before.version if before else 0
        if before and before.partition != record.partition:
            text = f"it is in partitions {before.partition} and {record.partition}"
            self.problems.append(Difference(f"{self.word}.partition", key, text))
        if record.value is not None:
            said = self._version(key, record.value)
            if said <= version:
                text = f"version {said} at partition {record.partition}, offset {record.offset} follows version {version}"
                self.problems.append(Difference(f"{self.word}.version", key, text))
            version = max(version, said)
            self.highest[record.partition] = max(self.highest.get(record.partition, 0), said)
        self.last[key] = Last(record.partition, version, record.value)

    def document(self, key: str) -> dict[str, Any] | None:
        """Give what a key holds, without version; None where there is nothing, or a tombstone."""
        last = self.last.get(key)
        if last is None or last.value is None:
            return None
        document = read_object(last.value) or {}
        document.pop("version", None)
        return document

    def _version(self, key: str, value: bytes) -> int:
        document = read_object(value)
        version = document.get("version") if document is not None else None
        if isinstance(version, int):
            return version
        self.problems.append(Difference(f"{self.word}.unreadable", key, "a record of it is no JSON object with a version"))
        return 1 << 62


def read_object(value: bytes) -> dict[str, Any] | None:
    """Read a JSON object; None for anything else."""
    try:
        document = parsed(value)
    except msgspec.DecodeError:
        return None
    return document if isinstance(document, dict) else None
