from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from streams.verify.compacted import TopicRecord
from streams.verify.compare_topics import compare_topics
from streams.verify.expected import Expected
from streams.verify.recompute import recompute
from tests.unit.verify.pipeline import event, person
from tests.unit.verify.right import SHARDS, Written, right_topics, shard
from tests.unit.verify.story import SETTINGS, id_of, story

ANN, NEW, BOB = "person:user_id:ann", "person:email:ann@new.example", "person:email:bob@new.example"
STRANGER = "per_aaaaaaaaaaaaaaaaaaaaaaaaaa"


class Spoilt:
    """Topics that were right."""

    def __init__(self) -> None:
        self.expected: Expected = story()
        self.topics: Written = right_topics(self.expected)
        self.ann, self.bob = id_of(self.expected, ANN), id_of(self.expected, BOB)

    def record(self, word: str, key: str) -> tuple[TopicRecord, dict[str, Any]]:
        found = next(one for one in self.topics.topics[word] if one.key == key.encode())
        return found, orjson.loads(found.value or b"{}")

    def say(self, word: str, key: str, version: int = 2, **fields: object) -> None:
        """Write a key's document again, changed."""
        before, document = self.record(word, key)
        self.topics.put(word, key, document | fields, before.partition, version)

    def record_key(self, word: str) -> str:
        return (self.topics.topics[word][0].key or b"").decode()

    def drop(self, word: str, key: str) -> None:
        self.topics.topics[word] = [one for one in self.topics.topics[word] if one.key != key.encode()]

    def tell(self, key: str, kind: str, version: int = 2, line: int = 0, **data: object) -> None:
        told = {"id": f"{key}:{version}:{line}", "entity_id": key, "kind": kind, "data": data}
        self.topics.put("timeline", key, told, self.record("timeline", key)[0].partition, version)

    def kinds(self, *, tombstones: bool = False, recovered: bool = False) -> set[str]:
        found = compare_topics(self.expected, self.topics.topics, SHARDS, tombstones=tombstones, recovered=recovered)
        return {one.kind for one in found}


def stale_trait(spoilt: Spoilt) -> None:
    spoilt.say("entities", spoilt.ann, traits={"name": "Ann"})


def last_seen_off(spoilt: Spoilt) -> None:
    spoilt.say("entities", spoilt.ann, last_seen="2024-05-01T13:00:00.000Z")


def identifier_of_another(spoilt: Spoilt) -> None:
    spoilt.say("identifiers", NEW, entity_id=spoilt.bob)


def identifier_not_listed(spoilt: Spoilt) -> None:
    spoilt.say("entities", spoilt.ann, identifiers=[])


def lost_identifier(spoilt: Spoilt) -> None:
    spoilt.drop("identifiers", NEW)


def tombstone_of_the_living(spoilt: Spoilt) -> None:
    spoilt.topics.put("identifiers", NEW, None, spoilt.record("identifiers", NEW)[0].partition)


def lost_entity(spoilt: Spoilt) -> None:
    spoilt.drop("entities", spoilt.bob)


def ghost_entity(spoilt: Spoilt) -> None:
    spoilt.topics.put("entities", STRANGER, {"entity_id": STRANGER, "status": "active"}, 0)


def ghost_identifier(spoilt: Spoilt) -> None:
    spoilt.topics.put("identifiers", "person:user_id:zoe", {"status": "active"}, 0)


def second_living_id_of_one_entity(spoilt: Spoilt) -> None:
    key = ended_id(spoilt)
    spoilt.topics.put("entities", key, {"entity_id": key, "status": "active"}, 0)


def redirect_to_a_stranger(spoilt: Spoilt) -> None:
    merged(spoilt, spoilt.bob)


def unresolved_end(spoilt: Spoilt) -> None:
    spoilt.topics.put("entities", ended_id(spoilt), None, 0)


def falling_version(spoilt: Spoilt) -> None:
    spoilt.say("entities", spoilt.ann, version=5)
    spoilt.say("entities", spoilt.ann, version=4)


def repeated_version(spoilt: Spoilt) -> None:
    spoilt.say("memberships", spoilt.record_key("memberships"), version=1)


def two_partitions(spoilt: Spoilt) -> None:
    before, document = spoilt.record("entities", spoilt.ann)
    spoilt.topics.put("entities", spoilt.ann, document, 1 - before.partition, 2)


def wrong_partition(spoilt: Spoilt) -> None:
    before, document = spoilt.record("entities", spoilt.ann)
    spoilt.drop("entities", spoilt.ann)
    spoilt.topics.put("entities", spoilt.ann, document, 1 - before.partition)


def lost_membership(spoilt: Spoilt) -> None:
    spoilt.drop("memberships", spoilt.record_key("memberships"))


def ghost_membership(spoilt: Spoilt) -> None:
    spoilt.topics.put("memberships", f"{STRANGER}:{STRANGER}", {"role": "x"}, 0)


def wrong_role(spoilt: Spoilt) -> None:
    spoilt.say("memberships", spoilt.record_key("memberships"), role="guest")


def not_json(spoilt: Spoilt) -> None:
    before, _ = spoilt.record("entities", spoilt.ann)
    spoilt.topics.topics["entities"].append(TopicRecord(before.partition, 99, before.key, b"{"))


def participant_of_another(spoilt: Spoilt) -> None:
    spoilt.say("participants", "crm:e2:0", entity_id=spoilt.bob)


def participant_with_another_role(spoilt: Spoilt) -> None:
    spoilt.say("participants", "crm:e2:0", role="reader")


def lost_participant(spoilt: Spoilt) -> None:
    spoilt.drop("participants", "crm:e2:0")


def ghost_participant(spoilt: Spoilt) -> None:
    spoilt.topics.put("participants", "crm:e4:0", {"entity_id": spoilt.ann}, 0)


def told_twice(spoilt: Spoilt) -> None:
    spoilt.tell(spoilt.ann, "entity.merged", version=1, line=0)


def timeline_goes_back(spoilt: Spoilt) -> None:
    spoilt.tell(spoilt.ann, "entity.merged", version=3)
    spoilt.tell(spoilt.ann, "entity.merged", version=2)


def identifier_never_removed(spoilt: Spoilt) -> None:
    spoilt.tell(spoilt.bob, "identifier.added", type="email", value="ann@new.example")


def trait_told_wrong(spoilt: Spoilt) -> None:
    spoilt.tell(spoilt.ann, "trait.changed", trait="name", old="Ann B.", new="Ann")


def membership_never_ended(spoilt: Spoilt) -> None:
    spoilt.tell(spoilt.bob, "membership.started", group_id=STRANGER, role=None)


def nothing_told(spoilt: Spoilt) -> None:
    spoilt.drop("timeline", spoilt.bob)


def unknown_kind(spoilt: Spoilt) -> None:
    spoilt.tell(spoilt.bob, "entity.admired")


def ended_id(spoilt: Spoilt) -> str:
    """Give the id that an identifier of Ann's would have founded."""
    expected = spoilt.expected
    founder = next(founder for founder, one in expected.ids.items() if one == spoilt.ann)
    return expected.usable.entity_id(expected.identifiers[expected.entities[founder].members[-1]])


def merged(spoilt: Spoilt, into: str) -> None:
    key = ended_id(spoilt)
    document = {"entity_id": key, "entity_type": "person", "status": "merged", "merged_into": into}
    spoilt.topics.put("entities", key, document, 0)


CASES: dict[Callable[[Spoilt], None], str] = {
    stale_trait: "entities.trait",
    last_seen_off: "entities.last_seen",
    identifier_of_another: "identifiers.entity_id",
    identifier_not_listed: "entities.identifiers",
    lost_identifier: "identifiers.missing",
    tombstone_of_the_living: "identifiers.missing",
    lost_entity: "entities.missing",
    ghost_entity: "entities.ghost",
    ghost_identifier: "identifiers.ghost",
    second_living_id_of_one_entity: "entities.ghost",
    redirect_to_a_stranger: "entities.redirect",
    unresolved_end: "entities.tombstone",
    falling_version: "entities.version",
    repeated_version: "memberships.version",
    two_partitions: "entities.partition",
    wrong_partition: "entities.shard",
    lost_membership: "memberships.missing",
    ghost_membership: "memberships.ghost",
    wrong_role: "memberships.role",
    not_json: "entities.unreadable",
    participant_of_another: "participants.entity",
    participant_with_another_role: "participants.document",
    lost_participant: "participants.missing",
    ghost_participant: "participants.ghost",
    told_twice: "timeline.told_twice",
    timeline_goes_back: "timeline.version",
    identifier_never_removed: "timeline.identifier",
    trait_told_wrong: "timeline.trait",
    membership_never_ended: "timeline.membership",
    nothing_told: "timeline.missing",
    unknown_kind: "timeline.kind",
}


def test_right_topics_have_no_differences() -> None:
    assert Spoilt().kinds() == set()


@pytest.mark.parametrize(("spoil", "kind"), CASES.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_one_spoilt_record_is_named(spoil: Callable[[Spoilt], None], kind: str) -> None:
    spoilt = Spoilt()
    spoil(spoilt)
    assert kind in spoilt.kinds()


def test_an_id_that_ended_leads_to_the_living_entity_over_any_number_of_ids() -> None:
    spoilt = Spoilt()
    middle = next(name for name in spoilt.expected.identifiers if name.key == ANN)
    between = spoilt.expected.usable.entity_id(middle)
    merged(spoilt, between)
    if between != spoilt.ann:
        spoilt.topics.put(
            "entities", between, {"entity_id": between, "entity_type": "person", "status": "merged", "merged_into": spoilt.ann}, 0
        )
    assert spoilt.kinds() == set()


def test_a_participant_may_name_an_id_that_ended() -> None:
    spoilt = Spoilt()
    merged(spoilt, spoilt.ann)
    spoilt.say("participants", "crm:e2:0", entity_id=ended_id(spoilt))
    assert spoilt.kinds() == set()


@pytest.mark.parametrize(("recovered", "found"), [(False, {"participants.entity"}), (True, set())])
def test_only_the_last_record_of_a_participant_counts_after_a_loss(recovered: bool, found: set[str]) -> None:
    spoilt = Spoilt()
    right = spoilt.record("participants", "crm:e2:0")[1]["entity_id"]
    spoilt.say("participants", "crm:e2:0", entity_id=STRANGER)
    assert "participants.entity" in spoilt.kinds(recovered=recovered)
    spoilt.say("participants", "crm:e2:0", entity_id=right)
    assert spoilt.kinds(recovered=recovered) == found


def test_ended_ids_are_tombstones_where_the_settings_say_so() -> None:
    spoilt = Spoilt()
    unresolved_end(spoilt)
    spoilt.say("participants", "crm:e2:0", entity_id=ended_id(spoilt))
    assert spoilt.kinds(tombstones=True) == set()


def test_a_tombstone_of_a_membership_that_is_no_more_is_right() -> None:
    spoilt = Spoilt()
    ghost_membership(spoilt)
    spoilt.topics.put("memberships", f"{STRANGER}:{STRANGER}", None, 0)
    assert spoilt.kinds() == set()


def test_what_is_told_again_after_a_loss_is_marked_and_right() -> None:
    spoilt = Spoilt()
    told = next(orjson.loads(one.value or b"") for one in spoilt.topics.topics["timeline"] if one.key == spoilt.bob.encode())
    partition = spoilt.record("timeline", spoilt.bob)[0].partition
    lines = [one for one in spoilt.topics.topics["timeline"] if one.key == spoilt.bob.encode()]
    for line in lines:
        spoilt.topics.put("timeline", spoilt.bob, orjson.loads(line.value or b"") | {"recovery": True}, partition)
    assert told["kind"] == "entity.created"
    assert spoilt.kinds() == set()


def test_an_entity_of_more_than_a_thousand_identifiers_is_not_folded_from_the_timeline() -> None:
    log = [event(one, "2024-01-01T00:00:00Z", person("user_id:ann", f"email:a{one}@x.example")) for one in range(1_001)]
    expected = recompute(log, SETTINGS)
    topics = right_topics(expected)
    assert compare_topics(expected, topics.topics, SHARDS) == []


def test_numbers_that_differ_only_in_how_they_are_written_differ() -> None:
    expected = recompute([event(1, "2024-01-01T00:00:00Z", person("user_id:ann", score=1.0))], SETTINGS)
    topics = right_topics(expected)
    [(key, document)] = expected.entity_documents()
    topics.put("entities", key, document | {"traits": {"score": 1}}, shard(expected.identifiers[0].digest), 2)
    [difference] = compare_topics(expected, topics.topics, SHARDS)
    assert str(difference) == f"{key}: score should be 1.0, found 1"
