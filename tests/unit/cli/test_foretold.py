"""What a dry run says where too much hangs together to compute it: how far it looked, and of whom that is now."""

from __future__ import annotations

import pytest

from resolvers.correction import CorrectionBatch
from resolvers.erasure import Erasure
from resolvers.memory import MemoryResolver
from resolvers.preview import difference, surroundings
from resolvers.sighting import Position
from streams.cli.correct import cut_lines, preview_document
from streams.correcting import looked_at
from streams.erasing import erased_pictures, spanning
from tests.histories import RULES, apply, event, group, person
from tests.linking import named, usable


@pytest.fixture
async def resolver() -> MemoryResolver:
    """Give a graph of two persons, one of whom has more."""
    graph = MemoryResolver(RULES, 2)
    await apply(
        graph,
        event("e1", "9:00", person("user_id:ann", "device:phone"), group("domain:x.example")),
        event("e2", "9:01", person("user_id:ann", "email:ann@x.example")),
        event("e3", "9:02", person("user_id:ann", "email:a.archer@x.example")),
        event("e4", "9:03", person("user_id:bob", "device:tablet")),
    )
    return graph


async def test_where_all_was_read_nothing_is_said_of_it(resolver: MemoryResolver) -> None:
    around = await surroundings(resolver, [named("user_id:ann")])
    assert await looked_at(resolver, around, [named("user_id:ann")]) is None
    assert list(cut_lines(None)) == []


async def test_how_far_it_looked_and_of_whom_that_is(resolver: MemoryResolver) -> None:
    both = [named("user_id:ann"), named("user_id:bob")]
    around = await surroundings(resolver, both, most=1)
    looked = await looked_at(resolver, around, both)
    owners = [document["entity_id"] for one in both if (document := await resolver.identifier(one))]
    assert looked is not None
    assert looked.touched == tuple(sorted(owners))
    assert list(cut_lines(looked)) == [
        f"looked at {looked.links} links of {looked.identifiers} identifiers, and more hang together with them",
        f"what is named, or was seen together with that, is now of {', '.join(looked.touched)}",
        "what is split, merged or moved, and what of the rest is touched, was not computed: the workers do that",
    ]
    near = {"links": looked.links, "identifiers": looked.identifiers, "entity_ids": list(looked.touched)}
    assert preview_document(None, looked) == {"changes": None, "looked_at": near}


async def test_what_is_named_is_known_of_however_little_is_read(resolver: MemoryResolver) -> None:
    around = await surroundings(resolver, [named("user_id:ann"), named("user_id:bob"), named("device:new")], most=0)
    assert [around.standings[named(one)].known for one in ("user_id:ann", "user_id:bob", "device:new")] == [True, True, False]


async def test_an_erasure_of_several_entity_types_is_foretold(resolver: MemoryResolver) -> None:
    site, ann = usable("domain:x.example", "group"), usable("user_id:ann")
    around = await surroundings(resolver, [site.identifier, ann.identifier])
    before, after = erased_pictures(RULES, around, Erasure("e", (site, ann), 10**14))
    assert len(before.members) == 2
    assert difference(before, after).ended == tuple(sorted(before.members))


async def test_an_erasure_that_a_later_one_covers_changes_nothing(resolver: MemoryResolver) -> None:
    ann, first = usable("user_id:ann"), 10**13
    await resolver.correct(CorrectionBatch("commands", 0, 0, Position(1, 1), (Erasure("e1", (ann,), first),)))
    around = await surroundings(resolver, [ann.identifier])
    before, after = erased_pictures(RULES, around, Erasure("e2", (ann,), first - 1))
    assert difference(before, after).moves == ()
    assert spanning(RULES, around, Erasure("e2", (ann,), first - 1)) == 0
