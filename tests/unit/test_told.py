from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

from aiokafka.structs import TopicPartition

from resolvers.memory import MemoryResolver
from resolvers.port import ToldRecord
from resolvers.rules import Rules
from streams.settings import Settings
from streams.told import Ahead, ToldTopics, told_record
from tests.faults.kafka_clients import Consumer
from tests.faults.kafka_model import Broker
from tests.kafka_fakes import record

SHARD = 1
PLACE = TopicPartition("identifiers", SHARD)


class Listener(MemoryResolver):
    """A resolver that only notes what it is told."""

    def __init__(self) -> None:
        super().__init__(Rules.from_settings({}, b"key"), 2)
        self.steps: list[str] = []
        self.heard: dict[str, Any] = {}

    async def begin_reading(self, shard: int, reader: str) -> None:
        self.steps.append(f"begin {shard}")

    async def retell(self, shard: int, reader: str, calls: int, told: Sequence[ToldRecord]) -> None:
        self.steps.append(f"retell {calls}")
        for one in told:
            assert one.key not in self.heard
            self.heard[one.key] = one.document

    async def end_reading(self, shard: int, reader: str, calls: int) -> None:
        self.steps.append(f"end {shard} {calls}")


class Topics(ToldTopics):
    """Topics on a Kafka in memory; counts the records that are fetched."""

    def __init__(self, held_bytes: int = 1_000_000) -> None:
        self.broker = Broker(dict.fromkeys(("entities", "identifiers", "memberships"), 2))
        self.listener = Listener()
        self.fetched = 0
        super().__init__(cast("Settings", SimpleNamespace(topic=str)), self.listener, 5.0, held_bytes=held_bytes)

    async def _consumer(self, places: list[TopicPartition]) -> Any:
        topics = self

        class Counting(Consumer):
            async def getmany(self, *args: Any, **kwargs: Any) -> Any:
                found = await super().getmany(*args, **kwargs)
                topics.fetched += sum(map(len, found.values()))
                return found

        return Counting(self.broker, "told")

    async def write(self, *rows: tuple[str, str | None]) -> None:
        await self.broker.send(PLACE, [(key.encode(), None if value is None else value.encode(), ()) for key, value in rows], None)


async def test_what_was_read_ahead_is_not_read_again() -> None:
    topics = Topics()
    await topics.write(("person:a:1", '{"version": 1}'), ("person:a:2", '{"version": 1}'), ("person:a:1", '{"version": 2}'))
    await topics.read_ahead(SHARD)
    await topics.read_ahead(SHARD)
    assert (topics.fetched, topics.listener.steps) == (3, [])
    await topics.read(SHARD)
    assert topics.fetched == 3
    assert topics.listener.steps == ["begin 1", "retell 0", "end 1 1"]
    assert topics.listener.heard == {"person:a:1": {"version": 2}, "person:a:2": {"version": 1}}


async def test_what_was_written_since_is_read_too() -> None:
    topics = Topics()
    await topics.write(("person:a:1", '{"version": 1}'), ("person:a:2", '{"version": 1}'))
    await topics.read_ahead(SHARD)
    await topics.write(("person:a:1", None), ("person:a:3", '{"version": 3}'))
    await topics.read(SHARD)
    assert topics.fetched == 4
    assert topics.listener.heard == {"person:a:1": None, "person:a:2": {"version": 1}, "person:a:3": {"version": 3}}


async def test_a_topic_that_was_made_anew_is_read_from_its_beginning() -> None:
    topics = Topics()
    await topics.write(("person:a:1", '{"version": 1}'), ("person:a:2", '{"version": 1}'))
    await topics.read_ahead(SHARD)
    topics.broker.logs[PLACE].clear()
    await topics.write(("person:a:3", '{"version": 3}'))
    await topics.read(SHARD)
    assert topics.listener.heard == {"person:a:3": {"version": 3}}


async def test_what_does_not_fit_into_memory_is_read_twice_when_its_turn_comes() -> None:
    topics = Topics(held_bytes=500)
    rows = [(f"person:a:{number}", f'{{"version": {version}}}') for version in (1, 2) for number in range(4)]
    await topics.write(*rows)
    await topics.read_ahead(SHARD)
    await topics.read(SHARD)
    assert topics.fetched == 3 * len(rows)
    assert topics.listener.heard == {f"person:a:{number}": {"version": 2} for number in range(4)}


async def test_a_shard_that_is_forgotten_is_read_anew() -> None:
    topics = Topics()
    await topics.write(("person:a:1", '{"version": 1}'))
    await topics.read_ahead(SHARD)
    topics.forget(SHARD)
    await topics.read(SHARD)
    topics.listener.heard.clear()
    await topics.read(SHARD)
    assert topics.fetched == 3


def test_memory_counts_keys_once_and_values_as_they_are() -> None:
    ahead = Ahead()
    ahead.add([record(b"12345", key=b"a"), record(b"123", key=b"a"), record(None, key=b"b")])
    once = Ahead()
    once.add([record(None, key=b"b"), record(b"123", key=b"a")])
    assert ahead.held_bytes == once.held_bytes
    assert ahead.last == once.last


def test_a_record_that_nexus_cannot_have_written_is_none() -> None:
    assert told_record("identifiers", b"person:a:1", b"{}") == ToldRecord("identifiers", "person:a:1", {})
    assert told_record("identifiers", b"nonsense", b"{}") is None
    assert told_record("identifiers", b"person:a:1", b"[]") is None
    assert told_record("identifiers", b"\xff\xff", b"{}") is None
