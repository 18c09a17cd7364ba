"""The outbox: what every resolver promises to the publishers that take rounds from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from resolvers.errors import Fenced
from resolvers.port import Resolver, Round
from streams.events import Membership
from tests.contracts.test_resolver_erasures import erase
from tests.histories import apply, documents, event, group, person, written
from tests.telling import Topics, drain, payload_of, publish, take_round

SHARDS = 2


async def busy_shard(resolver: Resolver) -> int:
    """Apply something, and tell a shard that has work by it."""
    await apply(resolver, *(event(f"e{n}", "9:00", person(f"device:d{n}", traits={"n": n})) for n in range(8)))
    return 0


async def test_nothing_dirty_gives_no_round(resolver: Resolver) -> None:
    assert await take_round(resolver, 0, 10, 0) is None
    assert await resolver.pending(0, 0) is None
    assert (await resolver.backlog()).empty


async def test_a_round_tells_every_document_of_its_shard_once(resolver: Resolver) -> None:
    await busy_shard(resolver)
    topics = Topics()
    for shard in range(SHARDS):
        while await publish(resolver, topics, shard):
            pass
    assert written(topics.documents) == written(await documents(resolver))
    assert (await resolver.backlog()).empty


async def test_a_round_holds_at_most_so_many_keys(resolver: Resolver) -> None:
    shard = await busy_shard(resolver)
    round_ = await take_round(resolver, shard, 3, 0)
    assert round_ is not None
    assert len({(one.topic, one.key) for one in round_.records if one.topic != "timeline"}) == 3


async def test_the_backlog_counts_down_to_empty(resolver: Resolver) -> None:
    shard = await busy_shard(resolver)
    before = await resolver.backlog()
    assert (before.dirty, before.in_flight, before.empty) == (16, 0, False)
    round_ = await take_round(resolver, shard, 3, 0)
    assert round_ is not None
    await resolver.keep(round_, b"kept")
    during = await resolver.backlog()
    assert during.dirty == 13
    assert during.in_flight > 0
    await resolver.finish(round_)
    assert (await resolver.backlog()).in_flight == 0
    await drain(resolver, Topics(), SHARDS)
    assert (await resolver.backlog()).empty


async def test_a_round_taken_and_not_kept_is_given_back(resolver: Resolver) -> None:
    shard = await busy_shard(resolver)
    before = (await resolver.backlog()).dirty
    taken = await take_round(resolver, shard, 3, 0)
    assert taken is not None
    assert await resolver.pending(shard, 0) is None
    assert (await resolver.backlog()).dirty == before
    topics = Topics()
    await drain(resolver, topics, SHARDS)
    assert written(topics.documents) == written(await documents(resolver))


async def test_a_round_given_back_tells_the_whole_change_later(resolver: Resolver) -> None:
    topics = Topics()
    await apply(resolver, event("e1", "9:00", person("device:a", traits={"plan": "free"})))
    await drain(resolver, topics, SHARDS)
    await apply(resolver, event("e2", "10:00", person("device:a", traits={"plan": "trial"})))
    for shard in range(SHARDS):
        await take_round(resolver, shard, 10, 0)
    await apply(resolver, event("e3", "11:00", person("device:a", traits={"plan": "paid", "seats": 3})))
    for shard in range(SHARDS):
        assert await resolver.pending(shard, 0) is None
    await drain(resolver, topics, SHARDS)
    (told,) = topics.timeline.values()
    assert told.traits == {"plan": "paid", "seats": 3}


async def test_a_kept_round_comes_back_with_the_same_bytes(resolver: Resolver) -> None:
    shard = await busy_shard(resolver)
    round_ = await take_round(resolver, shard, 3)
    assert round_ is not None
    await resolver.keep(round_, b"\x00\xff the bytes")
    await apply(resolver, event("later", "10:00", person("device:d0", "device:d1", "device:d2")))
    again = None
    for _ in range(2):
        again = await resolver.pending(shard, 0)
        assert again is not None
        assert (again.number, again.payload) == (round_.number, b"\x00\xff the bytes")
    assert again is not None
    await resolver.finish(again)
    assert await resolver.pending(shard, 0) is None


async def test_what_changes_while_a_round_is_in_flight_is_told_after_it(resolver: Resolver) -> None:
    topics = Topics()
    await apply(resolver, event("e1", "9:00", person("device:a", traits={"n": 1})))
    for shard in range(SHARDS):
        round_ = await take_round(resolver, shard, 10, 0)
        if round_ is None:
            continue
        await resolver.keep(round_, payload_of(round_))
        await apply(resolver, event("e2", "10:00", person("device:a", "device:b", traits={"n": 2})))
        topics.write(round_.number, payload_of(round_))
        await resolver.finish(round_)
    await drain(resolver, topics, SHARDS)
    assert written(topics.living()) == written(await documents(resolver))


async def test_finishing_twice_or_another_round_is_harmless(resolver: Resolver) -> None:
    shard = await busy_shard(resolver)
    first = await take_round(resolver, shard, 3, 0)
    assert first is not None
    await resolver.keep(first, b"1")
    await resolver.finish(first)
    await resolver.finish(first)
    second = await take_round(resolver, shard, 3, 0)
    assert second is not None
    await resolver.keep(second, b"2")
    await resolver.finish(first)
    kept = await resolver.pending(shard, 0)
    assert kept is not None
    assert kept.payload == b"2"


async def test_keeping_a_round_that_is_not_in_flight_is_refused(resolver: Resolver) -> None:
    shard = await busy_shard(resolver)
    with pytest.raises(Fenced):
        await resolver.keep(Round(shard, 1), b"never taken")
    round_ = await take_round(resolver, shard, 3, 0)
    assert round_ is not None
    with pytest.raises(Fenced):
        await resolver.keep(replace(round_, number=round_.number + 1), b"another")
    await resolver.pending(shard, 0)
    with pytest.raises(Fenced):
        await resolver.keep(round_, b"given back")


async def test_a_second_publisher_of_a_shard_is_refused_while_a_round_is_in_flight(resolver: Resolver) -> None:
    shard = await busy_shard(resolver)
    assert await take_round(resolver, shard, 3, 0) is not None
    with pytest.raises(Fenced):
        await take_round(resolver, shard, 3, 0)


async def test_numbers_rise_above_every_one_before(resolver: Resolver) -> None:
    shard = await busy_shard(resolver)
    numbers = []
    for undone in (False, True, False, False):
        round_ = await take_round(resolver, shard, 1)
        assert round_ is not None
        numbers.append(round_.number)
        if undone:
            assert await resolver.pending(shard, round_.number - 1) is None
        else:
            await resolver.keep(round_, b"x")
            await resolver.finish(round_)
    assert numbers == [1, 2, 3, 4]


async def test_an_id_that_ended_is_told_as_merged(resolver: Resolver) -> None:
    topics = Topics()
    await apply(resolver, event("e1", "9:00", person("device:a")), event("e2", "9:01", person("device:b")))
    await drain(resolver, topics, SHARDS)
    ended = topics.documents["identifiers", "person:device:b"]["entity_id"]
    await apply(resolver, event("e3", "9:02", person("device:a", "device:b")))
    await drain(resolver, topics, SHARDS)
    survivor = topics.documents["identifiers", "person:device:a"]["entity_id"]
    assert topics.documents["identifiers", "person:device:b"]["entity_id"] == survivor
    assert topics.documents["entities", ended] == {
        "entity_id": ended, "entity_type": "person", "status": "merged", "merged_into": survivor,
    }  # fmt: skip
    named = {(line["entity_id"], line["event_id"]) for line in topics.lines if line["kind"] == "entity.merged"}
    assert named == {(survivor, "e3"), (ended, "e3")}
    assert topics.timeline[ended].merged_into == survivor
    assert topics.timeline[survivor].merged_into is None


async def test_a_merge_names_the_first_event_of_its_link_and_none_that_was_erased(resolver: Resolver) -> None:
    topics = Topics()
    await apply(resolver, *(event(f"e{n}", f"9:0{n}", person(f"device:{one}")) for n, one in enumerate("abc")))
    await drain(resolver, topics, SHARDS)
    before = len(topics.lines)
    links = event("e5", "10:00", person("device:a", "device:b")), event("e6", "10:10", person("device:a", "device:c"))
    await apply(resolver, *links, event("e7", "9:50", person("device:a", "device:b")))
    await erase(resolver, "12:00", "device:c")
    await drain(resolver, topics, SHARDS)
    told = topics.lines[before:]
    assert sorted(str(line["event_id"]) for line in told if line["kind"] == "entity.merged") == ["None", "e7", "e7"]
    assert "e6" not in {line["event_id"] for line in told}


async def test_a_trait_that_changes_only_its_json_type_is_told(resolver: Resolver) -> None:
    topics = Topics()
    for n, value in enumerate((1, 1.0, True)):
        await apply(resolver, event(f"e{n}", f"9:0{n}", person("device:a", traits={"flag": value})))
        await drain(resolver, topics, SHARDS)
    (told,) = (document for (topic, _), document in topics.documents.items() if topic == "entities")
    assert told["traits"]["flag"] is True


async def test_an_identifier_is_told_again_when_its_entitys_id_goes_and_comes_back(resolver: Resolver) -> None:
    topics = Topics()
    await apply(resolver, event("e1", "9:00", person("device:a", "device:b", "device:c")), event("e2", "8:30", person("device:a")))
    for when, who in (("8:00", "device:b"), ("7:00", "device:a")):
        for shard in range(SHARDS):
            await publish(resolver, topics, shard, limit=100)
        await apply(resolver, event(when, when, person(who)))
    await drain(resolver, topics, SHARDS)
    assert written(topics.living()) == written(await documents(resolver))


async def test_a_wide_merge_is_told_to_the_last_identifier(resolver: Resolver) -> None:
    topics = Topics()
    for side in ("a", "b"):
        await apply(resolver, *(event(f"{side}{n}", f"9:{n:02}", person(f"user_id:{side}", f"device:{side}{n}")) for n in range(30)))
        await apply(resolver, *(event(f"{side}{n}", "10:00", person(f"device:{side}{n}"), group(f"shop:{n}")) for n in range(30)))
    await drain(resolver, topics, SHARDS)
    await apply(resolver, event("join", "11:00", person("device:a7", "device:b7")))
    await resolver.sweep(10)
    await apply(resolver, event("late", "8:00", person("device:b3")))
    await resolver.sweep(10)
    await apply(resolver, event("more", "11:00", person("device:a3", "device:c1", "device:c2")))
    await drain(resolver, topics, SHARDS)
    assert written(topics.living()) == written(await documents(resolver))


@pytest.mark.parametrize("limit", [1, 5, 1_000])
async def test_whoever_belongs_to_a_group_is_told_to_live_before(resolver: Resolver, limit: int) -> None:
    seen = [
        event(
            f"e{n}",
            "9:00",
            person(f"user_id:u{n}", traits={"n": n}),
            group("domain:a.example"),
            memberships=[Membership(0, 1, "", ended=False)],
        )
        for n in range(12)
    ]
    await apply(resolver, *seen)
    topics = Topics()
    await drain(resolver, topics, SHARDS, limit)
    kinds: dict[str, list[str]] = {}
    for line in topics.lines:
        kinds.setdefault(line["entity_id"], []).append(line["kind"])
    told = ["entity.created", "identifier.added", "trait.changed", "membership.started"]
    assert sorted(kinds.values()) == [told[:2], *[told] * 12]
