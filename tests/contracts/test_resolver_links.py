"""Links: the evidence that every resolver gives back, page by page."""

from __future__ import annotations

from resolvers.identifier import Identifier
from resolvers.link import MOST_LINKS, SeenLink
from resolvers.port import Resolver
from tests.histories import apply, event, group, person
from tests.linking import named, seen


async def pages(resolver: Resolver, identifier: Identifier, limit: int) -> list[list[SeenLink]]:
    """Read all pages, each sorted."""
    page = await resolver.links(identifier, limit=limit)
    found = [sorted(page.links, key=lambda link: link.order)]
    while page.after:
        page = await resolver.links(identifier, page.after, limit)
        found.append(sorted(page.links, key=lambda link: link.order))
    return found


async def links(resolver: Resolver, identifier: Identifier, limit: int = MOST_LINKS) -> list[SeenLink]:
    """Read all links, the oldest first."""
    return sorted((link for page in await pages(resolver, identifier, limit) for link in page), key=lambda link: link.order)


async def test_an_identifier_that_was_never_seen_is_on_no_link(resolver: Resolver) -> None:
    await apply(resolver, event("e1", "9:00", person("email:ann@x.example")))
    assert await links(resolver, named("email:bob@x.example")) == []


async def test_a_link_has_its_identifiers_strongest_first_and_its_times(resolver: Resolver) -> None:
    await apply(
        resolver,
        event("e2", "10:00", person("email:ann@x.example", "user_id:u")),
        event("e1", "9:00:00.007", person("user_id:u", "email:ANN@x.example")),
        event("e3", "02T11:30", person("user_id:u", "email:ann@x.example")),
    )
    both = seen("e1", "9:00:00.007", "user_id:u", "email:ann@x.example", last="02T11:30")
    assert await links(resolver, named("email:ann@x.example")) == [both]
    assert await links(resolver, named("user_id:u")) == [both]


async def test_only_the_links_that_an_identifier_is_on_are_given(resolver: Resolver) -> None:
    await apply(
        resolver,
        event("e1", "9:00", person("device:d")),
        event("e2", "10:00", person("device:d", "user_id:u"), group("shop:d")),
        event("e3", "11:00", person("user_id:u", "email:ann@x.example"), person("device:other")),
    )
    alone, both = seen("e1", "9:00", "device:d"), seen("e2", "10:00", "user_id:u", "device:d")
    third = seen("e3", "11:00", "user_id:u", "email:ann@x.example")
    assert await links(resolver, named("device:d")) == [alone, both]
    assert await links(resolver, named("user_id:u")) == [both, third]
    assert await links(resolver, named("shop:d", "group")) == [seen("e2", "10:00", "shop:d", entity_type="group")]


async def test_pages_hold_at_most_so_many_and_every_link_once(resolver: Resolver) -> None:
    await apply(resolver, *(event(f"e{number}", f"9:{number:02}", person("user_id:u", f"device:d{number}")) for number in range(7)))
    found = await pages(resolver, named("user_id:u"), 3)
    assert [len(page) for page in found] == [3, 3, 1]
    expected = [seen(f"e{number}", f"9:{number:02}", "user_id:u", f"device:d{number}") for number in range(7)]
    assert sorted((link for page in found for link in page), key=lambda link: link.order) == expected
    assert [len(page) for page in await pages(resolver, named("user_id:u"), 7)] == [7]


async def test_links_made_between_two_pages_repeat_nothing(resolver: Resolver) -> None:
    await apply(resolver, *(event(f"e{number}", f"9:{number:02}", person("user_id:u", f"device:d{number}")) for number in range(4)))
    first = await resolver.links(named("user_id:u"), 0, 2)
    await apply(resolver, event("late", "8:00", person("user_id:u", "device:late")))
    names = {link.name for link in first.links}
    page = await resolver.links(named("user_id:u"), first.after, 100)
    assert len(first.links) == 2
    assert names.isdisjoint(link.name for link in page.links)
    old = {f"device:d{number}" for number in range(4)}
    given = {f"device:{link.identifiers[1].identifier.value}" for link in (*first.links, *page.links)}
    assert old <= given


async def test_links_with_many_identifiers_come_too(resolver: Resolver) -> None:
    many = [f"device:d{number}" for number in range(150)]
    await apply(
        resolver, *(event(f"e{number}", f"9:{number:02}", person("user_id:u", f"email:m{number}@x.example", *many)) for number in range(9))
    )
    found = await links(resolver, named("user_id:u"))
    assert [(link.first.event_id, len(link.identifiers)) for link in found] == [(f"e{number}", 152) for number in range(9)]


async def test_reading_links_changes_nothing(resolver: Resolver) -> None:
    await apply(resolver, event("e1", "9:00", person("user_id:u", "device:d")))
    before = await resolver.backlog()
    await links(resolver, named("user_id:u"))
    assert await resolver.backlog() == before
