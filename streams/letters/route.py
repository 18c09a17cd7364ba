"""The route: where each letter goes back to, which can't go, and what somebody should know before they do.

Pure functions of letters and of the topics that there are. Neighbours: `replay` takes the routes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from streams.letters.letter import Letter
from streams.sender import partition_of
from streams.topics import Topic

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class NotSent:
    """A letter that stays where it is, and why."""

    letter: Letter
    why: str


def obstacle(letter: Letter, topics: Mapping[str, Topic]) -> str | None:
    """Say why a letter can't go back; None when it can."""
    topic = topics.get(letter.record.topic)
    if not letter.record.topic:
        return "it does not say where it came from"
    if topic is None:
        return f"its topic {letter.record.topic} is not there"
    if "compact" in _policy(topic) and not letter.has_key:
        return f"it has no key, and {letter.record.topic} is compacted by now"
    return None


def partition_for(letter: Letter, key: bytes | None, topic: Topic) -> int:
    """Choose where a record goes: its own partition, or where the topic has fewer by now, that of its key."""
    if letter.record.partition < topic.partitions:
        return letter.record.partition
    return letter.record.partition % topic.partitions if key is None else partition_of(key, topic.partitions)


def warnings(letters: Sequence[Letter], topics: Mapping[str, Topic], now_ms: int, quiet: Iterable[str]) -> list[str]:
    """Say what sending letters back may do that nobody expects. Topics of `quiet` are known to bear being compacted."""
    said = []
    for name, count in Counter(letter.record.topic for letter in letters).items():
        topic = topics[name]
        kept_ms = int(topic.config.get("retention.ms") or -1)
        old = sum(1 for letter in letters if letter.record.topic == name and 0 <= letter.timestamp_ms < now_ms - kept_ms)
        own_times = topic.config.get("message.timestamp.type", "CreateTime") == "CreateTime"
        if kept_ms >= 0 and old and own_times and "delete" in _policy(topic):
            said.append(
                f"{old:,} records are older than {name} keeps records ({kept_ms / _DAY_MS:g} days): "
                "Kafka may remove them again within minutes, so let a worker run meanwhile"
            )
        if "compact" in _policy(topic) and name not in quiet:
            said.append(
                f"{name} is compacted: each of {count:,} records becomes the last of its key there, also where a newer one came since"
            )
    return said


def _policy(topic: Topic) -> str:
    return topic.config.get("cleanup.policy", "delete")
