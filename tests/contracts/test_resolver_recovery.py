"""Recovery: what every resolver promises to publishers after it has lost writes, or was born again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from resolvers.correction import Kind
from resolvers.errors import Fenced, StoreLost
from resolvers.memory import MemoryResolver
from resolvers.port import Resolver, Round, ToldRecord, Waiting
from streams.events import Membership
from tests.contracts.test_resolver_corrections import say
from tests.contracts.test_resolver_erasures import erase
from tests.histories import RULES, apply, documents, event, group, person, written
from tests.telling import Topics, check_told, drain, publish, take_round

SHARDS = 2
READER = "reader"


def told(topics: Topics) -> list[ToldRecord]:
    """Give what the topics hold."""
    return [ToldRecord(topic, key, document) for (topic, key), document in topics.documents.items()]


async def read_all(resolver: Resolver, topics: Topics) -> None:
    """Read every unread shard's topics."""
    for shard in range(SHARDS):
        assert await resolver.take(shard, 10, 0) is Waiting.UNREAD
        await resolver.begin_reading(shard, READER)
        mine = [one for one in told(topics) if topics.shards[one.topic, one.key] == shard]
        await resolver.retell(shard, READER, 0, mine)
        await resolver.end_reading(shard, READER, 1)


async def busy(resolver: Resolver) -> None:
    people = person("device:a", traits={"plan": "free"}), group("shop:1")
    await apply(resolver, event("e1", "9:00", *people, memberships=[Membership(0, 1, "owner")]))


async def test_nothing_is_given_until_the_logs_are_applied(resolver: Resolver) -> None:
    await busy(resolver)
    end = (await resolver.position("events", 0)).offset
    assert await resolver.recover({("events", 0): end + 1})
    assert not await resolver.recover({("events", 0): end + 1})
    assert [await resolver.take(shard, 10, 0) for shard in range(SHARDS)] == [Waiting.CATCHING_UP] * SHARDS
    assert (await resolver.backlog()).recovering == SHARDS
    await apply(resolver, event("e2", "9:01", person("device:b")))
    assert [await resolver.take(shard, 10, 0) for shard in range(SHARDS)] == [Waiting.UNREAD] * SHARDS


async def test_a_store_that_knows_less_than_kafka_says_so(resolver: Resolver) -> None:
    await busy(resolver)
    for asked in (resolver.take(0, 10, 5), resolver.pending(0, 5)):
        with pytest.raises(StoreLost):
            await asked
    await resolver.recover({}, shard=0, told=5)
    await read_all(resolver, Topics())
    for shard, above in ((0, 5), (1, 0)):
        round_ = await take_round(resolver, shard, 10, above)
        assert round_ is None or round_.number == above + 1


async def test_a_round_that_kafka_has_and_that_was_never_kept_shows_the_loss(resolver: Resolver) -> None:
    shard = await shard_with_work(resolver)
    round_ = await take_round(resolver, shard, 10, 0)
    assert round_ is not None
    with pytest.raises(StoreLost):
        await resolver.pending(shard, round_.number)
    await resolver.recover({}, shard, round_.number)
    await read_all(resolver, Topics())
    again = await take_round(resolver, shard, 10, round_.number)
    assert again is not None
    assert again.number == round_.number + 1
    assert {(one.topic, one.key) for one in again.records} == {(one.topic, one.key) for one in round_.records}


async def shard_with_work(resolver: Resolver) -> int:
    await busy(resolver)
    for shard in range(SHARDS):
        found = await resolver.take(shard, 10, 0)
        if isinstance(found, Round):
            assert await resolver.pending(shard, 0) is None
            return shard
    raise AssertionError("nothing is dirty")


async def test_a_kept_round_that_kafka_has_is_no_loss(resolver: Resolver) -> None:
    shard = await shard_with_work(resolver)
    round_ = await take_round(resolver, shard, 10, 0)
    assert round_ is not None
    await resolver.keep(round_, b"bytes")
    left = await resolver.pending(shard, round_.number)
    assert left is not None
    assert left.payload == b"bytes"
    assert not await recovering(resolver)


async def recovering(resolver: Resolver) -> bool:
    return bool((await resolver.backlog()).recovering)


async def test_a_recovery_that_a_late_publisher_asks_for_leaves_the_present_round_alone(resolver: Resolver) -> None:
    shard = await shard_with_work(resolver)
    round_ = await take_round(resolver, shard, 10, 0)
    assert round_ is not None
    await resolver.keep(round_, b"bytes")
    await resolver.recover({}, shard, 0)
    left = await resolver.pending(shard, 0)
    assert left is not None
    assert left.payload == b"bytes"


async def test_a_store_born_again_retells_what_the_topics_hold(resolver: Resolver) -> None:
    topics = Topics()
    topics.documents["identifiers", "person:device:ghost"] = {"entity_id": "per_" + "a" * 26, "version": 3}
    topics.documents["entities", "per_" + "a" * 26] = {
        "entity_id": "per_" + "a" * 26, "entity_type": "person", "status": "active", "first_seen": "2024-01-01T09:00:00.000Z",
        "last_seen": "2024-01-01T09:00:00.000Z", "identifiers": [{"type": "device", "value": "ghost"}], "identifier_count": 1,
        "traits": {"plan": "old"}, "states": {},
    }  # fmt: skip
    topics.shards = {("identifiers", "person:device:ghost"): 1, ("entities", "per_" + "a" * 26): 0}
    await busy(resolver)
    await resolver.recover({}, shard=0, told=7)
    await read_all(resolver, topics)
    for shard in range(SHARDS):
        while await publish(resolver, topics, shard, told=7 if shard == 0 else 0):
            pass
    assert topics.living() == {key: document for key, document in topics.documents.items() if document}
    assert written(topics.living()) == written(await documents(resolver))


async def test_only_what_differs_is_told_on_the_timeline(resolver: Resolver) -> None:
    topics = Topics()
    await busy(resolver)
    await drain(resolver, topics, SHARDS)
    before = len(topics.lines)
    await resolver.recover({})
    await apply(resolver, event("e2", "10:00", person("device:a", traits={"plan": "paid"})))
    await read_all(resolver, topics)
    await drain(resolver, topics, SHARDS)
    assert [(line["kind"], line["data"]["old"], line["data"]["new"]) for line in topics.lines[before:]] == [
        ("trait.changed", "free", "paid")
    ]
    check_told(await documents(resolver), topics, 1_000)


async def told_again(resolver: Resolver, topics: Topics) -> list[dict[str, Any]]:
    """Let a resolver that was born again go on on topics; gives what it tells on the timeline."""
    before = len(topics.lines)
    await documents(resolver)  # settles
    for shard in range(SHARDS):
        await resolver.recover({}, shard, max(topics.versions.values()))
    await read_all(resolver, topics)
    await drain(resolver, topics, SHARDS)
    check_told(await documents(resolver), topics, 1_000)
    return topics.lines[before:]


async def test_who_is_seen_again_after_an_erasure_did_not_come_of_what_a_topic_says(resolver: Resolver) -> None:
    topics, former = Topics(), MemoryResolver(RULES, SHARDS)
    together = event("e1", "9:00", person("device:a")), event("e2", "9:10", person("device:a", "device:b"))
    await apply(former, *together)
    await drain(former, topics, SHARDS)

    await apply(resolver, *together)
    await erase(resolver, "10:00", "device:b", log=together)
    await apply(resolver, event("e3", "11:00", person("device:b", "email:c@x.example")))
    lines = await told_again(resolver, topics)
    assert {"entity.erased", "entity.created"} <= {line["kind"] for line in lines}
    assert "entity.split" not in {line["kind"] for line in lines}


async def test_what_guards_refused_is_told_once_more_since_no_document_says_it(resolver: Resolver) -> None:
    topics, former = Topics(), MemoryResolver(RULES, SHARDS)
    seen = event("e1", "9:00", person("user_id:u1")), event("e2", "9:10", person("user_id:u1", "device:d"))
    for one in (former, resolver):
        await say(one, Kind.FORBID, "user_id:u1", "device:d")
        await apply(one, *seen)
    await drain(former, topics, SHARDS)
    refused = [line for line in topics.lines if line["kind"] == "merge.refused"]
    assert len(refused) == 1

    assert await told_again(resolver, topics) == refused


async def test_who_has_what_a_topic_says_of_another_is_told_as_split_off(resolver: Resolver) -> None:
    topics, former = Topics(), MemoryResolver(RULES, SHARDS)
    together = event("e1", "9:00", person("device:a", "device:b")), event("e2", "9:10", person("device:b", "email:c@x.example"))
    await apply(former, *together, event("e3", "9:20", person("email:c@x.example", "device:d")))
    await drain(former, topics, SHARDS)
    (whole,) = [document["entity_id"] for (topic, _), document in topics.documents.items() if topic == "entities"]
    before = len(topics.lines)

    mail = event("e3", "9:20", person("email:c@x.example"))
    await apply(resolver, together[0], event("e2", "9:10", person("device:b")), mail, event("e4", "9:30", person("device:d")))
    await told_again(resolver, topics)
    living = {document["entity_id"] for (topic, _), document in topics.living().items() if topic == "entities"}
    parts = [line["data"] for line in topics.lines[before:] if line["kind"] == "entity.split" and line["entity_id"] == whole]
    assert len(living) == 3
    assert parts == [{"parts": sorted(living - {whole})}]
    created = {line["entity_id"] for line in topics.lines[before:] if line["kind"] == "entity.created"}
    assert created == living - {whole}


async def told_before(resolver: Resolver) -> Topics:
    """Have people, a group and a merge told, so that every kind of document is on the topics."""
    topics = Topics()
    await busy(resolver)
    await apply(resolver, event("e2", "9:10", person("email:b@x.example", traits={"seats": 1.5, "tags": ["x", {"y": None}]})))
    await drain(resolver, topics, SHARDS)
    link = person("device:a", "email:b@x.example"), group("shop:1")
    await apply(resolver, event("e3", "9:20", *link, memberships=[Membership(0, 1, None, ended=True)]))
    await drain(resolver, topics, SHARDS)
    assert {document.get("status") for document in topics.documents.values()} == {"active", "merged", None}
    return topics


async def test_what_a_topic_says_just_so_is_not_told_again(resolver: Resolver) -> None:
    topics = await told_before(resolver)
    lines = len(topics.lines)
    await resolver.recover({})
    await read_all(resolver, topics)
    assert (await resolver.backlog()).empty
    assert [await take_round(resolver, shard, 10, 0) for shard in range(SHARDS)] == [None] * SHARDS
    await apply(resolver, event("e4", "9:30", person("device:a", traits={"plan": "paid"})))
    await drain(resolver, topics, SHARDS)
    assert [(line["kind"], line["data"]["old"]) for line in topics.lines[lines:]] == [("trait.changed", "free")]
    check_told(await documents(resolver), topics, 1_000)


async def test_whatever_a_document_says_otherwise_is_told_again(resolver: Resolver) -> None:
    topics = await told_before(resolver)
    right = dict(topics.documents)
    for key, wrong in [(key, wrong) for key, document in right.items() for wrong in otherwise(document)]:
        topics.documents[key] = wrong
        topics.versions.clear()
        topics.timeline.clear()
        await resolver.recover({})
        await read_all(resolver, topics)
        found = [await take_round(resolver, shard, 10, 0) for shard in range(SHARDS)]
        told_again = {(one.topic, one.key): one.value for round_ in found if round_ for one in round_.records}
        assert told_again[key] == right[key], wrong
        for round_ in found:
            if round_:
                await resolver.keep(round_, b"x")
                await resolver.finish(round_)
        topics.documents[key] = right[key]


def otherwise(said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give documents that differ from one in one thing each; what names the key stays."""
    for name in ("first_seen", "last_seen", "since", "until"):
        if said.get(name):
            yield said | {name: "2024-01-01T03:00:00.000Z"}
    for name, other in {"role": "guest", "source": "other", "until": "2024-01-01T03:00:00.000Z", "extra": 1}.items():
        if name in said or (name == "extra" and "merged_into" not in said):
            yield said | {name: other}
    if "traits" in said:
        first, *others = said["identifiers"]
        yield said | {"traits": {**said["traits"], "new": 1}}
        yield said | {"traits": {}} if said["traits"] else said | {"traits": {"x": 1}}
        yield said | {"traits": dict.fromkeys(said["traits"], 0)} if said["traits"] else said | {"traits": {"x": 1}}
        yield said | {"identifiers": [first | {"last_seen": "2024-01-01T23:00:00.000Z"}, *others]}
        yield said | {"identifiers": [first | {"first_seen": "2024-01-01T01:00:00.000Z"}, *others]}
        yield said | {"identifiers": [*said["identifiers"], first | {"value": "other"}], "identifier_count": len(said["identifiers"]) + 1}
        yield said | {"identifiers": [first | {"value": "other"}, *others]}
        yield said | {"states": {"subscription": {"value": "active"}}}
    elif "type" in said:
        yield said | {"entity_id": "per_" + "b" * 26}
    elif "merged_into" in said:
        yield said | {"merged_into": "per_" + "b" * 26}


async def test_rounds_of_what_was_dirty_at_the_end_of_reading_are_marked(resolver: Resolver) -> None:
    topics = Topics()
    await busy(resolver)
    await drain(resolver, topics, SHARDS)
    await resolver.recover({})
    await apply(resolver, event("e1b", "10:30", person("device:a"), group("shop:1")))
    await read_all(resolver, topics)
    marks = []
    for shard in range(SHARDS):
        while (round_ := await take_round(resolver, shard, 1, 0)) is not None:
            marks.append(round_.recovery)
            await resolver.keep(round_, b"x")
            await resolver.finish(round_)
    assert marks
    assert all(marks)
    await apply(resolver, event("e2", "10:00", person("device:a", "device:b", traits={"plan": "paid"})))
    for shard in range(SHARDS):
        round_ = await take_round(resolver, shard, 10, 0)
        assert round_ is None or not round_.recovery


async def test_an_older_reader_is_fenced(resolver: Resolver) -> None:
    await busy(resolver)
    await resolver.recover({})
    assert await resolver.take(0, 10, 0) is Waiting.UNREAD
    await resolver.begin_reading(0, "older")
    await resolver.begin_reading(0, "newer")
    for asked in (resolver.retell(0, "older", 0, []), resolver.end_reading(0, "older", 0)):
        with pytest.raises(Fenced):
            await asked
    await resolver.end_reading(0, "newer", 0)
    with pytest.raises(Fenced):
        await resolver.begin_reading(0, "later")


async def test_a_hold_ends_by_itself_and_marks_nothing(resolver: Resolver) -> None:
    await busy(resolver)
    end = (await resolver.position("events", 0)).offset
    await resolver.hold({("events", 0): end + 1})
    assert await resolver.take(0, 10, 0) is Waiting.CATCHING_UP
    await apply(resolver, event("e2", "9:01", person("device:b")))
    rounds = [await take_round(resolver, shard, 10, 0) for shard in range(SHARDS)]
    assert [round_.recovery for round_ in rounds if round_] == [False] * len([round_ for round_ in rounds if round_])
    assert not await recovering(resolver)


async def test_a_loss_during_a_hold_is_a_recovery(resolver: Resolver) -> None:
    await busy(resolver)
    await resolver.hold({})
    assert await resolver.recover({})
    assert await resolver.take(0, 10, 0) is Waiting.UNREAD


async def test_a_call_of_the_reader_that_was_lost_is_noticed(resolver: Resolver) -> None:
    await busy(resolver)
    await resolver.recover({})
    assert await resolver.take(0, 10, 0) is Waiting.UNREAD
    await resolver.begin_reading(0, READER)
    for _ in range(2):  # an answer may be lost, and the call made again
        await resolver.retell(0, READER, 0, [])
    for asked in (resolver.retell(0, READER, 2, []), resolver.end_reading(0, READER, 2)):
        with pytest.raises(Fenced):
            await asked
    await resolver.retell(0, READER, 1, [])
    await resolver.end_reading(0, READER, 2)


async def test_a_round_of_the_same_number_that_another_took_is_not_kept_or_ended(resolver: Resolver) -> None:
    shard = await shard_with_work(resolver)
    older = await take_round(resolver, shard, 10, 0)
    assert older is not None
    stranger = replace(older, taker="another")
    with pytest.raises(Fenced):
        await resolver.keep(stranger, b"old bytes")
    await resolver.keep(older, b"bytes")
    await resolver.finish(stranger)
    left = await resolver.pending(shard, 0)
    assert left is not None
    await resolver.finish(older)  # who took it over is now its taker
    assert (await resolver.backlog()).in_flight > 0
    await resolver.finish(left)
    assert (await resolver.backlog()).in_flight == 0
