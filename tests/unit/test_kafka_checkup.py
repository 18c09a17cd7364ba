"""What is made of Kafka's answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from streams.kafka_checkup import Missing, _forgetting, _lacking, _on_groups, _on_topics, _on_transactions, needed_operations
from streams.kafka_questions import READ, UNSAID, WRITE, Questions, Told, told
from streams.kafka_versions import least_version
from streams.settings import Settings, settings_from
from streams.topics import Topic

SOURCE = {"topic": "raw.crm", "adapter": "mapping", "event": {"name": "'x'"}}
KEPT = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}


@pytest.fixture
def settings() -> Settings:
    return settings_from({"sources": {"crm": SOURCE}})


class Answers:
    """Kafka's answers, as a test makes them up."""

    def __init__(self, denied: Sequence[str] = (), *, group: Told | None = None, transactional: tuple[int, int] = (0, 0)) -> None:
        self._denied = denied
        self._group = group or Told(0)
        self._transactional = transactional

    async def group(self, name: str) -> Told:
        return Told(30) if name in self._denied else self._group

    async def transactional(self, name: str) -> tuple[Told, Told]:
        first, second = self._transactional
        return Told(first), Told(second)


def test_operations_are_bits_and_nothing_is_held_against_a_kafka_that_does_not_say() -> None:
    assert told(0, 1 << READ).allows(READ)
    assert not told(0, 1 << READ).allows(WRITE)
    assert told(0, UNSAID).allows(WRITE)
    assert told(29, 0) == Told(29)


def test_each_topic_needs_what_a_worker_does_with_it(settings: Settings) -> None:
    needed = {name: set(operations) - {10} for name, operations in needed_operations(settings).items()}
    assert (needed["raw.crm"], needed["nexus.events"], needed["nexus.commands"]) == ({READ}, {READ, WRITE}, {READ})
    assert (needed["nexus.participants"], needed["nexus.entities"]) == ({WRITE}, {READ, WRITE})


def test_rights_that_are_missing_on_topics_are_named(settings: Settings) -> None:
    every = 1 << 3 | 1 << 4 | 1 << 8 | 1 << 10
    seen = {name: Told(0, every) for name in needed_operations(settings)}
    assert list(_on_topics(settings, seen)) == []
    seen |= {"raw.crm": Told(29), "nexus.events": Told(0, every & ~(1 << 4)), "nexus.entities": Told(0, 1 << 8), "nexus.timeline": Told(3)}
    assert list(_on_topics(settings, seen)) == [
        ("Describe", "topic", "raw.crm"),
        ("Write", "topic", "nexus.events"),
        ("Read and Write and DescribeConfigs", "topic", "nexus.entities"),
    ]


async def on_groups(settings: Settings, answers: Answers) -> tuple[list[Missing], list[str]]:
    unasked: list[str] = []
    return await _on_groups(settings, cast("Questions", answers), unasked), unasked


async def on_transactions(settings: Settings, answers: Answers) -> tuple[list[Missing], list[str]]:
    unasked: list[str] = []
    return await _on_transactions(settings, cast("Questions", answers), unasked), unasked


async def test_rights_that_are_missing_on_groups_are_named(settings: Settings) -> None:
    assert await on_groups(settings, Answers(["nexus.rounds"])) == ([("Describe and Read", "group", "nexus.rounds")], [])
    missing, _ = await on_groups(settings, Answers(group=Told(0, 1 << 8)))
    assert missing == [("Read", "group", f"nexus.{stage}") for stage in ("adapt", "resolve", "commands", "publish", "rounds", "worker")]
    missing, unasked = await on_groups(settings, Answers(group=Told(15)))
    assert (missing, len(unasked), unasked[0]) == ([], 6, "group nexus.adapt (GroupCoordinatorNotAvailableError)")


async def test_rights_that_are_missing_on_transactional_ids_are_named(settings: Settings) -> None:
    name = "nexus.publish.0"
    assert await on_transactions(settings, Answers()) == ([], [])
    assert await on_transactions(settings, Answers(transactional=(0, 53))) == ([("Write", "transactional id", name)], [])
    assert await on_transactions(settings, Answers(transactional=(53, 53))) == ([("Describe and Write", "transactional id", name)], [])
    assert (await on_transactions(settings, Answers(transactional=(15, 15))))[0] == []


def test_what_is_refused_is_one_error_that_names_it_all() -> None:
    (found,) = _lacking([("Read", "topic", "a"), ("Read", "group", "b"), ("Read", "topic", "c")], [])
    assert (found.level, found.text.split("; docs")[0]) == ("error", "a worker is not allowed Read on topics a, c; Read on group b")
    assert [one.level for one in _lacking([], [])] == ["ok"]
    assert [one.level for one in _lacking([], ["group a"])] == ["warning"], "what was not asked is not all right"


@pytest.mark.parametrize(
    ("word", "config", "said"),
    [
        ("events", KEPT, None),
        ("events", {**KEPT, "retention.ms": "604800000"}, "retention.ms 604800000 in place of -1"),
        ("events", {**KEPT, "retention.bytes": "1000"}, "retention.bytes 1000 in place of -1"),
        ("events", {**KEPT, "cleanup.policy": "compact"}, "cleanup.policy compact in place of delete"),
        ("commands", {"cleanup.policy": "compact"}, None),
        ("commands", {"cleanup.policy": "compact,delete"}, "cleanup.policy compact,delete in place of compact"),
    ],
)
def test_a_log_that_forgets_is_an_error(settings: Settings, word: str, config: dict[str, str], said: str | None) -> None:
    found = list(_forgetting(settings, {f"nexus.{word}": Topic(6, config)}))
    assert [one.level for one in found] == (["error"] if said else [])
    assert (said or "") in (found[0].text if found else "")


@pytest.mark.parametrize(
    ("calls", "version"),
    [
        ({0: (0, 13), 1: (4, 18)}, (4, 0)),
        ({0: (0, 11), 1: (0, 17)}, (3, 9)),
        ({0: (0, 8), 1: (0, 11), 29: (0, 2)}, (2, 5)),
        ({0: (0, 7), 1: (0, 10)}, (2, 0)),
        ({0: (0, 2), 1: (0, 3)}, None),
    ],
)
def test_a_kafka_is_known_by_its_calls(calls: dict[int, tuple[int, int]], version: tuple[int, int] | None) -> None:
    assert least_version(calls) == version
