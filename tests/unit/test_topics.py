from __future__ import annotations

from typing import Any

import pytest

from resolvers.errors import SettingsError
from streams.kafka import group_id, transactional_id
from streams.settings import Settings, settings_from
from streams.topics import AlterTopic, Change, CreateTopic, Topic, largest_event_bytes, plan, topic_names

MIB = 1024 * 1024


def settings(**document: Any) -> Settings:
    return settings_from({"partitions": 3, "sources": {"crm": {"topic": "raw.crm", "adapter": "mapping"}}, **document})


def made(changes: list[Change]) -> dict[str, Topic]:
    return {change.name: Topic(change.partitions, change.config, change.config) for change in changes if isinstance(change, CreateTopic)}


def test_an_empty_cluster_needs_every_topic() -> None:
    changes = plan(settings(), {})
    assert [change.name for change in changes] == [
        "raw.crm",
        "nexus.events",
        "nexus.commands",
        "nexus.dead-letters",
        "nexus.entities",
        "nexus.identifiers",
        "nexus.memberships",
        "nexus.participants",
        "nexus.timeline",
    ]
    assert all(isinstance(change, CreateTopic) and change.partitions == 3 for change in changes)


def test_what_was_made_needs_no_change() -> None:
    assert plan(settings(), made(plan(settings(), {}))) == []


def test_the_log_and_the_timeline_are_kept_for_ever_and_documents_are_compacted() -> None:
    topics = made(plan(settings(), {}))
    for name in ("nexus.events", "nexus.timeline", "nexus.dead-letters"):
        assert topics[name].config["cleanup.policy"] == "delete"
        assert topics[name].config["retention.ms"] == "-1"
        assert topics[name].config["retention.bytes"] == "-1"
    for name in ("nexus.commands", "nexus.entities", "nexus.identifiers", "nexus.memberships", "nexus.participants"):
        assert topics[name].config["cleanup.policy"] == "compact"


def test_retention_of_a_raw_topic_is_its_users_affair() -> None:
    assert made(plan(settings(), {}))["raw.crm"].config == {"max.message.bytes": str(8 * MIB)}


@pytest.mark.parametrize(("raw", "dead_letters"), [(1 * MIB, 16 * MIB), (40 * MIB, 41 * MIB)])
def test_dead_letters_take_larger_messages_than_any_raw_topic(raw: int, dead_letters: int) -> None:
    topics = made(plan(settings(), {"raw.crm": Topic(1, {"max.message.bytes": str(raw)})}))
    assert topics["nexus.dead-letters"].config["max.message.bytes"] == str(dead_letters)


def test_a_raw_topic_that_exists_is_left_alone() -> None:
    existing = {**made(plan(settings(), {})), "raw.crm": Topic(12, {"max.message.bytes": "1000"})}
    assert plan(settings(), existing) == []


def test_drift_is_set_right_and_what_others_set_is_kept() -> None:
    existing = made(plan(settings(), {}))
    own = {**existing["nexus.events"].config, "retention.ms": "604800000", "segment.ms": "600000"}
    existing["nexus.events"] = Topic(3, own, own)
    wanted = {**own, "retention.ms": "-1"}
    assert plan(settings(), existing) == [AlterTopic("nexus.events", {"retention.ms": "604800000"}, {"retention.ms": "-1"}, wanted)]


def test_the_settings_have_the_last_word_on_a_topic() -> None:
    asked = settings(topics={"config": {"dead-letters": {"retention.ms": "86400000"}}})
    assert made(plan(asked, {}))["nexus.dead-letters"].config["retention.ms"] == "86400000"


def test_an_output_topic_with_another_partition_count_is_an_error() -> None:
    existing = {**made(plan(settings(), {})), "nexus.entities": Topic(6)}
    with pytest.raises(SettingsError, match=r"partitions: 3: .*nexus\.entities has 6.*set partitions: 6"):
        plan(settings(), existing)


def test_the_shared_log_may_have_any_partition_count() -> None:
    existing = made(plan(settings(), {}))
    existing["nexus.events"] = Topic(12, existing["nexus.events"].config)
    assert plan(settings(), existing) == []


def test_groups_are_named_by_prefix_and_space() -> None:
    here = settings(space="eu", topics={"prefix": "acme."})
    assert group_id(here, "adapt") == "acme.adapt"
    assert group_id(here, "resolve") == "acme.eu.resolve"
    assert transactional_id(here, "publish", 2) == "acme.eu.publish.2"
    assert len(set(topic_names(here))) == 9


def test_an_event_is_bounded_by_what_its_topic_takes() -> None:
    assert largest_event_bytes(settings()) == 8 * MIB - 1024
    assert largest_event_bytes(settings(topics={"config": {"events": {"max.message.bytes": str(MIB)}}})) == MIB - 1024
