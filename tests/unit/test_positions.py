from __future__ import annotations

from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import GroupCoordinatorNotAvailableError, IllegalGenerationError, NotLeaderForPartitionError
from aiokafka.structs import ConsumerRecord, TopicPartition

from resolvers.errors import KafkaUnavailable, LogTruncated, RedisUnavailable
from resolvers.memory import MemoryResolver
from resolvers.rules import Rules
from resolvers.sighting import Batch, Position
from streams.batch import Outcome, SourceBatch
from streams.positions import AppliedPositions, CommittedPositions, checksum
from tests.kafka_fakes import FakeConsumer, record
from tests.recoveries import Asked

PLACE = TopicPartition("events", 0)


def consumer(*values: bytes, first: int = 0) -> FakeConsumer:
    return FakeConsumer({PLACE: dict(enumerate(values, start=first))}, first)


def real(fake: FakeConsumer) -> AIOKafkaConsumer:
    return cast("AIOKafkaConsumer", fake)


def graph() -> MemoryResolver:
    return MemoryResolver(Rules.from_settings({}, b"key"), 1)


async def test_a_log_that_was_never_read_is_read_from_its_beginning() -> None:
    assert await CommittedPositions(1).start(real(consumer(b"a", b"b", first=5)), PLACE) == 5


async def test_reading_goes_on_at_the_committed_offset() -> None:
    fake = consumer(b"a", b"b")
    positions = CommittedPositions(1)
    await positions.advance(real(fake), SourceBatch(PLACE, 0, [record(b"a", 0, PLACE)]))
    assert await positions.start(real(fake), PLACE) == 1
    assert await positions.settle(real(fake), PLACE) is Outcome.DONE


async def test_a_busy_partition_is_committed_now_and_then_and_once_nothing_comes() -> None:
    fake = consumer(b"a", b"b", b"c")
    positions = CommittedPositions(1)
    for at in range(3):
        await positions.advance(real(fake), SourceBatch(PLACE, at, [record(b"a", at, PLACE)]))
    assert fake.commits == {PLACE: 1}
    await positions.settle(real(fake), PLACE)
    assert fake.commits == {PLACE: 3}


async def test_what_could_not_be_committed_is_committed_later() -> None:
    fake = consumer(b"a")
    positions = CommittedPositions(1)
    fake.failures = [IllegalGenerationError()]
    await positions.advance(real(fake), SourceBatch(PLACE, 0, [record(b"a", 0, PLACE)]))
    await positions.settle(real(fake), PLACE)
    assert fake.commits == {PLACE: 1}


async def test_a_coordinator_that_is_not_there_yet_is_waited_for() -> None:
    fake = consumer(b"a")
    fake.failures = [GroupCoordinatorNotAvailableError()]
    assert await CommittedPositions(5).start(real(fake), PLACE) == 0


async def test_an_offset_that_cannot_be_committed_is_no_error() -> None:
    fake = consumer(b"a")
    fake.failures = [IllegalGenerationError()]
    await CommittedPositions(1).advance(real(fake), SourceBatch(PLACE, 0, [record(b"a", 0, PLACE)]))
    assert fake.commits == {}


@pytest.mark.parametrize(("first", "committed", "said"), [(5, 3, "begins at offset 5"), (0, 9, "ends at offset 2")])
async def test_a_position_outside_the_log_is_an_error(first: int, committed: int, said: str) -> None:
    fake = consumer(b"a", b"b", first=first)
    fake.commits[PLACE] = committed
    with pytest.raises(LogTruncated, match=said):
        await CommittedPositions(1).start(real(fake), PLACE)


async def test_a_graph_that_knows_nothing_starts_at_zero() -> None:
    assert await AppliedPositions(graph(), "events", Asked(), 1).start(real(consumer(b"a")), PLACE) == 0


async def test_a_log_that_lost_its_beginning_is_an_error_for_a_new_graph() -> None:
    with pytest.raises(LogTruncated, match="begins at offset 3, but records from 0 on were never handled"):
        await AppliedPositions(graph(), "events", Asked(), 1).start(real(consumer(b"a", first=3)), PLACE)


async def test_the_stored_position_follows_only_what_is_acknowledged() -> None:
    resolver, fake = graph(), consumer(b"a", b"b", b"c")
    positions = AppliedPositions(resolver, "events", Asked(), 1)
    await positions.start(real(fake), PLACE)
    await positions.advance(real(fake), SourceBatch(PLACE, 0, [record(b"a", 0, PLACE), record(b"b", 1, PLACE)]))
    assert await resolver.position("events", 0) == Position(0, 0)
    assert await positions.settle(real(fake), PLACE) is Outcome.DONE
    assert await resolver.position("events", 0) == Position(2, checksum(b"b"))
    assert fake.commits == {PLACE: 2}


async def test_a_worker_that_was_overtaken_says_so() -> None:
    resolver, fake = graph(), consumer(b"a", b"b")
    slow, quick = AppliedPositions(resolver, "events", Asked(), 1), AppliedPositions(resolver, "events", Asked(), 1)
    batch = SourceBatch(PLACE, 0, [record(b"a", 0, PLACE)])
    for positions in (slow, quick):
        await positions.start(real(fake), PLACE)
        await positions.advance(real(fake), batch)
    assert await quick.settle(real(fake), PLACE) is Outcome.DONE
    assert await slow.settle(real(fake), PLACE) is Outcome.OVERTAKEN
    assert await slow.start(real(fake), PLACE) == 1


async def test_a_log_with_another_last_record_is_another_log() -> None:
    resolver = graph()
    await resolver.apply(Batch("events", 0, 0, Position(2, checksum(b"b")), ()))
    assert await AppliedPositions(resolver, "events", Asked(), 1).start(real(consumer(b"a", b"b", b"c")), PLACE) == 2
    with pytest.raises(LogTruncated, match="holds another record at offset 1"):
        await AppliedPositions(resolver, "events", Asked(), 1).start(real(consumer(b"x", b"y", b"z")), PLACE)


async def applied_up_to(offset: int, value: bytes) -> MemoryResolver:
    resolver = graph()
    await resolver.apply(Batch("events", 0, 0, Position(offset, checksum(value)), ()))
    return resolver


async def test_a_kafka_that_does_not_give_the_last_record_yet_is_asked_again() -> None:
    fake = consumer(b"x", b"y", b"z")
    fake.failures = [NotLeaderForPartitionError()]
    with pytest.raises(LogTruncated, match="holds another record at offset 1"):
        await AppliedPositions(await applied_up_to(2, b"b"), "events", Asked(), 5).start(real(fake), PLACE)
    assert fake.failures == []
    assert PLACE in fake.paused


async def test_a_kafka_that_never_gives_the_last_record_is_an_error() -> None:
    class Silent(FakeConsumer):
        async def getmany(self, *_: Any, **__: Any) -> dict[TopicPartition, list[ConsumerRecord]]:
            return {}

    fake = Silent({PLACE: {0: b"a", 1: b"b"}})
    with pytest.raises(KafkaUnavailable, match="does not give the record at offset 1 of events, partition 0"):
        await AppliedPositions(await applied_up_to(2, b"b"), "events", Asked(), 0).start(real(fake), PLACE)


async def test_a_hole_before_the_position_says_nothing_about_the_log() -> None:
    fake = FakeConsumer({PLACE: {0: b"a", 2: b"c"}})
    assert await AppliedPositions(await applied_up_to(2, b"b"), "events", Asked(), 1).start(real(fake), PLACE) == 2


async def test_a_hole_at_the_end_of_the_log_says_nothing_either() -> None:
    class Passing(FakeConsumer):
        async def getmany(self, place: TopicPartition, *_: Any, **__: Any) -> dict[TopicPartition, list[ConsumerRecord]]:
            self.positions[place] += 1
            return {}

    fake = Passing({PLACE: {0: b"a", 1: b"b"}})
    assert await AppliedPositions(await applied_up_to(2, b"x"), "events", Asked(), 1).start(real(fake), PLACE) == 2


async def test_redis_is_waited_for() -> None:
    class Slow(MemoryResolver):
        failures = 1

        async def position(self, log: str, partition: int) -> Position:
            if self.failures:
                self.failures -= 1
                raise RedisUnavailable("loading")
            return await super().position(log, partition)

    assert await AppliedPositions(Slow(Rules.from_settings({}, b"key"), 1), "events", Asked(), 5).start(real(consumer(b"a")), PLACE) == 0


async def test_a_position_below_what_kafka_was_told_begins_a_recovery() -> None:
    fake, recovery = consumer(b"a", b"b"), Asked()
    fake.commits[PLACE] = 2
    assert await AppliedPositions(graph(), "events", recovery, 1).start(real(fake), PLACE) == 0
    assert recovery.reasons == ["events, partition 0 was applied up to 2, Redis knows of 0"]


async def test_a_graph_that_went_back_under_an_idle_worker_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.positions.LOOK_SECONDS", 0.0)
    fake, recovery = consumer(b"a", b"b"), Asked()
    resolver = await applied_up_to(2, b"b")
    positions = AppliedPositions(resolver, "events", recovery, 1)
    await positions.start(real(fake), PLACE)
    assert await positions.settle(real(fake), PLACE) is Outcome.DONE
    resolver._positions["events", 0] = Position(1, checksum(b"a"))
    assert await positions.settle(real(fake), PLACE) is Outcome.OVERTAKEN
    assert recovery.reasons == ["partition 0: a batch starts at 2, but Redis has applied up to 1"]


async def test_what_kafka_passed_over_moves_the_position_and_keeps_the_checksum() -> None:
    fake = consumer(b"a")
    resolver = await applied_up_to(1, b"a")
    positions = AppliedPositions(resolver, "events", Asked(), 1)
    await positions.start(real(fake), PLACE)
    await positions.skip(real(fake), PLACE, 3)
    assert await positions.settle(real(fake), PLACE) is Outcome.DONE
    assert await resolver.position("events", 0) == Position(3, checksum(b"a"))


async def test_kafka_is_told_the_position_of_a_busy_partition_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.positions.COMMIT_SECONDS", 0.0)
    fake = consumer(b"a", b"b")
    positions = AppliedPositions(await applied_up_to(1, b"a"), "events", Asked(), 1)
    await positions.start(real(fake), PLACE)
    await positions.advance(real(fake), SourceBatch(PLACE, 1, [record(b"b", 1, PLACE)]))
    assert fake.commits == {PLACE: 1}
