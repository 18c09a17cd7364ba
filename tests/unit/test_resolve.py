from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from resolvers.errors import Rejected
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


def event(event_id: str, *emails: str, **fields: Any) -> bytes:
    people = [Participant("person", f"role {email}", [Identifier("email", email)]) for email in emails]
    return encode_event(Event(event_id, "crm", "seen", "2024-01-01T00:00:00.000Z", participants=people, **fields))


class Asked(MemoryResolver):
    """Remembers the calls, and the position at the moment of each."""

    def __init__(self) -> None:
        super().__init__(RULES, 1)
        self.calls: list[Batch] = []

    async def apply(self, batch: Batch) -> Applied:
        self.calls.append(batch)
        return await super().apply(batch)


class Stage:
    """The resolve stage with everything around it in memory."""

    def __init__(self, resolver: MemoryResolver) -> None:
        self.resolver = resolver
        self.producer = FakeProducer()
        self.counters = Counters()
        self.dirty = asyncio.Event()
        self.positions = AppliedPositions(resolver, "events", 1)
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
        )
        await self.positions.start(self.consumer, PLACE)
        return self

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


async def test_a_worker_that_was_overtaken_does_not_go_on() -> None:
    resolver = MemoryResolver(RULES, 1)
    stage = await Stage(resolver).start()
    await resolver.apply(Batch("events", 0, 0, Position(3, 0), ()))
    assert await stage.handle(0, event("e1", "a@x.example")) is Outcome.OVERTAKEN
    assert stage.producer.written == {}


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
