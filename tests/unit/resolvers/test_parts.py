"""Who is one entity under the guards: small stories, written as `type:value` seen together at a time."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations

import pytest

from resolvers.division import Guard
from resolvers.edge import Together, centre_of, strength
from resolvers.identifier import Identifier, identifier_digest
from resolvers.parts import Corrections, Parts, founder_of_part, parts_of
from resolvers.rules import EntityRule, Rules
from resolvers.sighting import Usable
from streams.settings import EntitySettings, HubSettings, IdentifierSettings

KEY = b"a key for tests"


def rule(size: int = 1_000, email_limit: int | None = None, hub_over: int = 2) -> EntityRule:
    """Make a rule: user_id, at most one to a person; email; device, a hub over so many user ids."""
    person = EntitySettings(
        identifiers={
            "user_id": IdentifierSettings(limit=1),
            "email": IdentifierSettings(limit=email_limit, hub=HubSettings(of="user_id", over=100)),
            "device": IdentifierSettings(hub=HubSettings(of="user_id", over=hub_over)),
        },
        size=size,
    )
    return Rules.from_settings({"person": person}, KEY).entities["person"]


def usable(named: str) -> Usable:
    kind, value = named.split(":")
    identifier = Identifier("person", kind, value)
    return Usable(identifier, identifier_digest(KEY, identifier), ["user_id", "email", "device"].index(kind) + 1)


def seen(first: int, *named: str) -> Together:
    """Make a link."""
    return Together(tuple(sorted((usable(one) for one in named), key=strength)), first)


def digests(*named: str) -> frozenset[bytes]:
    return frozenset(usable(one).digest for one in named)


def who(found: Parts, links: Iterable[Together]) -> set[frozenset[str]]:
    """Write parts with the names of their identifiers."""
    names = {one.digest: f"{one.identifier.type}:{one.identifier.value}" for link in links for one in link.identifiers}
    return {frozenset(names[digest] for digest in part) for part in found.parts}


def parts(*expected: str) -> set[frozenset[str]]:
    return {frozenset(part.split()) for part in expected}


def refused(found: Parts) -> set[tuple[str, str, str]]:
    return {(one.edge.stronger.identifier.value, one.edge.weaker.identifier.value, one.guard.value) for one in found.refused}


def test_what_no_guard_keeps_apart_is_one() -> None:
    links = [seen(1, "user_id:u1", "email:a"), seen(2, "email:a", "device:d1"), seen(3, "email:b")]
    found = parts_of(links, rule())
    assert who(found, links) == parts("user_id:u1 email:a device:d1", "email:b")
    assert (found.refused, found.off) == ((), frozenset())


def test_a_limit_keeps_the_second_value_apart_and_says_so() -> None:
    links = [seen(1, "user_id:u1", "email:a"), seen(2, "user_id:u2", "email:a")]
    found = parts_of(links, rule())
    assert who(found, links) == parts("user_id:u1 email:a", "user_id:u2")
    assert refused(found) == {("u2", "a", "limit")}


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_older_of_two_equal_edges_holds_whichever_came_first(order: tuple[int, ...]) -> None:
    links = [seen(5, "user_id:u1", "email:a"), seen(3, "user_id:u2", "email:a"), seen(9, "user_id:u2", "device:d")]
    found = parts_of([links[at] for at in order], rule())
    assert who(found, links) == parts("user_id:u2 email:a device:d", "user_id:u1")


def test_a_strong_edge_holds_before_an_older_weak_one() -> None:
    links = [
        seen(1, "user_id:u1", "device:d"),
        seen(2, "user_id:u2", "device:d"),
        seen(8, "user_id:u2", "email:a"),
        seen(9, "email:a", "device:d"),
    ]
    found = parts_of(links, rule())
    assert who(found, links) == parts("user_id:u1 device:d", "user_id:u2 email:a")
    assert refused(found) == {("u2", "d", "limit"), ("a", "d", "limit")}


def test_a_limit_also_holds_within_one_link() -> None:
    links = [seen(1, "user_id:u1", "user_id:u2", "email:a")]
    found = parts_of(links, rule())
    assert len(found.parts) == 2
    assert {one.guard for one in found.refused} == {Guard.LIMIT}


def test_a_device_of_many_connects_nobody_also_in_the_past() -> None:
    links = [seen(at, f"user_id:u{at}", "device:kiosk") for at in (1, 2, 3)]
    found = parts_of(links, rule(hub_over=2))
    assert who(found, links) == parts("user_id:u1", "user_id:u2", "user_id:u3")
    assert found.off == digests("device:kiosk")
    assert found.refused == ()


def test_blocked_owners_do_not_make_a_hub() -> None:
    links = [seen(at, f"user_id:u{at}", "device:phone", "email:a") for at in (1, 2, 3)]
    found = parts_of(links, rule(hub_over=2), Corrections(blocked=digests("user_id:u1", "user_id:u2")))
    assert who(found, links) == parts("user_id:u3 device:phone email:a")


def test_a_commanded_link_joins_and_counts_for_no_hub() -> None:
    links = [seen(at, f"user_id:u{at}") for at in (1, 2, 3)] + [seen(4, "device:d")]
    commanded = tuple(seen(5, "device:d", f"user_id:u{at}") for at in (1, 2, 3))
    found = parts_of(links, rule(hub_over=2), Corrections(linked=commanded))
    assert found.off == frozenset()
    assert who(found, links) == parts("user_id:u1 device:d", "user_id:u2", "user_id:u3")
    assert {one.guard for one in found.refused} == {Guard.LIMIT}


def test_blocking_the_centre_moves_the_star_to_the_next_strongest() -> None:
    link = seen(1, "user_id:u1", "email:a", "device:d")
    off = digests("user_id:u1")
    assert who(parts_of([link], rule(), Corrections(blocked=off)), [link]) == parts("email:a device:d")
    assert centre_of(link, off) == usable("email:a")
    assert centre_of(link, digests("user_id:u1", "email:a", "device:d")) is None


def test_a_forbidden_pair_is_never_one_however_it_is_connected() -> None:
    links = [seen(1, "email:a", "device:x"), seen(2, "email:b", "device:x"), seen(3, "email:b", "device:y"), seen(4, "email:a", "device:y")]
    pair = (usable("email:a").digest, usable("email:b").digest)
    found = parts_of(links, rule(), Corrections(forbidden=frozenset({pair})))
    assert who(found, links) == parts("email:a device:x", "email:b device:y")
    assert refused(found) == {("b", "x", "forbidden"), ("a", "y", "forbidden")}


def test_too_large_a_component_loses_its_weakest_type_first() -> None:
    links = [seen(at, f"email:{at}", "device:shared") for at in range(4)] + [
        seen(9, "user_id:u", "email:1"),
        seen(9, "user_id:u", "email:2"),
    ]
    found = parts_of(links, rule(size=5))
    assert who(found, links) == parts("user_id:u email:1 email:2", "email:0", "email:3", "device:shared")
    assert refused(found) == {(str(at), "shared", "size") for at in range(4)}


def test_one_type_alone_may_be_as_large_as_it_is() -> None:
    links = [seen(at, f"email:{at}", f"email:{at + 1}") for at in range(8)]
    assert len(parts_of(links, rule(size=3)).parts) == 1


def test_an_email_limit_counts_distinct_values_not_sightings() -> None:
    links = [seen(at, "user_id:u", "email:a") for at in range(5)] + [seen(7, "user_id:u", "email:b"), seen(8, "user_id:u", "email:c")]
    found = parts_of(links, rule(email_limit=2))
    assert who(found, links) == parts("user_id:u email:a email:b", "email:c")


def test_the_founder_is_the_first_seen_then_the_smallest_digest() -> None:
    one, other = sorted(digests("email:a", "email:b"))
    assert founder_of_part({one, other}, {one: 5, other: 4}) == other
    assert founder_of_part({one, other}, {one: 5, other: 5}) == one
