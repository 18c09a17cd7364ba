"""The topics: what there must be, what there is, and the changes between.

Invariant: `plan` is pure and never proposes to lose data; all output topics of a space have the same partition
count, since a shard is a partition. Neighbours: `nexus topics`, `nexus run` and the local stack's tests apply it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code
from aiokafka.structs import TopicPartition

from resolvers.errors import KafkaUnavailable, SettingsError
from streams.kafka import admin as admin_client
from streams.kafka import started
from streams.settings import SHARED_TOPICS, SPACE_TOPICS, Settings

MIB = 1024 * 1024
MESSAGE_BYTES = 8 * MIB
"""Largest message of a topic that nexus makes, raw topics included: what is too large for an adapter must still
reach the dead letters."""

DEAD_LETTER_BYTES = 16 * MIB
HEADER_BYTES = MIB
"""Room above the largest raw message for what a dead letter adds."""

FRAME_BYTES = 1024
"""Room for what Kafka adds to a record in its batch."""

VISIBLE_SECONDS = 60.0
"""How long a change may take to show on the cluster: brokers learn of it a moment after it was accepted."""

POLL_SECONDS = 0.05

_DAY_MS = 24 * 3600 * 1000
_KEPT = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
_COMPACTED = {
    "cleanup.policy": "compact",
    # A consumer that was away for less than this still sees every tombstone.
    "delete.retention.ms": str(7 * _DAY_MS),
    # Superseded values, erased ones among them, are gone from the log's head after this long.
    "max.compaction.lag.ms": str(7 * _DAY_MS),
}
_DYNAMIC_TOPIC_CONFIG = 1


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is: its partition count, its settings in effect, and those set on the topic itself."""

    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)
    own_config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CreateTopic:
    """A topic is missing."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AlterTopic:
    """A topic's settings drifted: `old` and `new` have the same keys; `own_config` is all that must be set, `new` included."""

    name: str
    old: Mapping[str, str]
    new: Mapping[str, str]
    own_config: Mapping[str, str]


Change = CreateTopic | AlterTopic


def topic_names(settings: Settings) -> list[str]:
    """Name every topic of the settings: raw ones first, then in the order data moves."""
    raw = [source.topic for source in settings.sources.values()]
    return [*raw, *(settings.topic(name) for name in (*SHARED_TOPICS, *SPACE_TOPICS))]


def largest_event_bytes(settings: Settings) -> int:
    """Give the most bytes, key and value, that an event may have to fit into the topic that the settings describe."""
    own = settings.topics.config.get("events", {}).get("max.message.bytes", "")
    return (int(own) if own.isdecimal() else MESSAGE_BYTES) - FRAME_BYTES


def plan(settings: Settings, existing: Mapping[str, Topic]) -> list[Change]:
    """Compare the settings with what is there. Raises SettingsError where an output topic has another partition count.

    A raw topic that exists is its user's: nothing about it is changed.
    """
    _check_partitions(settings, existing)
    changes: list[Change] = []
    for name, wanted in _wanted(settings, existing).items():
        topic = existing.get(name)
        if topic is None:
            changes.append(CreateTopic(name, settings.partitions, settings.kafka.replication_factor, wanted))
            continue
        drifted = {key: value for key, value in wanted.items() if topic.config.get(key) != value}
        if drifted and name not in _raw(settings):
            old = {key: topic.config.get(key, "") for key in drifted}
            changes.append(AlterTopic(name, old, drifted, {**topic.own_config, **wanted}))
    return changes


def _raw(settings: Settings) -> set[str]:
    return {source.topic for source in settings.sources.values()}


def _check_partitions(settings: Settings, existing: Mapping[str, Topic]) -> None:
    counts = {name: existing[name].partitions for name in map(settings.topic, SPACE_TOPICS) if name in existing}
    wrong = {name: count for name, count in counts.items() if count != settings.partitions}
    if wrong:
        found = ", ".join(f"{name} has {count}" for name, count in wrong.items())
        raise SettingsError(
            f"partitions: {settings.partitions}: topics are there with another count ({found}); it is fixed at the birth of a space: "
            f"set partitions: {next(iter(wrong.values()))}, or use another space or topics.prefix"
        )


def _wanted(settings: Settings, existing: Mapping[str, Topic]) -> dict[str, dict[str, str]]:
    wanted = {name: {"max.message.bytes": str(MESSAGE_BYTES)} for name in _raw(settings)}
    raw_bytes = [int(existing[name].config.get("max.message.bytes", 0)) for name in wanted if name in existing]
    largest = max([MESSAGE_BYTES, *raw_bytes])
    ordinary = {"max.message.bytes": str(MESSAGE_BYTES)}
    builtin = {
        "events": {**_KEPT, **ordinary},
        "commands": {**_COMPACTED, **ordinary},
        "dead-letters": {**_KEPT, "max.message.bytes": str(max(DEAD_LETTER_BYTES, largest + HEADER_BYTES))},
        **{name: {**_COMPACTED, **ordinary} for name in SPACE_TOPICS if name != "timeline"},
        "timeline": {**_KEPT, **ordinary},
    }
    own = {settings.topic(name): {**config, **settings.topics.config.get(name, {})} for name, config in builtin.items()}
    return {name: {**wanted, **own}[name] for name in topic_names(settings)}


async def look(client: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, Topic]:
    """Return those of the named topics that exist."""
    wanted = set(names)
    described = [topic for topic in await client.describe_topics() if topic["topic"] in wanted and not topic["error_code"]]
    if not described:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic["topic"]) for topic in described]
    entries = {
        name: config
        for response in await client.describe_configs(resources)
        for name, config in _configs(response.to_object()["resources"])
    }
    return {
        topic["topic"]: Topic(
            len(topic["partitions"]),
            {key: value for key, (value, _) in entries[topic["topic"]].items()},
            {key: value for key, (value, own) in entries[topic["topic"]].items() if own},
        )
        for topic in described
        if topic["topic"] in entries
    }


def _configs(resources: list[dict[str, Any]]) -> Iterable[tuple[str, dict[str, tuple[str, bool]]]]:
    for resource in resources:
        if resource["error_code"] == UnknownTopicOrPartitionError.errno:
            continue  # it was deleted since it was listed
        if resource["error_code"]:
            _refuse("read the settings of", resource["resource_name"], resource["error_code"], resource.get("error_message"))
        yield (
            resource["resource_name"],
            {
                entry["config_names"]: (entry["config_value"] or "", entry.get("config_source") == _DYNAMIC_TOPIC_CONFIG)
                for entry in resource["config_entries"]
            },
        )


async def apply(client: AIOKafkaAdminClient, changes: Iterable[Change]) -> None:
    """Make the changes and wait until the cluster shows them. Doing it twice is harmless."""
    changes = list(changes)
    creations = [change for change in changes if isinstance(change, CreateTopic)]
    if creations:
        await _create(client, creations)
    alterations = [change for change in changes if isinstance(change, AlterTopic)]
    if alterations:
        await _alter(client, alterations)


async def _create(client: AIOKafkaAdminClient, creations: list[CreateTopic]) -> None:
    response = await client.create_topics([_new_topic(change) for change in creations])
    for name, code, *message in response.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            _refuse("make", name, code, *message[:1])
    await _wait(client, {change.name: change.partitions for change in creations}, "made")


async def refused_creations(client: AIOKafkaAdminClient, creations: Sequence[CreateTopic]) -> dict[str, str]:
    """Ask which topics could not be made, and why; none is made."""
    if not creations:
        return {}
    response = await client.create_topics([_new_topic(change) for change in creations], validate_only=True)
    return {
        name: _refusal("make", name, code, *message[:1])
        for name, code, *message in response.topic_errors
        if code not in (0, TopicAlreadyExistsError.errno)
    }


async def _alter(client: AIOKafkaAdminClient, alterations: list[AlterTopic]) -> None:
    for response in await client.alter_configs(
        [ConfigResource(ConfigResourceType.TOPIC, change.name, dict(change.own_config)) for change in alterations]
    ):
        for code, message, _, name in response.resources:
            if code:
                _refuse("change", name, code, message)

    async def shown() -> bool:
        topics = await look(client, [change.name for change in alterations])
        return all(change.new.items() <= topics[change.name].config.items() for change in alterations if change.name in topics)

    await _until(shown, "changed", [change.name for change in alterations])


def _new_topic(change: CreateTopic) -> NewTopic:
    # aiokafka takes the broker's default replication only beside an assignment, which may be empty.
    assignments: dict[int, list[int]] | None = {} if change.replication_factor == -1 else None
    return NewTopic(change.name, change.partitions, change.replication_factor, assignments, dict(change.config))


def _refuse(doing: str, name: str, code: int, message: str | None = None) -> NoReturn:
    raise SettingsError(_refusal(doing, name, code, message))


def _refusal(doing: str, name: str, code: int, message: str | None = None) -> str:
    error = for_code(code)
    return f"Kafka refuses to {doing} topic {name}: {message or error.description or error.__name__}"


async def _wait(client: AIOKafkaAdminClient, partitions: Mapping[str, int], doing: str) -> None:
    """Wait until each topic has so many partitions with a leader; 0 waits until it is gone."""

    async def shown() -> bool:
        led = {
            topic["topic"]: sum(1 for partition in topic["partitions"] if partition["leader"] >= 0)
            for topic in await client.describe_topics()
        }
        return all(led.get(name, 0) >= count if count else name not in led for name, count in partitions.items())

    await _until(shown, doing, partitions)


async def _until(shown: Callable[[], Awaitable[bool]], doing: str, names: Iterable[str]) -> None:
    try:
        async with asyncio.timeout(VISIBLE_SECONDS):
            while not await shown():  # noqa: ASYNC110 - another machine's state, so there is no event to wait for
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError as error:
        raise KafkaUnavailable(f"topics were {doing} but Kafka does not show it after {VISIBLE_SECONDS:g} s: {', '.join(names)}") from error


async def places_of(client: AIOKafkaAdminClient, names: Iterable[str]) -> list[TopicPartition]:
    """List the partitions of topics that exist, by topic and number."""
    found = await look(client, sorted(set(names)))
    return [TopicPartition(name, partition) for name, topic in sorted(found.items()) for partition in range(topic.partitions)]


async def planned(settings: Settings) -> list[Change]:
    """Ask Kafka what there is and return the changes that `ensure_topics` would make."""
    client = await started(admin_client(settings), settings.kafka, "admin")
    try:
        return plan(settings, await look(client, topic_names(settings)))
    finally:
        await client.close()


async def ensure_topics(settings: Settings) -> list[Change]:
    """Bring the topics to what the settings say and return the changes that were made."""
    client = await started(admin_client(settings), settings.kafka, "admin")
    try:
        changes = plan(settings, await look(client, topic_names(settings)))
        await apply(client, changes)
    finally:
        await client.close()
    return changes


async def delete_topics(settings: Settings) -> list[str]:
    """Delete every topic of the settings, raw and shared ones included, with all that is in them; return their names.

    For runs that have topics of their own. Topics that are gone already do not matter.
    """
    client = await started(admin_client(settings), settings.kafka, "admin")
    try:
        names = sorted(await look(client, topic_names(settings)))
        if names:
            response = await client.delete_topics(names)
            for name, code, *_ in response.topic_error_codes:
                if code not in (0, UnknownTopicOrPartitionError.errno):
                    _refuse("delete", name, code)
            await _wait(client, dict.fromkeys(names, 0), "deleted")
        return names
    finally:
        await client.close()
