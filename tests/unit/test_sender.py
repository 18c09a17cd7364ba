from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, OutOfOrderSequenceNumber, TopicAuthorizationFailedError

from resolvers.errors import KafkaUnavailable, SettingsError
from streams.sender import Outgoing, Sender, partition_of, send_all
from tests.kafka_fakes import FakeProducer


class Producers:
    """Gives producer after producer."""

    def __init__(self, *producers: FakeProducer) -> None:
        self.left = list(producers)

    async def __call__(self) -> Any:
        return self.left.pop(0)


async def started(*producers: FakeProducer, patience_seconds: float = 5) -> Sender:
    sender = Sender(Producers(*producers), "here:9092", patience_seconds)
    await sender.start()
    return sender


async def test_records_of_a_key_keep_their_order_over_batches() -> None:
    producer = FakeProducer(batch=2)
    sender = await started(producer)
    await sender.send([Outgoing("events", b"k", str(number).encode()) for number in range(5)])
    assert producer.written == {("events", partition_of(b"k", 3)): [(b"k", str(number).encode()) for number in range(5)]}


async def test_records_without_keys_are_spread() -> None:
    producer = FakeProducer()
    await (await started(producer)).send([Outgoing("raw", None, b"x") for _ in range(6)])
    assert {place: len(rows) for place, rows in producer.written.items()} == {("raw", 0): 2, ("raw", 1): 2, ("raw", 2): 2}


def test_the_partition_of_a_key_is_fixed_for_ever() -> None:
    assert [partition_of(key, 6) for key in (b"person:email:a@x.example", b"crm:e1:0", b"")] == [5, 5, 0]


async def test_what_is_too_large_is_given_back_and_the_rest_written() -> None:
    producer = FakeProducer(largest=10)
    large = Outgoing("events", b"k", b"x" * 11)
    assert await (await started(producer)).send([Outgoing("events", b"k", b"a"), large, Outgoing("events", b"k", b"b")]) == [large]
    assert producer.values("events") == [b"a", b"b"]


async def test_a_record_that_may_not_be_refused_is_an_error_with_a_way_out() -> None:
    sender = await started(FakeProducer(largest=10))
    with pytest.raises(SettingsError, match="topic entities refuses a record of 11 bytes: raise its max"):
        await send_all(sender, [Outgoing("entities", b"k", b"x" * 11)])


@pytest.mark.parametrize("error", [KafkaConnectionError("gone"), OutOfOrderSequenceNumber()])
async def test_a_producer_that_fails_is_replaced_and_everything_sent_again(error: Exception) -> None:
    broken, new = FakeProducer(failures=[error]), FakeProducer()
    await (await started(broken, new)).send([Outgoing("events", b"k", b"a")])
    assert broken.stopped
    assert new.values("events") == [b"a"]


async def test_a_kafka_that_does_not_come_back_is_an_error_that_names_it() -> None:
    sender = await started(FakeProducer(failures=[KafkaConnectionError("gone")]), patience_seconds=0)
    with pytest.raises(KafkaUnavailable, match="here:9092 did not acknowledge 1 records"):
        await sender.send([Outgoing("events", b"k", b"a")])


async def test_what_kafka_refuses_for_good_is_raised() -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await (await started(FakeProducer(failures=[TopicAuthorizationFailedError("events")]))).send([Outgoing("events", b"k", b"a")])


async def test_senders_at_once_share_the_new_producer() -> None:
    broken, new = FakeProducer(failures=[KafkaConnectionError("a"), KafkaConnectionError("b")]), FakeProducer()
    sender = await started(broken, new)
    await asyncio.gather(sender.send([Outgoing("events", b"k", b"a")]), sender.send([Outgoing("events", b"k", b"b")]))
    assert sorted(str(value) for value in new.values("events")) == ["b'a'", "b'b'"]


async def test_nothing_to_send_is_nothing_to_wait_for() -> None:
    assert await (await started(FakeProducer())).send([]) == []
