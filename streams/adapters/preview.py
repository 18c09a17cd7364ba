"""Run an adapter on records that lie in a file: what would become events, and what would be rejected and why.

Nothing is sent anywhere. `nexus adapt` shows these outcomes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from resolvers.errors import Rejected
from streams.adapters import Adapter
from streams.events import Event
from streams.record import SourceRecord


@dataclass(frozen=True, slots=True)
class Adapted:
    """A record that gives events."""

    record: SourceRecord
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that would go to the dead letters, with the reason."""

    record: SourceRecord
    reason: str


Outcome = Adapted | Refused


def preview(adapter: Adapter, values: Iterable[bytes], topic: str, timestamp_ms: int) -> Iterator[Outcome]:
    """Adapt the values of records one by one, as if they lay on partition 0 of `topic`, all written at `timestamp_ms`.

    An exception of a user's own adapter is an outcome too, as it would be in the adapt stage.
    """
    for offset, value in enumerate(values):
        record = SourceRecord(topic, 0, offset, None, value, timestamp_ms)
        yield _outcome(adapter, record)


def _outcome(adapter: Adapter, record: SourceRecord) -> Outcome:
    try:
        return Adapted(record, tuple(adapter(record)))
    except Rejected as error:
        return Refused(record, str(error))
    except Exception as error:  # noqa: BLE001 - a user's function may raise anything
        return Refused(record, f"the adapter failed: {type(error).__name__}: {error}")
