"""The shortest chain of links between two identifiers."""

from __future__ import annotations

from resolvers.explanation import Connected, NotConnected, Outcome, TooWide, Unknown, explain
from resolvers.identifier import Identifier
from resolvers.link import MOST_LINKS, LinkPage, SeenLink
from tests.linking import Shelf, named, seen


async def ask(links: list[SeenLink], one: str, other: str, most: int = 1_000) -> Outcome:
    return await explain(Shelf(links), named(one), named(other), most)


def told(outcome: Outcome) -> list[tuple[str, str, str]]:
    """Write a chain as (from, event, to)."""
    assert isinstance(outcome, Connected)
    return [(step.start.value, step.link.first.event_id, step.end.value) for step in outcome.chain]


CHAIN = [
    seen("e1", "9:00", "device:a", "device:b"),
    seen("e2", "9:01", "device:b", "device:c"),
    seen("e3", "9:02", "device:c", "device:d"),
]


async def test_a_chain_names_the_link_between_each_two_identifiers() -> None:
    assert told(await ask(CHAIN, "device:a", "device:d")) == [("a", "e1", "b"), ("b", "e2", "c"), ("c", "e3", "d")]


async def test_the_other_way_round_it_is_the_same_chain() -> None:
    assert told(await ask(CHAIN, "device:d", "device:a")) == [("d", "e3", "c"), ("c", "e2", "b"), ("b", "e1", "a")]


async def test_the_shortest_chain_wins_over_an_older_one() -> None:
    links = [*CHAIN, seen("e4", "02T9:00", "device:a", "device:x", "device:d")]
    assert told(await ask(links, "device:a", "device:d")) == [("a", "e4", "d")]


async def test_of_two_shortest_chains_the_one_with_the_older_links_wins_in_whatever_order_they_are_read() -> None:
    young = [seen("e5", "10:00", "device:a", "device:x"), seen("e6", "8:00", "device:x", "device:c")]
    for links in ([*CHAIN, *young], [*young, *CHAIN], [*reversed(CHAIN), *young]):
        assert told(await ask(links, "device:a", "device:c")) == [("a", "e1", "b"), ("b", "e2", "c")]
        assert told(await ask(links, "device:c", "device:a")) == [("c", "e2", "b"), ("b", "e1", "a")]


async def test_the_oldest_link_of_two_between_the_same_identifiers_is_named() -> None:
    links = [seen("e2", "9:00", "user_id:u", "device:a"), seen("e1", "8:00", "user_id:u", "device:a", "device:b")]
    assert told(await ask(links, "user_id:u", "device:a")) == [("u", "e1", "a")]


async def test_an_identifier_is_itself_without_any_link() -> None:
    assert await ask(CHAIN, "device:a", "device:a") == Connected(())


class Without(Shelf):
    """Leaves out the links of one event, as a reader does that gives only those which count."""

    async def links(self, identifier: Identifier, after: int = 0, limit: int = MOST_LINKS) -> LinkPage:
        page = await super().links(identifier, after, limit)
        return LinkPage(tuple(link for link in page.links if link.first.event_id != "e1"), page.after)


async def test_an_identifier_of_which_a_reader_leaves_the_first_link_out_is_known() -> None:
    reader = Without(CHAIN, page=1)
    assert told(await explain(reader, named("device:b"), named("device:d"))) == [("b", "e2", "c"), ("c", "e3", "d")]
    assert await explain(reader, named("device:a"), named("device:d")) == Unknown(named("device:a"))


async def test_what_no_links_join_is_not_connected() -> None:
    links = [*CHAIN, seen("e9", "9:00", "device:y", "device:z")]
    assert await ask(links, "device:a", "device:z") == NotConnected()


async def test_identifiers_of_two_entity_types_are_not_connected() -> None:
    shop = seen("e9", "9:00", "shop:a", entity_type="group")
    assert await explain(Shelf([*CHAIN, shop]), named("device:a"), named("shop:a", "group")) == NotConnected()


async def test_what_was_never_seen_is_unknown() -> None:
    assert await ask(CHAIN, "device:a", "device:q") == Unknown(named("device:q"))
    assert await ask(CHAIN, "device:q", "device:a") == Unknown(named("device:q"))


async def test_a_search_gives_up_and_says_how_far_it_came() -> None:
    many = [seen(f"e{number}", "9:00", f"device:n{number}", f"device:n{number + 1}") for number in range(100)]
    assert await ask(many, "device:n0", "device:n100", most=30) == TooWide(6)
    assert len(told(await ask(many, "device:n0", "device:n100"))) == 100


async def test_a_quiet_end_finds_the_other_however_many_links_that_has() -> None:
    hub = [seen(f"e{number}", "9:00", "user_id:hub", f"device:n{number}") for number in range(3_000)]
    shelf = Shelf([*hub, seen("far", "9:01", "device:n7", "device:quiet")])
    assert told(await explain(shelf, named("device:quiet"), named("user_id:hub"))) == [("quiet", "far", "n7"), ("n7", "e7", "hub")]
    assert shelf.calls < 20
