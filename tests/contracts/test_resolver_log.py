"""Positions and replays: what every resolver makes of batches that come again, or out of turn."""

from __future__ import annotations

import pytest

from resolvers.errors import PositionGap
from resolvers.port import Resolver
from resolvers.sighting import Batch, Position
from streams.events import Membership
from tests.histories import apply, batch, documents, event, group, person, written
from tests.telling import Topics, drain

STORY = [
    event(
        "e1", "9:00", person("user_id:u1", "device:a", traits={"plan": "free"}), group("shop:s1"), memberships=[Membership(0, 1, "owner")]
    ),
    event("e2", "8:00", person("user_id:u2", "device:b", states={"life": "lead"})),
    event("e3", "10:00", person("device:a", "device:b", traits={"plan": "paid"})),
    event("e4", "7:00", person("device:b")),
]


async def test_nothing_applied_is_position_zero(resolver: Resolver) -> None:
    assert await resolver.position("events", 0) == Position(0, 0)


async def test_the_position_moves_with_the_batch_and_keeps_its_checksum(resolver: Resolver) -> None:
    await resolver.apply(Batch("events", 3, 0, Position(17, 2**32 - 1), ()))
    assert await resolver.position("events", 3) == Position(17, 2**32 - 1)
    assert await resolver.position("events", 2) == Position(0, 0)
    assert await resolver.position("commands", 3) == Position(0, 0)


@pytest.mark.parametrize("start", [0, 1, 3, 1000])
async def test_a_batch_that_does_not_continue_is_refused_and_changes_nothing(resolver: Resolver, start: int) -> None:
    await apply(resolver, *STORY[:2])
    before = written(await documents(resolver))
    with pytest.raises(PositionGap) as refused:
        await resolver.apply(batch(STORY[2:], start))
    assert (refused.value.partition, refused.value.expected, refused.value.got) == (0, 2, start)
    assert written(await documents(resolver)) == before
    assert await resolver.position("events", 0) == Position(2, 14)


async def test_the_same_evidence_again_changes_nothing_and_announces_nothing(resolver: Resolver) -> None:
    await apply(resolver, *STORY)
    before = written(await documents(resolver))
    await drain(resolver, Topics(), 2)
    await apply(resolver, *STORY, partition=1)
    await apply(resolver, *reversed(STORY), *STORY, partition=2)
    assert written(await documents(resolver)) == before
    assert (await resolver.backlog()).empty


async def test_one_event_at_a_time_and_backwards_gives_the_same(resolver: Resolver) -> None:
    await apply(resolver, *STORY)
    before = written(await documents(resolver))
    for one in reversed(STORY):
        await apply(resolver, one, partition=1)
    assert written(await documents(resolver)) == before


async def test_an_empty_batch_moves_the_position_alone(resolver: Resolver) -> None:
    await resolver.apply(Batch("events", 0, 0, Position(5, 1), ()))
    assert await documents(resolver) == {}
    assert (await resolver.backlog()).empty


async def test_the_reply_names_every_usable_participant_in_order(resolver: Resolver) -> None:
    applied = await apply(
        resolver,
        event("e1", "9:00", person("device:a"), person("device:null"), group("shop:s1")),
        event("e2", "9:00"),
        event("e3", "9:00", person("device:a")),
    )
    (first, shop), nobody, (again,) = applied.entity_ids
    assert shop is not None
    assert (first, shop[:4], nobody) == (again, "grp_", ())


async def test_a_call_that_was_lost_while_the_position_stayed_is_noticed(resolver: Resolver) -> None:
    await resolver.apply(Batch("events", 0, 0, Position(), (), mark="first"))
    with pytest.raises(PositionGap):
        await resolver.apply(Batch("events", 0, 0, Position(5, 1), (), after="another", mark="second"))
    assert await resolver.position("events", 0) == Position()
    await resolver.apply(Batch("events", 0, 0, Position(5, 1), (), after="first", mark="second"))
    assert await resolver.position("events", 0) == Position(5, 1)


async def test_a_call_whose_answer_was_lost_may_be_made_again(resolver: Resolver) -> None:
    for _ in range(2):
        await resolver.apply(Batch("events", 0, 0, Position(5, 1), (), mark="only"))
    with pytest.raises(PositionGap):
        await resolver.apply(Batch("events", 0, 0, Position(5, 1), (), mark="a later worker"))
