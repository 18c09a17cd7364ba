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
    """What the timeline has told of one entity: memberships stay when it is told anew, as each is told by itself."""

    identifiers: list[tuple[str, str]] = field(default_factory=list)
    traits: dict[str, Any] = field(default_factory=dict)
    memberships: dict[str, str | None] = field(default_factory=dict)
    merged_into: str | None = None
    states: dict[str, dict[str, str | None]] = field(default_factory=dict)
    """By state, the value from each time on."""
    whole: bool = True
    """Whether documents list all identifiers. One that leaves a full list is not told, and is added again when it comes back."""

    def fold(self, kind: str, data: dict[str, Any]) -> None:
        """Take one timeline record in."""
        if kind.startswith(("state.", "membership.")):
            (self._fold_state if kind.startswith("state.") else self._fold_membership)(kind, data)
            return
        match kind:
            case "entity.created" | "entity.erased":
                self.identifiers, self.traits, self.merged_into, self.states = [], {}, None, {}
            case "entity.split" | "merge.refused":
                assert data.keys() & {"parts", "guard"}
            case "entity.merged":
                self.merged_into = data.get("merged_into")
            case "identifier.added":
                named = (data["type"], data["value"])
                assert not self.whole or named not in self.identifiers
                self.identifiers = [*(one for one in self.identifiers if one != named), named]
            case "identifier.removed":
                self.identifiers.remove((data["type"], data["value"]))
            case "trait.changed" if "added" in data:
                self._fold_values(**data)
            case "trait.changed":
                assert self.traits.get(data["trait"]) == data["old"]
                self.traits[data["trait"]] = data["new"]
                if data["new"] is None:  # its links went to another entity
                    del self.traits[data["trait"]]
            case _:
                raise AssertionError(f"the timeline has no kind {kind!r}")

    def _fold_values(self, trait: str, added: list[Any], removed: list[Any]) -> None:
        """Take in what came and went of a trait that keeps all values."""
        written = {msgspec.json.encode(one): one for one in self.traits.pop(trait, [])}
        for one in removed:
            del written[msgspec.json.encode(one)]
        came = {msgspec.json.encode(one): one for one in added}
        assert not written.keys() & came.keys()
        assert len(came) == len(added)
        if written := written | came:
            self.traits[trait] = [written[one] for one in sorted(written)]

    def _fold_membership(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "membership.ended":
            del self.memberships[data["group_id"]]
        else:
            assert kind == ("membership.changed" if data["group_id"] in self.memberships else "membership.started")
            self.memberships[data["group_id"]] = data["role"]

    def _fold_state(self, kind: str, data: dict[str, Any]) -> None:
        history = self.states.setdefault(data["state"], {})
        match kind:
            case "state.changed":
                assert history.get(max(history, default="")) == data["from"] != data["to"]
                assert data["entered_at"] > max(history, default="")
                history[data["entered_at"]] = data["to"]
            case "state.corrected":
                if data["old"] is None:
                    history.clear()
                until = _ends(history)
                for one in data["old"] or ():
                    assert (history.pop(one["since"]), until[one["since"]]) == (one["value"], one["until"])
                history |= {one["since"]: one["value"] for one in data["new"]}
                self.check_intervals(history, data["new"])
            case _:
                assert (kind, set(data)) == ("state.refused", {"state", "value", "reason"})

    @staticmethod
    def check_intervals(history: dict[str, str | None], said: list[dict[str, Any]]) -> None:
        """Check that intervals end where the next ones begin, and that no two in a row have one value."""
        until = _ends(history)
        assert all(until[one["since"]] in {one["until"], None} for one in said)  # None where later points are told next
        assert all(history[one] != history[after] for one, after in until.items() if after is not None)

    def present(self) -> dict[str, dict[str, str | None]]:
        """Give the states as a document says them."""
        last = {name: max(history) for name, history in self.states.items() if history}
        return {
            name: {"value": self.states[name][at], "since": at} for name, at in sorted(last.items()) if self.states[name][at] is not None
        }


def _ends(history: dict[str, str | None]) -> dict[str, str | None]:
    order = sorted(history)
    return dict(zip(order, [*order[1:], None], strict=False))


IN_ORDER = ("created erased", "merged split", "added removed", "trait", "state", "membership", "refused")
"""How kinds follow one another within a version of an entity, by a word of each."""


def check_lines(lines: list[dict[str, Any]]) -> None:
    """Check what a round tells of one entity: first whether it lives, and no event where something went away."""
    kinds = [(one["kind"].partition(".")[0], one["kind"].partition(".")[2]) for one in lines]
    places = [min(place for place, words in enumerate(IN_ORDER) if set(kind) & set(words.split())) for kind in kinds]
    assert places == sorted(places), kinds
    for one in lines:
        if one["kind"] in {"identifier.removed", "entity.split", "entity.erased"} or one["data"].get("moved"):
            assert one["event_id"] is one["source"] is one["occurred_at"] is None
        if one["kind"] == "state.changed":
            assert one["occurred_at"] == one["data"]["entered_at"]


class Topics:
    """What consumers of a space's topics know. Documents list all identifiers if they are `whole`."""

    def __init__(self, *, whole: bool = True) -> None:
        self._whole = whole
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
                self.timeline.setdefault(key, Told(whole=self._whole)).fold(value["kind"], value["data"])
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
    """Write a round's bytes; checks the order in which it tells."""
    lines: dict[str, list[dict[str, Any]]] = {}
    for record in round_.records:
        if record.topic == "timeline" and record.value is not None:
            lines.setdefault(record.key, []).append(record.value)
    for of_one in lines.values():
        check_lines(of_one)
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
        assert told.present() == document["states"]
        named = [(one["type"], one["value"]) for one in document["identifiers"]]
        if listed >= 1_000:
            assert sorted(named) == sorted(told.identifiers)
        assert set(named) <= set(told.identifiers)  # one that leaves a full list is not told
        belongs = {
            b["group_id"]: b["role"] for (t, _), b in found.items() if t == "memberships" and b["person_id"] == key and not b["until"]
        }
        assert told.memberships == belongs
