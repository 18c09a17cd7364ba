from __future__ import annotations

from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from resolvers.errors import Rejected, SettingsError
from streams.adapt import AdaptStage, RawSource, event_key, priorities_of
from streams.batch import Outcome, SourceBatch
from streams.counters import Counters
from streams.events import Event, Identifier, Participant, decode_event
from streams.record import SourceRecord
from streams.sender import Sender
from streams.settings import settings_from
from tests.kafka_fakes import FakeProducer, record

RAW = TopicPartition("raw", 0)
PRIORITIES = {"person": {"user_id": 1, "email": 2}}


def event(event_id: str, *identifiers: tuple[str, str], entity: str = "person") -> Event:
    return Event(
        event_id,
        "crm",
        "seen",
        "2024-01-01T00:00:00.000Z",
        participants=[Participant(entity, "x", [Identifier(*one) for one in identifiers])],
    )


def by_value(source: SourceRecord) -> list[Event]:
    word = (source.value or b"").decode()
    if word == "bad":
        raise Rejected("the record is bad")
    if word == "bug":
        return [event(str(1 // 0))]
    return [event(one, ("email", f"{one}@x.example")) for one in word.split(",")]


async def adapted(producer: FakeProducer, *values: bytes, largest_bytes: int = 1_000_000) -> Counters:
    async def make() -> Any:
        return producer

    counters = Counters()
    sender = Sender(make, "here:9092", 5)
    await sender.start()
    stage = AdaptStage(
        {"raw": RawSource("crm", "words", by_value)},
        PRIORITIES,
        sender,
        counters,
        lambda: 0,
        events_topic="events",
        dead_letters_topic="dead",
        largest_bytes=largest_bytes,
    )
    batch = SourceBatch(RAW, 0, [record(value, offset, RAW) for offset, value in enumerate(values)])
    assert await stage(batch) is Outcome.DONE
    return counters


async def test_a_record_gives_its_events() -> None:
    producer = FakeProducer()
    counters = await adapted(producer, b"a", b"b,c")
    assert sorted(decode_event(value or b"").event_id for value in producer.values("events")) == ["a", "b", "c"]
    assert counters.snapshot() == {"events_written.crm": 3, "records_read.crm": 2}


async def test_a_rejected_record_is_a_dead_letter_with_its_reason() -> None:
    producer = FakeProducer()
    counters = await adapted(producer, b"bad", b"a")
    assert producer.values("dead") == [b"bad"]
    assert dict(next(headers for headers in producer.headers if headers))["error"] == b"the record is bad"
    assert len(producer.values("events")) == 1
    assert counters.total("records_rejected") == 1


async def test_a_bug_in_an_adapter_costs_only_that_record() -> None:
    producer = FakeProducer()
    await adapted(producer, b"bug", b"a")
    headers = dict(next(headers for headers in producer.headers if headers))
    assert headers["error-type"] == b"ZeroDivisionError"
    assert b"by_value" in headers["traceback"]
    assert len(producer.values("events")) == 1


async def test_a_record_whose_events_are_too_large_is_one_dead_letter() -> None:
    producer = FakeProducer(largest=300)
    long = "x" * 200
    await adapted(producer, f"{long}1,{long}2".encode()[:300], b"a")
    assert len(producer.values("dead")) == 1
    assert len(producer.values("events")) == 1
    assert b"larger than events takes" in dict(next(headers for headers in producer.headers if headers))["error"]


async def test_a_record_with_one_event_too_many_bytes_writes_none_of_its_events() -> None:
    producer = FakeProducer()
    counters = await adapted(producer, b"a," + b"x" * 300, b"b", largest_bytes=300)
    assert producer.values("dead") == [b"a," + b"x" * 300]
    assert [decode_event(value or b"").event_id for value in producer.values("events")] == ["b"]
    error = dict(next(headers for headers in producer.headers if headers))["error"]
    assert b"bytes, at most 300 go into events" in error
    rejected = {"dead_letters.crm.too_large": 1, "records_rejected.crm": 1}
    assert counters.snapshot() == {"events_written.crm": 1, "records_read.crm": 2, **rejected}


async def test_a_dead_letter_that_does_not_fit_ends_the_stage() -> None:
    with pytest.raises(SettingsError, match="topic dead refuses"):
        await adapted(FakeProducer(largest=2), b"bad")


def test_priorities_are_the_places_in_the_file_where_it_names_none() -> None:
    identifiers: dict[str, Any] = {"user_id": {}, "email": {}, "phone": {"priority": 7}}
    settings = settings_from({"entities": {"person": {"identifiers": identifiers}}})
    assert priorities_of(settings.entities) == {"person": {"user_id": 1, "email": 2, "phone": 7}}


@pytest.mark.parametrize(
    ("given", "key"),
    [
        (event("e1", ("email", "a@x"), ("user_id", "u1")), b"person:user_id:u1"),
        (event("e1", ("email", "b@x"), ("email", "a@x")), b"person:email:a@x"),
        (event("e1", ("shoe_size", "43"), ("email", "b@x")), b"person:email:b@x"),
        (event("e1", ("shoe_size", "43")), b"e1"),
        (event("e1", ("email", "a@x"), entity="ship"), b"e1"),
        (Event("e2", "crm", "seen", "2024-01-01T00:00:00.000Z"), b"e2"),
    ],
)
def test_the_key_is_the_strongest_identifier_of_the_first_participant(given: Event, key: bytes) -> None:
    assert event_key(given, PRIORITIES) == key
