from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from redis.exceptions import NoPermissionError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from resolvers.errors import Fenced, PositionGap, RedisUnavailable, Rejected, StoreLost, StoreMismatch
from resolvers.memory import MemoryResolver
from resolvers.port import Applied
from resolvers.rules import Rules
from resolvers.sighting import Batch, Position
from streams.batch import Outcome, SourceBatch
from streams.counters import Counters
from streams.events import Event, Identifier, Membership, Participant, encode_event
from streams.positions import AppliedPositions, checksum
from streams.resolve import ResolveStage, read_event
from streams.sender import Sender
from streams.settings import EntitySettings, IdentifierSettings
from tests.kafka_fakes import FakeConsumer, FakeProducer, record

PLACE = TopicPartition("events", 0)
RULES = Rules.from_settings({"person": EntitySettings(identifiers={"email": IdentifierSettings(priority=1, normalise="email")})}, b"key")


def event(event_id: str, *emails: str, source: str = "crm", **fields: Any) -> bytes:
    people = [Participant("person", f"role {email}", [Identifier("email", email)]) for email in emails]
    return encode_event(Event(event_id, source, "seen", "2024-01-01T00:00:00.000Z", participants=people, **fields))


class Asked(MemoryResolver):
    """Remembers the calls, and the position at the moment of each."""

    def __init__(self) -> None:
        super().__init__(RULES, 1)
        self.calls: list[Batch] = []

    async def apply(self, batch: Batch) -> Applied:
        self.calls.append(batch)
        return await super().apply(batch)


class Choking(Asked):
    """Fails at evidence of the given events, and at everything when `broken`, as a script does that has a bug."""

    def __init__(self, *event_ids: str, error: Exception | None = None, broken: bool = False) -> None:
        super().__init__()
        self.event_ids = set(event_ids)
        self.error = error or ResponseError("user_script:7: attempt to index a nil value")
        self.broken = broken

    async def apply(self, batch: Batch) -> Applied:
        if self.broken or any(one.event_id in self.event_ids for one in batch.evidence):
            self.calls.append(batch)
            raise self.error
        return await super().apply(batch)


class Recoveries:
    """Remembers which losses a recovery was begun for."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    async def begin(self, reason: str, shard: int | None = None, told: int = 0) -> None:
        self.begun.append(reason)

    async def read(self, shard: int) -> None:
        raise AssertionError

    async def read_ahead(self, shard: int) -> None:
        raise AssertionError

    def forget(self, shard: int) -> None:
        raise AssertionError


class Stage:
    """The resolve stage with everything around it in memory."""

    def __init__(self, resolver: MemoryResolver) -> None:
        self.resolver = resolver
        self.producer = FakeProducer()
        self.counters = Counters()
        self.dirty = asyncio.Event()
        self.recoveries = Recoveries()
        self.positions = AppliedPositions(resolver, "events", self.recoveries, 1)
        self.consumer = cast("AIOKafkaConsumer", FakeConsumer({PLACE: dict.fromkeys(range(100), b"")}))

    async def start(self) -> Stage:
        async def make() -> Any:
            return self.producer

        sender = Sender(make, "here:9092", 5)
        await sender.start()
        self.stage = ResolveStage(
            RULES,
            self.resolver,
            self.positions,
            sender,
            self.counters,
            lambda: 0,
            self.dirty,
            participants_topic="participants",
            dead_letters_topic="dead",
            patience_seconds=1,
            sources=["crm"],
        )
        await self.positions.start(self.consumer, PLACE)
        return self

    def letters(self) -> list[tuple[bytes | None, dict[str, str]]]:
        """Give the values of the dead letters, and their headers."""
        headers = [{name: text.decode() for name, text in row} for row in self.producer.headers if row]
        return list(zip(self.producer.values("dead"), headers, strict=True))

    async def handle(self, start: int, *values: bytes | None) -> Outcome:
        batch = SourceBatch(PLACE, start, [record(value, start + at, PLACE) for at, value in enumerate(values)])
        outcome = await self.stage(batch)
        if outcome is Outcome.DONE:
            await self.positions.advance(self.consumer, batch)
        return outcome


async def test_participants_tell_who_each_was() -> None:
    stage = await Stage(MemoryResolver(RULES, 1)).start()
    assert await stage.handle(0, event("e1", "a@x.example", "n/a", "b@x.example")) is Outcome.DONE
    written = [json.loads(value or b"") for value in stage.producer.values("participants")]
    assert sorted((one["index"], one["role"]) for one in written) == [(0, "role a@x.example"), (2, "role b@x.example")]
    assert {one["entity_id"][:4] for one in written} == {"per_"}
    assert {key for rows in stage.producer.written.values() for key, _ in rows} == {b"crm:e1:0", b"crm:e1:2"}
    assert stage.dirty.is_set()


async def test_the_position_moves_only_over_batches_that_are_acknowledged() -> None:
    asked = Asked()
    stage = await Stage(asked).start()
    first, second = event("e1", "a@x.example"), event("e2", "b@x.example")
    await stage.handle(0, first)
    assert await asked.position("events", 0) == Position(0, 0)
    await stage.handle(1, second)
    assert await asked.position("events", 0) == Position(1, checksum(first))
    await stage.positions.settle(stage.consumer, PLACE)
    assert await asked.position("events", 0) == Position(2, checksum(second))
    assert [(call.start, call.end.offset, len(call.evidence)) for call in asked.calls] == [(0, 0, 1), (0, 1, 1), (1, 2, 0)]


async def test_what_is_no_event_is_a_dead_letter_and_the_rest_is_resolved() -> None:
    stage = await Stage(MemoryResolver(RULES, 1)).start()
    await stage.handle(0, b"{", event("e1", "a@x.example"), None)
    assert set(stage.producer.values("dead")) == {b"{", None}
    assert len(stage.producer.values("participants")) == 1
    assert stage.counters.total("events_rejected") == 2


async def test_an_event_without_a_usable_identifier_is_counted_and_passed_over() -> None:
    asked = Asked()
    stage = await Stage(asked).start()
    await stage.handle(0, event("e1", "n/a"), event("e2"))
    assert stage.counters.snapshot()["events_without_usable_identifier.crm"] == 2
    assert asked.calls == []
    await stage.positions.settle(stage.consumer, PLACE)
    assert (await asked.position("events", 0)).offset == 2


async def test_what_came_of_events_is_counted_by_the_sources_of_the_settings() -> None:
    stage = await Stage(Choking("e5")).start()
    own = [event("e1", "a@x.example", "b@x.example"), event("e2", "n/a"), event("e5", "c@x.example")]
    others = [event("e3", "a@x.example", source="ann@quill.example"), event("e4", source="ann@quill.example")]
    await stage.handle(0, *own, *others, b"{")
    counted = stage.counters.snapshot()
    assert {name: count for name, count in counted.items() if name.startswith(("events_re", "events_w", "participants"))} == {
        "events_read": 6,
        "events_rejected": 2,
        "events_resolved.crm": 1,
        "events_resolved.other": 1,
        "events_without_usable_identifier.crm": 1,
        "events_without_usable_identifier.other": 1,
        "participants_written": 3,
    }


async def test_a_worker_that_was_overtaken_does_not_go_on() -> None:
    resolver = MemoryResolver(RULES, 1)
    stage = await Stage(resolver).start()
    await resolver.apply(Batch("events", 0, 0, Position(3, 0), ()))
    assert await stage.handle(0, event("e1", "a@x.example")) is Outcome.OVERTAKEN
    assert stage.producer.written == {}


async def test_a_redis_that_went_back_is_reported_before_the_position_is_read_again() -> None:
    stage = await Stage(Choking("e1", error=PositionGap(0, 3, 7))).start()
    assert await stage.handle(0, event("e1", "a@x.example")) is Outcome.OVERTAKEN
    assert stage.recoveries.begun == ["partition 0: a batch starts at 7, but Redis has applied up to 3"]


async def test_another_worker_ahead_of_this_one_is_no_loss() -> None:
    stage = await Stage(Choking("e1", error=PositionGap(0, 7, 3))).start()
    assert await stage.handle(0, event("e1", "a@x.example")) is Outcome.OVERTAKEN
    assert stage.recoveries.begun == []


async def test_a_lost_store_has_the_position_read_again() -> None:
    stage = await Stage(Choking("e1", error=StoreLost("nexus:{default} is no longer in Redis"))).start()
    assert await stage.handle(0, event("e1", "a@x.example")) is Outcome.OVERTAKEN
    assert stage.producer.written == {}


async def test_events_that_the_store_chokes_on_are_found_and_the_others_resolved() -> None:
    stage = await Stage(choking := Choking("e3", "e40")).start()
    values = [event(f"e{number}", f"{number}@x.example") for number in range(64)]
    assert await stage.handle(0, *values) is Outcome.DONE
    assert {value for value, _ in stage.letters()} == {values[3], values[40]}
    assert len(stage.producer.values("participants")) == 62
    assert stage.counters.total("events_resolved") == 62
    assert len(choking.calls) < 4 * 7
    assert await stage.handle(64, event("e64", "64@x.example")) is Outcome.DONE
    assert (await choking.position("events", 0)).offset == 64


async def test_a_dead_letter_of_an_unexpected_error_has_its_traceback() -> None:
    stage = await Stage(Choking("e1")).start()
    await stage.handle(0, event("e0", "a@x.example"), event("e1", "b@x.example"))
    ((_, headers),) = stage.letters()
    assert headers["error-type"] == "ResponseError"
    assert headers["error"] == "user_script:7: attempt to index a nil value"
    assert headers["source-offset"] == "1"
    assert "in apply" in headers["traceback"]


async def test_an_event_that_the_stage_itself_chokes_on_is_a_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    def choking(rules: Rules, value: bytes | None) -> Any:
        if value and b"e1" in value:
            raise KeyError("a trait nobody foresaw")
        return read_event(rules, value)

    monkeypatch.setattr("streams.resolve.read_event", choking)
    stage = await Stage(MemoryResolver(RULES, 1)).start()
    assert await stage.handle(0, event("e0", "a@x.example"), event("e1", "b@x.example")) is Outcome.DONE
    ((value, headers),) = stage.letters()
    assert value == event("e1", "b@x.example")
    assert headers["error-type"] == "KeyError"
    assert "in choking" in headers["traceback"]
    assert len(stage.producer.values("participants")) == 1


async def test_an_event_whose_participants_cannot_be_written_is_a_dead_letter() -> None:
    class Short(Asked):
        async def apply(self, batch: Batch) -> Applied:
            applied = await super().apply(batch)
            return Applied(tuple(() if one.event_id == "e1" else ids for one, ids in zip(batch.evidence, applied.entity_ids, strict=True)))

    stage = await Stage(Short()).start()
    assert await stage.handle(0, event("e0", "a@x.example"), event("e1", "b@x.example")) is Outcome.DONE
    ((_, headers),) = stage.letters()
    assert headers["error-type"] == "ValueError"
    assert len(stage.producer.values("participants")) == 1


async def test_a_part_of_an_event_that_failed_takes_the_whole_event_along() -> None:
    class FailsOnce(Asked):
        async def apply(self, batch: Batch) -> Applied:
            self.calls.append(batch)
            if any(seen.index == 1_999 for one in batch.evidence for seen in one.sightings):
                raise ResponseError("too many results to unpack")
            return Applied(tuple(tuple("per_x" for _ in one.sightings) for one in batch.evidence))

    stage = await Stage(FailsOnce()).start()
    many = event("e1", *(f"{number}@x.example" for number in range(2_000)))
    stage.producer.largest = len(many)
    await stage.handle(0, event("e0", "a@x.example"), many)
    assert [value for value, _ in stage.letters()] == [many]
    assert [json.loads(value or b"")["event_id"] for value in stage.producer.values("participants")] == ["e0"]


async def test_a_store_that_takes_no_event_at_all_ends_the_stage_instead_of_emptying_the_log() -> None:
    stage = await Stage(Choking(*(f"e{number}" for number in range(6)))).start()
    with pytest.raises(ResponseError, match="attempt to index"):
        await stage.handle(0, *(event(f"e{number}", f"{number}@x.example") for number in range(6)))
    assert stage.producer.written == {}


async def test_events_that_come_one_by_one_are_not_given_up_without_end_either() -> None:
    stage = await Stage(Choking(*(f"e{number}" for number in range(6)))).start()
    for number in range(5):
        assert await stage.handle(number, event(f"e{number}", f"{number}@x.example")) is Outcome.DONE
    with pytest.raises(ResponseError, match="attempt to index"):
        await stage.handle(5, event("e5", "5@x.example"))
    assert len(stage.letters()) == 5


async def test_a_store_that_takes_not_even_an_empty_batch_is_broken_whatever_the_event() -> None:
    stage = await Stage(Choking(broken=True)).start()
    with pytest.raises(ResponseError, match="attempt to index"):
        await stage.handle(0, event("e0", "a@x.example"))
    assert stage.producer.written == {}


async def test_code_that_reads_no_event_at_all_ends_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(rules: Rules, value: bytes | None) -> Any:
        raise AttributeError("evidence")

    monkeypatch.setattr("streams.resolve.read_event", broken)
    stage = await Stage(MemoryResolver(RULES, 1)).start()
    with pytest.raises(AttributeError, match="evidence"):
        await stage.handle(0, *(event(f"e{number}", "a@x.example") for number in range(6)))
    assert stage.producer.written == {}


@pytest.mark.parametrize(
    "error",
    [
        RedisUnavailable("full"),
        StoreMismatch("other rules"),
        Fenced("taken over"),
        KafkaError("gone"),
        NoPermissionError("no permission to run evalsha"),
        RedisTimeoutError("slow"),
        OSError("no route"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_is_not_the_records_fault_gives_up_no_record(error: Exception) -> None:
    stage = await Stage(choking := Choking("e1", error=error)).start()
    with pytest.raises(type(error)):
        await stage.handle(0, event("e0", "a@x.example"), event("e1", "b@x.example"))
    assert stage.producer.written == {}
    assert {len(call.evidence) for call in choking.calls} == {2}


async def test_an_event_with_very_many_participants_takes_several_calls() -> None:
    class Deaf(Asked):
        async def apply(self, batch: Batch) -> Applied:
            self.calls.append(batch)
            return Applied(tuple(tuple("per_x" for _ in one.sightings) for one in batch.evidence))

    deaf = Deaf()
    stage = await Stage(deaf).start()
    await stage.handle(0, event("e1", *(f"{number}@x.example" for number in range(2_000))))
    assert len(deaf.calls) == 3
    assert {call.end.offset for call in deaf.calls} == {0}
    assert len(stage.producer.values("participants")) == 2_000


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "no value"),
        (b"", "not an event"),
        (b"\xff", "not an event"),
        (b'{"event_id": 7}', "not an event"),
        (event("e1", "a@x.example", memberships=[Membership(0, 5)]), "a membership names participants 0 and 5"),
        (encode_event(Event("e1", "crm", "seen", "yesterday")), "yesterday"),
    ],
)
def test_a_bad_event_has_a_reason(value: bytes | None, said: str) -> None:
    with pytest.raises(Rejected, match=said):
        read_event(RULES, value)
