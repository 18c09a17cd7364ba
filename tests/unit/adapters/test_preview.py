from __future__ import annotations

from resolvers.errors import Rejected
from streams.adapters.preview import Adapted, Refused, preview
from streams.events import Event
from streams.record import SourceRecord


def adapter(record: SourceRecord) -> list[Event]:
    if record.value == b"fails":
        raise KeyError("absent")
    if record.value == b"refused":
        raise Rejected("a draft")
    return [Event(f"e{record.offset}", "own", "n", "2024-01-01T00:00:00.000Z")]


def test_each_record_has_an_outcome_in_order() -> None:
    good, refused, failed = preview(adapter, [b"good", b"refused", b"fails"], "raw.own", 5)
    assert good == Adapted(SourceRecord("raw.own", 0, 0, None, b"good", 5), (Event("e0", "own", "n", "2024-01-01T00:00:00.000Z"),))
    assert refused == Refused(SourceRecord("raw.own", 0, 1, None, b"refused", 5), "a draft")
    assert failed == Refused(SourceRecord("raw.own", 0, 2, None, b"fails", 5), "the adapter failed: KeyError: 'absent'")
