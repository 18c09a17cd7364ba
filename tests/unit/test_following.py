from __future__ import annotations

import json

from aiokafka.structs import TopicPartition

from streams.following import json_line, readable_line, topic_named
from streams.settings import settings_from
from tests.kafka_fakes import record

PLACE = TopicPartition("nexus.entities", 2)


def test_a_topic_is_found_by_its_word_its_source_or_its_name() -> None:
    settings = settings_from({"space": "eu", "sources": {"crm": {"topic": "raw.crm", "adapter": "segment"}}})
    named = [topic_named(settings, word) for word in ("entities", "events", "crm", "some.topic")]
    assert named == ["nexus.eu.entities", "nexus.events", "raw.crm", "some.topic"]


def test_a_line_for_people_says_when_where_and_what() -> None:
    line = readable_line(record(b'{"a":\n 1}', 7, PLACE, key=b"per_a", headers=(("error", b"no time"), ("trace", b"t"))))
    assert line == '2023-11-14T22:13:20.000Z  2/7  per_a  error=no time  {"a": 1}'


def test_a_tombstone_says_so() -> None:
    assert readable_line(record(None, 7, PLACE, key=b"per_a")).endswith("per_a  (deleted)")


def test_a_json_line_keeps_json_values_and_shows_others_as_text() -> None:
    lines = [json.loads(json_line(record(value, 7, PLACE, key=b"k"))) for value in (b'{"a": 1}', b"\xffx", None)]
    assert [line["value"] for line in lines] == [{"a": 1}, "\ufffdx", None]
    assert {(line["topic"], line["partition"], line["offset"], line["key"]) for line in lines} == {("nexus.entities", 2, 7, "k")}
