"""The source record: one message as a source wrote it, before any adapter has looked at it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One message of a raw topic, unchanged.

    `timestamp_ms` is the record's Kafka timestamp in epoch milliseconds, which the window for event times is
    checked against, so that a replay agrees with the first run. `value` is None for a tombstone.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: tuple[tuple[str, bytes], ...] = field(default=())
