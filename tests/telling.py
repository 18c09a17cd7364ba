"""A publisher in miniature: takes rounds out of a resolver, keeps what compacted topics would hold, folds the timeline.

It refuses what no consumer may ever see: a version that does not rise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from resolvers.entity import ENDED
from resolvers.port import OutputRecord, Resolver, Round, Waiting
from tests.histories import Documents, written


@dataclass(slots=True)
class Told:
    """What the timeline has told of one entity."""

    identifiers: list[tuple[str, str]] = field(default_factory=list)
    traits: dict[str, Any] = field(default_factory=dict)
    memberships: dict[str, str | None] = field(default_factory=dict)
    merged_into: str | None = None

    def fold(self, kind: str, data: dict[str, Any]) -> None:
        """Take one timeline record in."""
        match kind:
            case "entity.created" | "entity.erased":
                self.identifiers, self.traits, self.merged_into = [], {}, None
            case "entity.split" | "merge.refused":
                assert data.keys() & {"parts", "guard"}
            case "entity.merged":
                self.merged_into = data.get("merged_into")
            case "identifier.added":
                assert (data["type"], data["value"]) not in self.identifiers
                self.identifiers.append((data["type"], data["value"]))
            case "identifier.removed":
                self.identifiers.remove((data["type"], data["value"]))
            case "trait.changed":
                assert self.traits.get(data["trait"]) == data["old"]
                self.traits[data["trait"]] = data["new"]
                if data["new"] is None:  # its links went to another entity
                    del self.traits[data["trait"]]
            case "membership.started" | "membership.changed":
                assert (data["group_id"] in self.memberships) == (kind == "membership.changed")
                self.memberships[data["group_id"]] = data["role"]
            case "membership.ended":
                del self.memberships[data["group_id"]]
            case _:
                raise AssertionError(f"the timeline has no kind {kind!r}")


class Topics:
    """What consumers of a space's topics know."""

    def __init__(self) -> None:
        self.documents: Documents = {}
        self.versions: dict[tuple[str, str], int] = {}
        self.timeline: dict[str, Told] = {}
        self.lines: list[dict[str, Any]] = []
        self.shards: dict[tuple[str, str], int] = {}

    def write(self, number: int, payload: bytes, shard: int = 0) -> None:
        """Take a round's bytes in, as Kafka would after the commit."""
        for topic, key, value in msgspec.json.decode(payload):
            self.shards[topic, key] = shard
            if topic == "timeline":
                self.lines.append(value)
                assert value["entity_id"] == key
                self.timeline.setdefault(key, Told()).fold(value["kind"], value["data"])
                continue
            assert self.versions.get((topic, key), 0) < number, f"{topic} {key}: version {number} after {self.versions[topic, key]}"
            self.versions[topic, key] = number
            if value is None:
                self.documents.pop((topic, key), None)
            else:
                self.documents[topic, key] = value

    def living(self) -> Documents:
        """Give the documents but for those of ids that ended."""
        return {key: document for key, document in self.documents.items() if document.get("status") not in ENDED}

    def survivors(self) -> dict[str, str]:
        """Lead every id that was ever told to the one that lives."""
        return {key: self.survivor(key) for topic, key in self.documents if topic == "entities"}

    def survivor(self, entity_id: str) -> str:
        """Follow what was told of an id to the one that lives. Fails on a circle."""
        passed = set()
        while (told := self.documents["entities", entity_id])["status"] == "merged":
            passed.add(entity_id)
            entity_id = told["merged_into"]
            assert entity_id not in passed, f"the merged ids {passed} lead in a circle"
        return entity_id


def payload_of(round_: Round) -> bytes:
    """Write a round's bytes."""
    return msgspec.json.encode([_row(record) for record in round_.records])


def _row(record: OutputRecord) -> list[Any]:
    return [record.topic, record.key, record.value]


async def take_round(resolver: Resolver, shard: int, limit: int, told: int = 0) -> Round | None:
    """Take a round of a shard that is not in recovery."""
    found = await resolver.take(shard, limit, told)
    assert not isinstance(found, Waiting)
    return found


async def publish(resolver: Resolver, topics: Topics, shard: int, limit: int = 7, told: int = 0) -> bool:
    """Run one whole round of a shard; False when nothing was dirty."""
    round_ = await take_round(resolver, shard, limit, told)
    if round_ is None:
        return False
    payload = payload_of(round_)
    await resolver.keep(round_, payload)
    topics.write(round_.number, payload, shard)
    await resolver.finish(round_)
    return True


async def drain(resolver: Resolver, topics: Topics, shards: int, limit: int = 7) -> None:
    """Publish until the topics have been told everything."""
    while not (await resolver.backlog()).empty:
        await resolver.sweep(50)
        await resolver.settle()
        for shard in range(shards):
            await publish(resolver, topics, shard, limit)


def check_told(found: Documents, topics: Topics, listed: int) -> None:
    """Check that the topics and the timeline say what the documents say."""
    assert written(topics.living()) == written(found)
    for (topic, key), document in found.items():
        if topic != "entities":
            continue
        told = topics.timeline[key]
        assert told.merged_into is None
        assert told.traits == document["traits"]
        named = [(one["type"], one["value"]) for one in document["identifiers"]]
        if listed >= 1_000:
            assert sorted(named) == sorted(told.identifiers)
        assert set(named) <= set(told.identifiers)  # one that leaves a full list is not told
        belongs = {
            b["group_id"]: b["role"] for (t, _), b in found.items() if t == "memberships" and b["person_id"] == key and not b["until"]
        }
        assert told.memberships == belongs
