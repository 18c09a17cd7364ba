"""Dead letters on a real Kafka: sent back after a fix, by a real worker, each once whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord
from typer.testing import CliRunner

from resolvers.errors import Fenced, Rejected
from streams import kafka
from streams.cli import build_app
from streams.crew import Worker
from streams.dead_letters import dead_letter, is_receipt, now_ms
from streams.dump import dump, whole_topic
from streams.events import Event, Identifier, Participant, encode_event
from streams.letters import Name, Replay, Selection, read_ledger, replay, told_already
from streams.letters.letter import receipt_of
from streams.letters.transaction import Dated, write
from streams.preflight import make_missing_topics
from streams.sender import Outgoing, Sender, send_all
from streams.settings import Settings, settings_from, write_settings
from streams.stack import Addresses
from streams.topics import CreateTopic, apply, delete_topics
from tests.kafka_fakes import record

pytestmark = [pytest.mark.stack, pytest.mark.timeout(360)]

PATIENCE_SECONDS = 60.0
T0 = 1_700_000_000_000

ADAPTER = """
import json

from resolvers.errors import Rejected


def broken(record):
    number = json.loads(record.value)["number"]
    if number % 5 == 0:
        raise Rejected("fives are not read")
    return [mended(record)] if number % 3 else 1 // 0


def mended(record):
    number = json.loads(record.value)["number"]
    return {"event_id": f"e{number}", "name": "seen", "occurred_at": number,
            "participants": [{"entity": "person", "role": "x", "identifiers": [{"type": "email", "value": f"p{number}@x.example"}]}]}
"""

ALL = Selection()


def person_seen(name: str) -> bytes:
    """Write an event of a person with an address."""
    person = Participant("person", "seen", [Identifier("email", f"{name}@x.example")])
    return encode_event(Event(f"e-{name}", "crm", "seen", "2024-01-01T00:00:00.000Z", participants=[person]))


class Ground:
    """Topics of its own, workers, and what lies there."""

    def __init__(self, settings: Settings, directory: Path) -> None:
        self.settings = settings
        self.directory = directory
        self.workers: list[Worker] = []
        self.raw = settings.sources["crm"].topic

    async def worker(self, function: str) -> Worker:
        """Start a worker whose adapter is one of the two."""
        environment = {"PYTHONPATH": os.pathsep.join([str(self.directory), os.environ.get("PYTHONPATH", "")])}
        started = await Worker.start(self.adapting(function), self.directory, f"worker-{function}", environment)
        self.workers.append(started)
        await started.ready()
        return started

    def adapting(self, function: str) -> Settings:
        source = self.settings.sources["crm"].model_copy(update={"adapter": f"their_adapter:{function}"})
        return self.settings.model_copy(update={"sources": {"crm": source}})

    async def read(self, topic: str) -> list[ConsumerRecord]:
        """Read all committed records of a topic."""
        client = await kafka.started(kafka.admin(self.settings), self.settings.kafka, "test")
        try:
            (found,) = [one for one in await client.describe_topics() if one["topic"] == topic]
        finally:
            await client.close()
        places = [TopicPartition(topic, partition) for partition in range(len(found["partitions"]))]
        return [one async for one in whole_topic(self.settings, places)]

    async def word(self, word: str) -> list[ConsumerRecord]:
        return await self.read(self.settings.topic(word))

    async def until(self, word: str, count: int) -> list[ConsumerRecord]:
        """Wait until a topic has so many records; another process writes them."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(found := await self.word(word)) < count:
                for worker in self.workers:
                    worker.check()
        return found

    async def write(self, records: Sequence[Outgoing]) -> None:
        async def make() -> Any:
            return await kafka.started(kafka.producer(self.settings, what="test"), self.settings.kafka, "test")

        writing = Sender(make, self.settings.kafka.bootstrap_servers, PATIENCE_SECONDS)
        await writing.start()
        try:
            await send_all(writing, records)
        finally:
            await writing.stop()

    async def write_dated(self, records: Sequence[Dated]) -> None:
        """Write records with timestamps of their own, as sources do."""
        producer = await kafka.started(kafka.producer(self.settings, what="test"), self.settings.kafka, "test")
        try:
            await write(producer, records)
        finally:
            await producer.stop()

    async def refuse(self, count: int, topic: str = "", **fields: Any) -> list[bytes]:
        """Write letters of records that never were; give their values."""
        place = TopicPartition(topic or self.raw, fields.pop("partition", 0))
        values = [b"value %d" % number for number in range(count)]
        came = [record(value, number, place, key=b"k%d" % number, **fields) for number, value in enumerate(values)]
        await self.write([dead_letter(self.letters, one, Rejected("no"), now_ms(), source="crm", adapter="mapping") for one in came])
        return values

    @property
    def letters(self) -> str:
        return self.settings.topic("dead-letters")

    def replay(self, selection: Selection = ALL, **options: Any) -> Replay:
        return Replay(self.settings, selection, now_ms, **options)

    async def values(self) -> list[bytes | None]:
        """Give what lies on the raw topic, sorted."""
        return sorted((one.value for one in await self.read(self.raw)), key=str)


@pytest.fixture
async def ground(stack: Addresses, tmp_path: Path) -> AsyncIterator[Ground]:
    asyncio.get_running_loop().set_exception_handler(told_already)
    own = f"t{uuid4().hex[:8]}"
    settings = settings_from(
        {
            "space": own,
            "partitions": 2,
            "topics": {"prefix": f"{own}."},
            "kafka": {"bootstrap_servers": stack.bootstrap_servers},
            "redis": {"url": stack.redis_url, "buckets": 16},
            "worker": {"session_timeout_ms": 3000},
            "entities": {"person": {"identifiers": {"email": {"normalise": "email"}}}},
            "sources": {"crm": {"topic": f"{own}.raw", "adapter": "segment"}},
        }
    )
    (tmp_path / "their_adapter.py").write_text(ADAPTER, encoding="utf-8")
    await make_missing_topics(settings)
    made = Ground(settings, tmp_path)
    try:
        yield made
    finally:
        for worker in made.workers:
            await worker.kill()
        await delete_topics(settings)


async def test_after_a_fix_every_record_has_gone_through_once(ground: Ground) -> None:
    sent = [
        Dated(ground.raw, number % 2, b"k%d" % number, b'{"number": %d}' % number, (("trace", b"\xff%d" % number),), T0 + number)
        for number in range(30)
    ]
    sent.append(Dated(ground.raw, 1, None, None, (), T0 + 30))
    await ground.write_dated(sent)
    worker = await ground.worker("broken")
    await ground.until("dead-letters", 15)
    await ground.until("events", 16)
    assert await worker.stop() == 0
    ground.workers.clear()

    await ground.worker("mended")
    report = await ground.replay().run()
    assert (report.sent.total(), report.passed_over, report.not_sent) == (15, 0, [])
    events = [json.loads(one.value) for one in await ground.until("events", 30)]
    letters = await ground.until("dead-letters", 15 + 15 + 1)  # letters, receipts, and the tombstone, refused once more

    assert Counter(event["event_id"] for event in events) == Counter(f"e{number}" for number in range(30))
    assert {event["event_id"]: event["recorded_at"] for event in events}["e15"] == "2023-11-14T22:13:20.015Z"
    came = Counter((one.partition, one.key, one.value, tuple(one.headers), one.timestamp) for one in await ground.read(ground.raw))
    wanted = [(one.partition, one.key, one.value, one.headers, one.timestamp_ms) for one in sent]
    mended = [each for each in wanted if each[2] is None or json.loads(each[2])["number"] % 15 in (0, 3, 5, 6, 9, 10, 12)]
    assert came == Counter(wanted) + Counter(mended)
    assert Counter(is_receipt(one.headers) for one in letters) == {True: 15, False: 16}

    once_more = await ground.replay(Selection(reason="fives")).run()
    assert (once_more.sent.total(), once_more.passed_over) == (0, 6)
    assert (await dump(ground.settings, ground.directory / "out"))["dead-letters"] == 16


async def test_two_replays_at_once_send_each_letter_once(ground: Ground) -> None:
    values = await ground.refuse(600)
    results = await asyncio.gather(*(ground.replay().run() for _ in range(2)), return_exceptions=True)
    assert not [one for one in results if isinstance(one, BaseException) and not isinstance(one, Fenced)]
    assert any(not isinstance(one, BaseException) for one in results)
    assert await ground.values() == sorted(values)


async def test_what_another_replay_sent_since_the_receipts_were_read_is_not_sent(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    values = await ground.refuse(20)

    async def read_and_be_overtaken(settings: Settings, selection: Selection) -> Any:
        found = await read_ledger(settings, selection)
        monkeypatch.setattr(replay, "read_ledger", read_ledger)
        assert (await ground.replay().run()).sent.total() == 20
        return found

    monkeypatch.setattr(replay, "read_ledger", read_and_be_overtaken)
    with pytest.raises(Fenced):
        await ground.replay().run()
    assert await ground.values() == sorted(values)


async def test_an_interrupted_replay_is_taken_up_where_it_was(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    values = await ground.refuse(450)
    written = 0

    async def write_and_break(producer: Any, records: Any) -> None:
        nonlocal written
        await write(producer, records)
        written += 1
        if written == 2:
            raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(replay, "write", write_and_break)
        broken = ground.replay()
        with pytest.raises(asyncio.CancelledError):
            await broken.run()
    assert broken.report.sent.total() == 200
    assert len(await ground.values()) == 200
    report = await ground.replay().run()
    assert (report.sent.total(), report.passed_over) == (250, 200)
    assert await ground.values() == sorted(values)


async def test_a_killed_replay_is_fenced_and_what_it_had_not_committed_is_gone(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    values = await ground.refuse(20)
    inside, never = asyncio.Event(), asyncio.Event()

    async def write_and_hang(producer: Any, records: Any) -> None:
        await write(producer, records)
        inside.set()
        await never.wait()

    with monkeypatch.context() as patched:
        patched.setattr(replay, "write", write_and_hang)
        zombie = asyncio.create_task(ground.replay().run())
        await inside.wait()
    assert (await ground.replay().run()).sent.total() == 20
    never.set()
    with pytest.raises(Fenced, match="another `nexus dead-letters replay` has taken over"):
        await zombie
    assert await ground.values() == sorted(values)


async def test_a_letter_is_chosen_by_name_and_sent_again_only_when_asked(ground: Ground) -> None:
    await ground.refuse(3)
    letter = min((one for one in await ground.word("dead-letters")), key=lambda one: one.value)
    named = Selection(frozenset([Name(letter.partition, letter.offset)]))
    for options, sent, passed in (({}, 1, 0), ({}, 0, 1), ({"again": True}, 1, 0)):
        report = await ground.replay(named, **options).run()
        assert (report.sent.total(), report.passed_over) == (sent, passed)
    assert await ground.values() == [letter.value] * 2
    receipts = [one for each in await ground.word("dead-letters") if (one := receipt_of(each))]
    assert {(one.letter, one.to) for one in receipts} == {(Name(letter.partition, letter.offset), f"{ground.raw}/0")}


async def test_a_letter_written_twice_is_sent_once(ground: Ground) -> None:
    await ground.refuse(2)
    await ground.refuse(2)
    assert (await ground.replay().run()).sent.total() == 2
    assert await ground.values() == [b"value 0", b"value 1"]


async def test_what_cannot_go_back_is_told_and_does_not_hold_up_the_others(ground: Ground) -> None:
    gone, small = f"{ground.settings.topics.prefix}gone", f"{ground.settings.topics.prefix}small"
    client = await kafka.started(kafka.admin(ground.settings), ground.settings.kafka, "test")
    await apply(client, [CreateTopic(small, 1, 1, {"max.message.bytes": "2000", "retention.ms": "3600000"})])
    try:
        await ground.refuse(2, gone)
        await ground.refuse(3, small, partition=4)
        large = record(b"x" * 5_000, 99, TopicPartition(small, 0), key=b"large")
        await ground.write(
            [dead_letter(ground.letters, large, Rejected("no"), now_ms(), source="old"), Outgoing(ground.letters, b"?", b"?")]
        )
        planned = await ground.replay().look()
        assert planned.to_send.total() == 4
        assert any("4 records are older than" in line for line in planned.warnings)
        report = await ground.replay().run()
        assert report.sent.total() == 3
        assert sorted(one.why for one in report.not_sent) == sorted(
            [
                f"{small} does not take a record of its size: raise the topic's max.message.bytes",
                "it does not say where it came from",
                *[f"its topic {gone} is not there"] * 2,
            ]
        )
        assert (await ground.replay().run()).passed_over == 3
    finally:
        await client.delete_topics([small])
        await client.close()


async def test_an_event_sent_back_is_resolved_and_one_that_had_gone_through_changes_nothing(ground: Ground) -> None:
    place = TopicPartition(ground.settings.topic("events"), 1)
    known, missed = (person_seen(name) for name in ("known", "missed"))
    await ground.write_dated([Dated(place.topic, place.partition, b"k", known, (), T0)])
    came = [record(value, number, place, key=b"k") for number, value in enumerate((known, missed))]
    await ground.write([dead_letter(ground.letters, one, ValueError("a bug"), now_ms(), source="events") for one in came])
    worker = await ground.worker("mended")
    (first,) = await ground.until("entities", 1)
    told = [one.value for one in await ground.word("timeline")]

    assert (await ground.replay(Selection(source="events")).run()).sent.total() == 2
    await ground.until("entities", 2)
    assert (await ground.replay().run()).passed_over == 2
    assert await worker.stop() == 0
    ground.workers.clear()

    assert [one.value for one in await ground.word("events") if one.partition == 1] == [known, known, missed]
    entities, timeline = await ground.word("entities"), await ground.word("timeline")
    assert [one.value for one in entities if one.key == first.key] == [first.value]
    assert [one.value for one in timeline if one.key == first.key] == told
    assert {json.loads(one.value)["identifiers"][0]["value"] for one in entities} == {"known@x.example", "missed@x.example"}


async def test_a_command_sent_back_is_answered_again_once(ground: Ground) -> None:
    commands = ground.settings.topic("commands")
    await ground.write_dated([Dated(commands, 0, b"c1", b"not a command", (), now_ms())])
    worker = await ground.worker("mended")
    await ground.until("dead-letters", 1)
    assert (await ground.replay(Selection(source="commands")).run()).sent.total() == 1
    letters = await ground.until("dead-letters", 3)
    assert await worker.stop() == 0
    ground.workers.clear()
    assert [(one.key, one.value) for one in await ground.read(commands)] == [(b"c1", b"not a command")] * 2
    assert Counter((is_receipt(one.headers), one.key) for one in letters) == {(False, b"c1"): 2, (True, b"c1"): 1}


async def test_the_commands_list_show_and_replay(ground: Ground) -> None:
    await ground.refuse(3)
    config = ground.directory / "nexus.yaml"
    write_settings(ground.settings, config)

    async def nexus(*words: str) -> Any:
        result = await asyncio.to_thread(CliRunner().invoke, build_app(), ["dead-letters", *words, "--json", "--config", str(config)])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    listed = await nexus("list", "--source", "crm", "--since", "1h")
    assert [one["state"] for one in listed["letters"]] == ["waiting"] * 3
    name = listed["letters"][0]["letter"]
    assert (await nexus("replay", name, "--dry-run"))["to_send"] == 1
    assert (await nexus("replay", name))["sent"] == 1
    assert (await nexus("list", "--limit", "1")) == {"letters": [listed["letters"][-1]], "waiting": 2, "replayed": 1}
    found = await nexus("show", name)
    assert (found["state"], found["record"]["headers"], found["headers"]["error"]) == ("replayed", [], "no")
    assert [one["to"] for one in found["receipts"]] == [f"{ground.raw}/0"]
    assert (await nexus("list", "--summary"))["reasons"][0]["letters"] == 2
