from __future__ import annotations

from streams.counters import MOST_REASONS, OTHER, Counters


def test_numbers_are_kept_by_name_and_labels() -> None:
    counters = Counters()
    counters.add("records_read", "crm", count=3)
    counters.add("records_read", "web")
    assert counters.snapshot() == {"records_read.crm": 3, "records_read.web": 1}
    assert counters.total("records_read") == 4


def test_dead_letters_are_counted_by_reason_most_frequent_first() -> None:
    counters = Counters()
    for reason in ("no time", "no JSON", "no JSON"):
        counters.dead_letter("crm", reason)
    assert list(counters.reasons().items()) == [(("crm", "no JSON"), 2), (("crm", "no time"), 1)]


def test_endlessly_many_reasons_take_bounded_memory() -> None:
    counters = Counters()
    for number in range(MOST_REASONS + 50):
        counters.dead_letter("crm", f"value {number} is wrong")
    assert len(counters.reasons()) == MOST_REASONS + 1
    assert counters.reasons()["crm", OTHER] == 50
