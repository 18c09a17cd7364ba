"""A small pipeline that has done everything right, as the judge sees it, for its tests to damage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from zlib import crc32

from streams.settings import settings_from
from streams.verify.recompute import recompute
from streams.verify.usable import founding_digest
from tests.chaos.judge import check
from tests.chaos.judge_accounts import check_accounts
from tests.chaos.judge_read import Line, Seen, names_of
from tests.chaos.judge_records import event_of
from tests.chaos.stream import Stream
from tests.unit.verify.right import SHARDS, right_topics

SETTINGS = settings_from({**Stream(3).settings_parts(), "partitions": SHARDS})
NAMES = names_of(SETTINGS)
NOW_MS = 1_767_225_600_000
ROUND = 5
"""The version of everything that is told but the damage."""


def written(document: object) -> bytes:
    """Write JSON with all digits of long integers, which some of the poison has."""
    return json.dumps(document).encode()


class Case:
    """A small pipeline that has done everything right, as the judge sees it, to be damaged."""

    def __init__(self) -> None:
        self.sent = Stream(3).next(80) + Stream(3).poison(12)
        self.topics: dict[str, list[Line]] = {word: [] for word in NAMES}
        for value in self.sent:
            self.put("raw", None, value, len(value) % SHARDS, timestamp_ms=NOW_MS)
        for line in list(self.topics["raw"]):
            self.adapt(line)
        expected = recompute([line.value for line in self.topics["events"]], SETTINGS)
        for word, records in right_topics(expected).topics.items():
            for one in records:
                told = json.loads(one.value or b"{}")
                self.put(word, one.key, written(told | ({"version": ROUND} if "version" in told else {})), one.partition)
        self.living = [key for key, _ in expected.entity_documents()]
        self.ends = {(word, partition): len(self.of(word, partition)) for word in NAMES for partition in range(SHARDS)}
        self.positions = {
            ("events", one): (len(self.of("events", one)), crc32(self.of("events", one)[-1].value or b"")) for one in range(SHARDS)
        }
        self.rounds = dict.fromkeys(range(SHARDS), ROUND)
        self.committed = {("rounds", one): ROUND for one in range(SHARDS)}
        self.committed |= {("adapt", one): self.ends["raw", one] for one in range(SHARDS)}
        self.committed |= {("resolve", one): self.ends["events", one] for one in range(SHARDS)}

    def of(self, word: str, partition: int) -> list[Line]:
        return [line for line in self.topics[word] if line.partition == partition]

    def put(
        self,
        word: str,
        key: bytes | None,
        value: bytes | None,
        partition: int = 0,
        headers: Mapping[str, bytes] | None = None,
        timestamp_ms: int = 0,
    ) -> None:
        self.topics[word].append(Line(partition, len(self.of(word, partition)), key, value, headers or {}, timestamp_ms))

    def adapt(self, line: Line) -> None:
        event = event_of(line.value or b"", line.timestamp_ms)
        if event is None:
            self.letter("raw", line)
            return
        event |= {"origin": {"topic": NAMES["raw"], "partition": line.partition, "offset": line.offset}, "recorded_at": "then"}
        self.put("events", None, written(event), line.partition)

    def letter(self, word: str, line: Line, error: str = "bad") -> None:
        said = {"source-topic": NAMES[word], "source-partition": str(line.partition), "source-offset": str(line.offset), "error": error}
        self.put("dead-letters", line.key, line.value, headers={name: text.encode() for name, text in said.items()})

    def event(self, **fields: object) -> bytes:
        """Write the first event once more, changed."""
        return written(json.loads(self.topics["events"][0].value or b"{}") | fields)

    def good(self) -> Line:
        """Give a raw record that became an event."""
        return next(line for line in self.topics["raw"] if event_of(line.value or b"", NOW_MS) is not None)

    def bad(self) -> Line:
        """Give a raw record that became a dead letter."""
        return next(line for line in self.topics["raw"] if event_of(line.value or b"", NOW_MS) is None)

    def tell(self, key: str, kind: str, version: int = ROUND, *, recovery: bool = False, **data: object) -> None:
        told = {"id": f"{key}:{version}:{kind}{len(self.topics['timeline'])}", "entity_id": key, "version": version, "kind": kind}
        told |= {"data": data} | ({"recovery": True} if recovery else {})
        self.put("timeline", key.encode(), written(told), shard_of(key))

    def told(self, kind: str) -> tuple[str, dict[str, Any]]:
        """Give the first timeline line of a kind: its key and its data."""
        documents = (json.loads(line.value or b"{}") for line in self.topics["timeline"])
        found = next(one for one in documents if one["kind"] == kind)
        return found["entity_id"], found["data"]

    def seen(self) -> Seen:
        return Seen(self.topics, self.ends, self.committed, self.positions, self.rounds)

    def kinds(self, *, redis_lost_writes: bool = False) -> set[str]:
        accounts = check_accounts(self.seen(), self.sent, NAMES)
        return {one.kind for one in (*accounts, *check(SETTINGS, self.seen(), redis_lost_writes=redis_lost_writes))}


def shard_of(key: str) -> int:
    return int.from_bytes((founding_digest(key) or b"")[:4], "big") % SHARDS
