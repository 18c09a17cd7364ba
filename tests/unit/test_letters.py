from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from aiokafka.errors import IllegalOperation, MessageSizeTooLargeError, ProducerFenced
from aiokafka.structs import ConsumerRecord, TopicPartition

from resolvers.errors import Rejected, SettingsError
from streams.dead_letters import dead_letter
from streams.letters import Letter, Name, Selection, moment, original
from streams.letters.ledger import REASON_KEPT, Ledger
from streams.letters.letter import letter_of, receipt_headers, receipt_of
from streams.letters.route import obstacle, partition_for, warnings
from streams.letters.transaction import Dated, NotTaken, write
from streams.sender import partition_of
from streams.topics import Topic
from tests.kafka_fakes import FakeProducer, record

RAW = TopicPartition("raw.crm", 3)
T0 = 1_700_000_000_000
NOW = 1_800_000_000_000
DAY = 86_400_000


def letter(
    offset: int = 0, partition: int = 0, *, reason: str = "no time", at: int = T0, source: str = "crm", **came: Any
) -> ConsumerRecord:
    """Give a letter as it lies on its topic; `came` describes the source record."""
    value, place, at_offset = came.pop("value", b"v"), came.pop("place", RAW), came.pop("origin", 12)
    error = came.pop("error", Rejected(reason))
    refused = record(value, at_offset, place, **{"key": b"k", **came})
    written = dead_letter("dead", refused, error, at, source=source, adapter="mapping")
    return record(written.value, offset, TopicPartition("dead", partition), key=written.key, headers=written.headers, timestamp=T0 + 5)


def receipt(of: ConsumerRecord, offset: int, partition: int = 0) -> ConsumerRecord:
    headers = receipt_headers(letter_of(of), NOW, "raw.crm/3")
    return record(None, offset, TopicPartition("dead", partition), key=of.key, headers=headers)


def ledger(records: Sequence[ConsumerRecord], **asked: Any) -> Ledger:
    made = Ledger(Selection(**asked))
    for one in records:
        made.add(one)
    return made


def names(made: Ledger) -> list[str]:
    return [str(one.name) for one in made.letters()]


def test_a_letter_gives_the_record_back_as_it_was() -> None:
    written = letter(headers=(("trace", b"\xff"), ("original-x", b"2"), ("receipt", b"?")), timestamp=T0 - 7, key=None, value=None)
    came = original(written)
    assert (came.key, came.value, came.timestamp_ms) == (None, None, T0 - 7)
    assert came.headers == (("trace", b"\xff"), ("original-x", b"2"), ("receipt", b"?"))


def test_a_letter_without_the_records_time_lends_it_its_own() -> None:
    written = letter(timestamp=T0 - 7)
    old = replace(written, headers=tuple(one for one in written.headers if one[0] != "source-timestamp"))
    assert original(old).timestamp_ms == T0 + 5


def test_a_letter_says_what_it_is() -> None:
    read = letter_of(letter(7, 2))
    assert (str(read.name), read.source, read.reason, read.time_ms) == ("2:7", "crm", "no time", T0)
    assert (read.record.topic, read.record.partition, read.record.offset) == ("raw.crm", 3, 12)


def test_an_exception_nobody_expected_is_named() -> None:
    assert letter_of(letter(error=KeyError("country"))).reason == "KeyError: 'country'"
    assert letter_of(letter(error=KeyError())).reason == "KeyError"


def test_a_record_that_is_no_letter_of_ours_still_has_a_name_and_a_time() -> None:
    read = letter_of(record(b"?", 4, TopicPartition("dead", 1), timestamp=T0))
    assert (str(read.name), read.record.topic, read.reason, read.time_ms) == ("1:4", "", "no reason given", T0)
    assert obstacle(read, {}) == "it does not say where it came from"


def test_a_receipt_says_which_letter_went_where() -> None:
    of = letter(7, 2)
    read = receipt_of(receipt(of, 8, 2))
    assert read is not None
    assert (read.letter, read.record, read.time, read.to) == (Name(2, 7), letter_of(of).record, "2027-01-15T08:00:00.000Z", "raw.crm/3")
    assert receipt_of(of) is None
    assert receipt_of(record(None, headers=(("receipt", b"replayed"),))) is None


@pytest.mark.parametrize("text", ["", "3", "a:b", "1:-1", "1:2:3", "\u0663:1"])
def test_what_is_no_name_is_told_with_the_form(text: str) -> None:
    with pytest.raises(SettingsError, match=r"write PARTITION:OFFSET, such as 0:12"):
        Name.parse(text)


def test_a_name_is_read_as_it_is_written() -> None:
    assert str(Name.parse(" 2:10 ")) == "2:10"


def test_letters_are_listed_oldest_first_over_all_partitions() -> None:
    made = ledger([letter(0, 0, at=T0 + 2, origin=1), letter(0, 1, at=T0 + 1, origin=2), letter(1, 1, at=T0 + 2, origin=3)])
    assert names(made) == ["1:0", "0:0", "1:1"]


def test_letters_of_one_record_are_one_letter_the_oldest() -> None:
    copies = [letter(0, 0, at=T0 + 9, reason="later"), letter(4, 1, at=T0), letter(5, 1, at=T0 + 1)]
    assert names(ledger(copies)) == names(ledger(copies[::-1])) == ["1:4"]
    assert names(ledger(copies, reason="later")) == []
    assert names(ledger(copies, names=frozenset([Name(0, 0)]))) == ["1:4"]


def test_a_topic_that_was_made_anew_has_letters_of_its_own() -> None:
    first, second = letter(0, value=b"a"), letter(2, value=b"b")
    made = ledger([first, receipt(first, 1), second])
    assert [(str(one.name), made.went_back(one)) for one in made.letters()] == [("0:0", True), ("0:2", False)]


def test_a_receipt_counts_for_every_letter_of_its_record() -> None:
    first, copy = letter(3, 1, at=T0 + 1), letter(0, 0, at=T0)
    for order in ([first, receipt(first, 4, 1), copy], [copy, first, receipt(first, 4, 1)]):
        made = ledger(order)
        assert [(str(one.name), made.went_back(one)) for one in made.letters()] == [("0:0", True)]


def test_the_name_of_a_receipt_leads_to_its_letter_and_other_names_are_missing() -> None:
    of = letter(7)
    made = ledger([of, receipt(of, 8)], names=frozenset([Name(0, 8), Name(0, 9)]))
    assert names(made) == ["0:7"]
    assert made.missing() == [Name(0, 9)]
    assert [one.to for one in made.receipts(made.letters()[0])] == ["raw.crm/3"]


def test_a_selection_sees_all_of_a_reason_and_the_ledger_keeps_its_beginning() -> None:
    made = ledger([letter(reason="x" * 1_000 + "End")], reason="END")
    (kept,) = made.letters()
    assert len(kept.reason) == REASON_KEPT


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, True),
        ({"source": "crm", "reason": "TIME", "topic": "raw.crm", "since_ms": T0, "until_ms": T0 + 1}, True),
        ({"source": "shop"}, False),
        ({"reason": "times"}, False),
        ({"topic": "raw"}, False),
        ({"since_ms": T0 + 1}, False),
        ({"until_ms": T0}, False),
    ],
)
def test_a_selection_asks_for_all_that_it_says(asked: dict[str, Any], found: bool) -> None:
    assert bool(names(ledger([letter()], **asked))) is found


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("30m", NOW - 1_800_000),
        ("2h", NOW - 7_200_000),
        ("7d", NOW - 7 * DAY),
        ("1w", NOW - 7 * DAY),
        ("5 s", NOW - 5_000),
        ("2023-11-14T22:13:20Z", T0),
    ],
)
def test_a_time_is_a_moment_or_so_long_ago(text: str, ms: int) -> None:
    assert moment(text, NOW) == ms


def test_what_is_no_time_is_told_with_both_forms() -> None:
    with pytest.raises(SettingsError, match=r"'soon' is not a time: give RFC 3339 .* or say how long ago: 30m, 2h, 7d"):
        moment("soon", NOW)


def read(**fields: Any) -> Letter:
    return letter_of(letter(**fields))


def test_a_record_goes_to_its_own_partition_where_there_is_one() -> None:
    assert partition_for(read(), b"k", Topic(4)) == 3
    assert partition_for(read(), b"k", Topic(3)) == partition_of(b"k", 3)
    assert partition_for(read(), None, Topic(2)) == 1


def test_what_stands_in_the_way_of_a_letter() -> None:
    assert obstacle(read(), {}) == "its topic raw.crm is not there"
    assert obstacle(read(), {"raw.crm": Topic(4)}) is None
    compacted = {"raw.crm": Topic(4, {"cleanup.policy": "compact"})}
    assert obstacle(read(), compacted) is None
    assert obstacle(read(key=None), compacted) == "it has no key, and raw.crm is compacted by now"


def test_records_that_kafka_may_remove_at_once_are_told() -> None:
    week = {"cleanup.policy": "delete", "retention.ms": str(7 * DAY)}
    old, young = read(timestamp=NOW - 8 * DAY), read(timestamp=NOW - 6 * DAY)
    (said,) = warnings([old, young], {"raw.crm": Topic(4, week)}, NOW, [])
    assert said.startswith("1 records are older than raw.crm keeps records (7 days)")
    assert warnings([old], {"raw.crm": Topic(4, {**week, "retention.ms": "-1"})}, NOW, []) == []
    assert warnings([old], {"raw.crm": Topic(4, {**week, "message.timestamp.type": "LogAppendTime"})}, NOW, []) == []


def test_a_compacted_topic_is_told_unless_it_is_known_to_bear_it() -> None:
    topics = {"raw.crm": Topic(4, {"cleanup.policy": "compact"})}
    (said,) = warnings([read()], topics, NOW, [])
    assert said.startswith("raw.crm is compacted")
    assert warnings([read()], topics, NOW, ["raw.crm"]) == []


def dated(value: bytes, partition: int = 0) -> Dated:
    return Dated("raw", partition, b"k", value, (), T0)


async def test_records_keep_their_order_within_a_partition() -> None:
    producer: Any = FakeProducer(batch=2)
    await write(producer, [dated(b"1"), dated(b"x", 1), dated(b"2"), dated(b"3")])
    assert producer.written == {("raw", 0): [(b"k", b"1"), (b"k", b"2"), (b"k", b"3")], ("raw", 1): [(b"k", b"x")]}


async def test_a_refusal_is_told_with_its_topic_before_what_follows_from_it() -> None:
    producer: Any = FakeProducer(batch=1, failures=[ProducerFenced(), MessageSizeTooLargeError()])
    with pytest.raises(NotTaken, match=r"raw does not take a record of its size: raise the topic's max\.message\.bytes"):
        await write(producer, [dated(b"1"), dated(b"2")])


class Ending(FakeProducer):
    """A producer that is fenced between two batches."""

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> Any:
        if partition:
            raise IllegalOperation
        return await super().send_batch(batch, topic, partition=partition)


async def test_a_producer_that_is_fenced_between_batches_says_so() -> None:
    producer: Any = Ending(failures=[ProducerFenced()])
    with pytest.raises(ProducerFenced):
        await write(producer, [dated(b"1"), dated(b"2", 1)])
    silent: Any = Ending()
    with pytest.raises(IllegalOperation):
        await write(silent, [dated(b"1"), dated(b"2", 1)])
