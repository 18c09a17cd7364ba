from __future__ import annotations

import json
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, ProducerFenced, TopicAuthorizationFailedError
from aiokafka.structs import TopicPartition

from resolvers.errors import Fenced, KafkaUnavailable, SettingsError, StoreLost
from resolvers.memory import MemoryResolver
from resolvers.port import OutputRecord, Round, Waiting
from resolvers.rules import Rules
from streams.counters import Counters
from streams.publish import LARGE_BYTES, ShardPublisher, Telling, Turn, by_topic, encode_round
from streams.tracing.stages import PublishTraces
from tests.kafka_fakes import FakeProducer
from tests.recoveries import Asked

TOPICS = {"entities": "n.entities", "identifiers": "n.identifiers", "memberships": "n.memberships", "timeline": "n.timeline"}
DOCUMENT = {"entity_id": "per_a", "entity_type": "person", "status": "active"}


class Outbox(MemoryResolver):
    """An outbox that is filled by hand, and says what it was asked."""

    def __init__(self, *rounds: Round | Waiting, kept: Round | None = None) -> None:
        super().__init__(Rules.from_settings({}, b"key"), 1)
        self.rounds = list(rounds)
        self.kept = kept
        self.steps: list[str] = []
        self.told: list[int] = []

    async def pending(self, shard: int, told: int) -> Round | None:
        if self.kept is not None and self.kept.number < told:
            raise StoreLost("behind")
        return self.kept

    async def take(self, shard: int, limit: int, told: int) -> Round | Waiting | None:
        self.told.append(told)
        return self.rounds.pop(0) if self.rounds else None

    async def keep(self, round_: Round, payload: bytes) -> None:
        self.steps.append(f"keep {round_.number}")
        self.kept = Round(round_.shard, round_.number, payload=payload)

    async def finish(self, round_: Round) -> None:
        self.steps.append(f"finish {round_.number}")
        self.kept = None


class Numbers:
    """The committed round numbers."""

    group = "n.rounds"

    def __init__(self, number: int = 0) -> None:
        self.number = number

    async def told(self, shard: int) -> int:
        return self.number

    async def highest(self, shard: int) -> int:
        return self.number + 1


def publisher(
    outbox: Outbox,
    *producers: FakeProducer,
    committed: int = 0,
    recovery: Asked | None = None,
    traces: PublishTraces | None = None,
) -> ShardPublisher:
    left = list(producers)

    async def make(shard: int) -> Any:
        return left.pop(0)

    numbers, telling = Numbers(committed), Telling(TOPICS)
    return ShardPublisher(2, outbox, telling, numbers, recovery or Asked(), make, Counters(), lambda: 0, traces=traces)


def round_of(number: int, *records: OutputRecord) -> Round:
    return Round(2, number, records or (OutputRecord("entities", "per_a", DOCUMENT),))


async def test_a_round_is_kept_then_written_with_its_number_then_ended() -> None:
    outbox, producer = Outbox(round_of(7)), FakeProducer()
    assert await publisher(outbox, producer, committed=6).turn() is Turn.TOLD
    assert outbox.told == [6]
    assert outbox.steps == ["keep 7", "finish 7"]
    assert producer.steps == ["begin", "offsets n.rounds", "commit"]
    assert producer.offsets == {TopicPartition("n.entities", 2): 7}
    ((place, ((key, value),)),) = producer.written.items()
    assert (place, key, json.loads(value or b"")) == (("n.entities", 2), b"per_a", {**DOCUMENT, "version": 7})


async def test_nothing_dirty_is_no_transaction() -> None:
    producer = FakeProducer()
    assert await publisher(Outbox(), producer).turn() is Turn.NOTHING
    assert producer.steps == []


async def test_a_round_without_records_ends_without_a_transaction() -> None:
    outbox, producer = Outbox(Round(2, 3)), FakeProducer()
    assert await publisher(outbox, producer).turn() is Turn.TOLD
    assert (outbox.steps, producer.steps) == (["finish 3"], [])


async def test_a_round_left_in_flight_is_repeated_with_the_same_bytes() -> None:
    payload = encode_round(round_of(5), 0)
    outbox, producer = Outbox(kept=Round(2, 5, payload=payload)), FakeProducer()
    assert await publisher(outbox, producer, committed=4).turn() is Turn.NOTHING
    assert producer.values("n.entities") == [value for row in by_topic(payload, TOPICS)["n.entities"] for value in (row.value,)]
    assert outbox.steps == ["finish 5"]
    assert outbox.told == [5]


async def test_a_round_that_kafka_has_is_only_ended() -> None:
    outbox, producer = Outbox(kept=Round(2, 5, payload=encode_round(round_of(5), 0))), FakeProducer()
    await publisher(outbox, producer, committed=5).turn()
    assert (outbox.steps, producer.steps) == (["finish 5"], [])


async def test_a_round_that_kafka_is_past_begins_a_recovery_and_is_not_sent_again() -> None:
    outbox, producer, recovery = Outbox(kept=Round(2, 5, payload=encode_round(round_of(5), 0))), FakeProducer(), Asked()
    await publisher(outbox, producer, committed=9, recovery=recovery).turn()
    assert recovery.begun == [(2, 10)]
    assert (outbox.steps, producer.written) == ([], {})


async def test_a_shard_in_recovery_waits_then_reads_its_topics_then_tells() -> None:
    outbox, recovery = Outbox(Waiting.CATCHING_UP, Waiting.UNREAD, round_of(3)), Asked()
    made = publisher(outbox, FakeProducer(), recovery=recovery)
    assert [await made.turn() for _ in range(3)] == [Turn.WAITING, Turn.TOLD, Turn.TOLD]
    assert (recovery.read_ahead_shards, recovery.read_shards) == ([2], [2])


async def test_who_lets_go_of_a_shard_forgets_what_was_read_ahead() -> None:
    recovery = Asked()
    made = publisher(Outbox(Waiting.CATCHING_UP), FakeProducer(), recovery=recovery)
    await made.turn()
    assert not recovery.forgotten
    await made.close()
    assert recovery.forgotten == [2]


async def test_a_redis_that_went_back_in_the_middle_has_the_publisher_start_over() -> None:
    class Lost(Outbox):
        async def take(self, shard: int, limit: int, told: int) -> Round | Waiting | None:
            raise StoreLost("emptied")

    producer = FakeProducer()
    assert await publisher(Lost(), producer).turn() is Turn.LOST
    assert producer.stopped


@pytest.mark.parametrize("error", [ProducerFenced(), Fenced("taken over")])
async def test_a_publisher_that_was_replaced_stops_quietly(error: Exception) -> None:
    outbox, producer = Outbox(round_of(1)), FakeProducer(failures=[error])
    assert await publisher(outbox, producer).turn() is Turn.FENCED
    assert producer.stopped
    assert outbox.steps == ["keep 1"]


async def test_after_a_failure_the_next_turn_fences_again_and_repeats_the_round() -> None:
    outbox, broken, new = Outbox(round_of(1)), FakeProducer(failures=[KafkaConnectionError("gone")]), FakeProducer()
    made = publisher(outbox, broken, new)
    with pytest.raises(KafkaUnavailable, match="shard 2"):
        await made.turn()
    assert broken.stopped
    assert "commit" not in broken.steps
    assert await made.turn() is Turn.NOTHING
    assert new.offsets == {TopicPartition("n.entities", 2): 1}


async def test_what_kafka_refuses_for_good_is_raised() -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await publisher(Outbox(round_of(1)), FakeProducer(failures=[TopicAuthorizationFailedError("n.entities")])).turn()


async def test_a_document_that_the_topic_does_not_take_is_an_error_with_a_way_out() -> None:
    with pytest.raises(SettingsError, match="raise its max"):
        await publisher(Outbox(round_of(1)), FakeProducer(largest=5)).turn()


def test_timeline_records_get_id_version_and_time() -> None:
    line = {"entity_id": "per_a", "entity_type": "person", "kind": "trait.changed", "data": {}}
    taken = round_of(4, *(OutputRecord("timeline", key, line) for key in ("per_a", "per_a", "per_b")))
    rows = by_topic(encode_round(taken, 1_700_000_000_000), TOPICS)["n.timeline"]
    documents = [json.loads(row.value or b"") for row in rows]
    assert [one["id"] for one in documents] == ["per_a:4:0", "per_a:4:1", "per_b:4:0"]
    assert {(one["version"], one["recorded_at"], one["kind"]) for one in documents} == {(4, "2023-11-14T22:13:20.000Z", "trait.changed")}


def test_a_long_round_is_kept_short_and_says_the_same() -> None:
    line = {"entity_id": "per_a", "entity_type": "person", "kind": "state.changed", "data": {"state": "app_login"}}
    many = [OutputRecord("timeline", "per_a", line | {"occurred_at": f"{number}"}) for number in range(LARGE_BYTES // 100)]
    kept = encode_round(round_of(4, *many), 0)
    assert len(kept) < LARGE_BYTES // 4
    rows = by_topic(kept, TOPICS)["n.timeline"]
    assert [json.loads(row.value or b"")["occurred_at"] for row in rows] == [f"{number}" for number in range(len(many))]


def test_what_is_told_in_a_recovery_says_so() -> None:
    line = OutputRecord("timeline", "per_a", {"entity_id": "per_a", "kind": "trait.changed", "data": {}})
    for recovery in (True, False):
        taken = Round(2, 4, (line,), recovery=recovery)
        (row,) = by_topic(encode_round(taken, 0), TOPICS)["n.timeline"]
        assert json.loads(row.value or b"").get("recovery", False) is recovery


def test_tombstones_stay_and_ended_ids_become_them_if_asked() -> None:
    merged = OutputRecord("entities", "per_b", {"entity_id": "per_b", "status": "merged", "merged_into": "per_a"})
    taken = round_of(4, OutputRecord("identifiers", "person:email:a", None), merged)
    assert [row.value for row in by_topic(encode_round(taken, 0), TOPICS)["n.identifiers"]] == [None]
    assert json.loads(by_topic(encode_round(taken, 0), TOPICS)["n.entities"][0].value or b"")["status"] == "merged"
    assert by_topic(encode_round(taken, 0, tombstones=True), TOPICS)["n.entities"][0].value is None
