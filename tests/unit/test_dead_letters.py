from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

from aiokafka.structs import TopicPartition

from resolvers.errors import Rejected
from streams.counters import Counters
from streams.dead_letters import REASON_CHARACTERS, TRACEBACK_BYTES, count_dead_letters, dead_letter, reason_of
from tests.kafka_fakes import record


def test_the_bytes_stay_and_the_headers_say_why() -> None:
    source = record(b"\xff{", 12, TopicPartition("raw.crm", 3), key=b"k\xff", headers=(("trace", b"t1"),))
    letter = dead_letter("nexus.dead-letters", source, Rejected("no time"), 0, source="crm", adapter="mapping")
    assert (letter.topic, letter.key, letter.value) == ("nexus.dead-letters", b"k\xff", b"\xff{")
    assert dict(letter.headers) == {
        "source-topic": b"raw.crm",
        "source-partition": b"3",
        "source-offset": b"12",
        "source-timestamp": b"1700000000000",
        "source": b"crm",
        "adapter": b"mapping",
        "error": b"no time",
        "error-type": b"Rejected",
        "time": b"1970-01-01T00:00:00.000Z",
        "original-trace": b"t1",
    }


def test_a_tombstone_stays_one() -> None:
    assert dead_letter("d", record(None), Rejected("no value"), 0).value is None


def test_a_bug_comes_with_the_end_of_its_traceback() -> None:
    try:
        raise ZeroDivisionError("x" * 10_000)
    except ZeroDivisionError as error:
        headers = dict(dead_letter("d", record(b"a"), error, 0, with_traceback=True).headers)
    assert headers["error-type"] == b"ZeroDivisionError"
    assert len(headers["traceback"]) == TRACEBACK_BYTES
    assert len(headers["error"]) == REASON_CHARACTERS


def test_a_reason_is_one_line_and_never_empty() -> None:
    assert reason_of(Rejected("two\n  lines")) == "two lines"
    assert reason_of(KeyError()) == "KeyError"


def test_a_reason_that_is_no_text_does_not_hurt() -> None:
    assert dict(dead_letter("d", record(b"a"), Rejected("lone \ud800"), 0).headers)["error"] == b"lone ?"


class Arrived:
    """A stream of the dead-letters topic, as Faust gives it to an agent."""

    def __init__(self, headers: Sequence[dict[str, bytes]]) -> None:
        self.headers = headers

    async def events(self) -> AsyncIterator[Any]:
        for one in self.headers:
            yield SimpleNamespace(headers=one)


async def test_letters_are_counted_and_receipts_are_not() -> None:
    counters = Counters()
    letters = [{"source": b"crm", "error": b"ann has no time", "error-type": b"Rejected"}, {"source": b"ann", "error-type": b"no type"}]
    await count_dead_letters(counters, {"crm"}, Arrived([*letters, {"receipt": b"replayed", "letter": b"0:1"}]))
    assert counters.reasons() == {("crm", "Rejected"): 1, ("-", "-"): 1}
