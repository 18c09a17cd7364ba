from __future__ import annotations

from typing import Any

import pytest

from resolvers.errors import SettingsError
from streams.publishing import chunks, publish_records, source_named
from streams.sender import Sender
from streams.settings import settings_from
from tests.kafka_fakes import FakeProducer


def test_an_unknown_source_is_an_error_that_names_those_there_are() -> None:
    settings = settings_from({"sources": {"crm": {"topic": "raw.crm", "adapter": "segment"}}})
    assert source_named(settings, "crm").topic == "raw.crm"
    with pytest.raises(SettingsError, match=r"there is no source 'cmr' in the settings; known: crm; did you mean crm\?"):
        source_named(settings, "cmr")


def test_chunks_are_bounded_by_count_and_by_size() -> None:
    assert list(chunks([b"a", b"b", b"c"], most=2)) == [[b"a", b"b"], [b"c"]]
    assert list(chunks([b"aaa", b"b", b"c"], most_bytes=3)) == [[b"aaa"], [b"b", b"c"]]
    assert list(chunks([])) == []


async def test_every_record_is_written_without_a_key_and_told() -> None:
    producer, told = FakeProducer(), list[tuple[int, int]]()

    async def make() -> Any:
        return producer

    sender = Sender(make, "here:9092", 5)
    await sender.start()
    count = await publish_records(sender, "raw", iter([b"one", b"two", b"three"]), lambda records, size: told.append((records, size)))
    assert (count, told) == (3, [(3, 11)])
    assert sorted(producer.values("raw"), key=str) == [b"one", b"three", b"two"]
    assert {key for rows in producer.written.values() for key, _ in rows} == {None}
