from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from aiokafka import TopicPartition

from resolvers.errors import KafkaUnavailable, SettingsError
from streams.kafka import admin, consumer, producer, started, transactional_id, transactional_producer
from streams.settings import Settings, settings_from
from streams.stack import Addresses
from streams.topics import AlterTopic, delete_topics, ensure_topics, look, planned, topic_names

pytestmark = pytest.mark.stack


class Space:
    """Settings of a space and topics of its own on the stack."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._own = f"t{uuid4().hex[:8]}"
        self._bootstrap_servers = bootstrap_servers

    def settings(self, **document: Any) -> Settings:
        topics = {"prefix": f"{self._own}.", **document.pop("topics", {})}
        base = {"partitions": 2, "kafka": {"bootstrap_servers": self._bootstrap_servers}, "topics": topics}
        return settings_from({**base, "sources": {"crm": {"topic": f"{self._own}.raw", "adapter": "mapping"}}, **document})


@pytest.fixture
def space(stack: Addresses) -> Space:
    return Space(stack.bootstrap_servers)


async def test_topics_are_made_once_and_deleted_together(space: Space) -> None:
    settings = space.settings()
    assert [change.name for change in await ensure_topics(settings)] == topic_names(settings)
    assert await ensure_topics(settings) == []
    assert await delete_topics(settings) == sorted(topic_names(settings))
    assert await delete_topics(settings) == []


async def test_drift_is_set_right_without_touching_what_others_set(space: Space) -> None:
    await ensure_topics(space.settings(topics={"config": {"entities": {"segment.ms": "600000"}, "events": {"retention.ms": "5000"}}}))
    settings = space.settings()
    (change,) = await ensure_topics(settings)
    assert isinstance(change, AlterTopic)
    assert (change.old, change.new) == ({"retention.ms": "5000"}, {"retention.ms": "-1"})
    assert await planned(settings) == []
    client = await started(admin(settings), settings.kafka, "test")
    found = await look(client, [settings.topic("entities"), settings.topic("events")])
    await client.close()
    assert found[settings.topic("entities")].own_config["segment.ms"] == "600000"
    assert found[settings.topic("events")].config["retention.ms"] == "-1"
    await delete_topics(settings)


async def test_another_partition_count_is_an_error(space: Space) -> None:
    settings = space.settings()
    await ensure_topics(settings)
    with pytest.raises(SettingsError, match="set partitions: 2"):
        await ensure_topics(space.settings(partitions=4))
    await delete_topics(settings)


async def test_kafkas_refusal_is_told_with_the_topic(space: Space) -> None:
    settings = space.settings(topics={"config": {"entities": {"retention.sm": "1"}}})
    with pytest.raises(SettingsError, match=r"refuses to make topic .*entities: .*retention\.sm"):
        await ensure_topics(settings)
    await delete_topics(settings)


async def test_a_dead_letter_of_fifteen_mebibytes_is_written_and_read(space: Space) -> None:
    settings = space.settings()
    await ensure_topics(settings)
    place = TopicPartition(settings.topic("dead-letters"), 0)
    writer = await started(producer(settings, what="test"), settings.kafka, "test")
    await writer.send_and_wait(place.topic, b"x" * (15 * 1024 * 1024), partition=0)
    await writer.stop()
    reader = await started(consumer(settings, what="test"), settings.kafka, "test")
    reader.assign([place])
    reader.seek(place, 0)
    assert len((await reader.getone()).value) == 15 * 1024 * 1024
    await reader.stop()
    await delete_topics(settings)


async def test_an_aborted_transaction_is_not_read(space: Space) -> None:
    settings = space.settings()
    await ensure_topics(settings)
    place = TopicPartition(settings.topic("entities"), 1)
    writer = transactional_producer(settings, transactional=transactional_id(settings, "publish", 1), what="test")
    await started(writer, settings.kafka, "test")
    for value, kept in ((b"lost", False), (b"kept", True)):
        await writer.begin_transaction()
        await writer.send_and_wait(place.topic, value, key=b"k", partition=1)
        await (writer.commit_transaction() if kept else writer.abort_transaction())
    await writer.stop()
    reader = await started(consumer(settings, what="test"), settings.kafka, "test")
    reader.assign([place])
    reader.seek(place, 0)
    assert (await reader.getone()).value == b"kept"
    await reader.stop()
    await delete_topics(settings)


async def test_an_unreachable_kafka_is_named() -> None:
    settings = settings_from({"kafka": {"bootstrap_servers": "127.0.0.1:1", "connect_seconds": 0}})
    with pytest.raises(KafkaUnavailable, match=r"Kafka at 127\.0\.0\.1:1 does not answer"):
        await planned(settings)
