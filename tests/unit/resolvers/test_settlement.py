from __future__ import annotations

from resolvers.division import Guard
from resolvers.identifier import Identifier
from resolvers.rules import Rules
from resolvers.settlement import Divide, Joining, Member, Refuse, Unite, settlement_of
from resolvers.sighting import Usable
from streams.settings import EntitySettings, IdentifierSettings

IDENTIFIERS = {"user_id": IdentifierSettings(limit=1), "email": IdentifierSettings(), "device": IdentifierSettings()}
RULE = Rules.from_settings({"person": EntitySettings(identifiers=IDENTIFIERS)}, b"k").entities["person"]
PRIORITY = {kind: at for at, kind in enumerate(IDENTIFIERS, start=1)}


def member(number: int, root: int, kind: str, *, off: bool = False, stale: bool = False, founds: bool = False) -> Member:
    usable = Usable(Identifier("person", kind, ""), number.to_bytes(16, "big"), PRIORITY[kind])
    return Member(number, root, usable, off, stale, founds)


def test_a_part_of_two_users_is_divided_along_the_older_link() -> None:
    members = [member(1, 1, "user_id"), member(2, 1, "user_id", founds=True), member(3, 1, "email")]
    found = settlement_of(members, [Joining(7, 50, (1, 3)), Joining(8, 40, (2, 3))], RULE, {})
    assert found.divisions == (Divide(1, ((1,), (3, 2)), (), (1, 2, 3)),)
    assert (found.unions, found.whole) == ((), ())
    assert set(found.apart[0]) <= {1, 2, 3}
    assert found.refusals == (Refuse(1, 3, 7, Guard.LIMIT),)


def test_pieces_are_united_by_the_oldest_link_once_they_are_divided() -> None:
    members = [member(1, 1, "user_id"), member(2, 2, "user_id"), member(3, 1, "email")]
    found = settlement_of(members, [Joining(7, 50, (1, 3)), Joining(8, 40, (2, 3)), Joining(9, 60, (2, 3))], RULE, {})
    assert found.divisions == (Divide(1, ((1,), (3,)), (), (1, 3)),)
    assert found.unions == (Unite(2, 3, 8),)


def test_who_is_off_is_left_without_a_part_and_what_is_whole_leaves_the_case() -> None:
    members = [member(1, 1, "user_id"), member(2, 1, "device", off=True), member(3, 3, "email")]
    found = settlement_of(members, [Joining(7, 50, (1, 3))], RULE, {})
    assert (found.divisions, found.unions) == ((Divide(1, ((1,),), (2,), (1, 2)),), (Unite(1, 3, 7),))
    assert (len(found.whole), found.apart) == (1, ())


def test_a_forbidden_pair_is_kept_apart() -> None:
    members = [member(1, 1, "user_id"), member(3, 1, "email")]
    enemies = {(1).to_bytes(16, "big"): {(3).to_bytes(16, "big")}}
    found = settlement_of(members, [Joining(7, 50, (1, 3))], RULE, enemies)
    assert found.refusals == (Refuse(1, 3, 7, Guard.FORBIDDEN),)


def test_a_stale_part_is_made_anew_though_it_stays_one() -> None:
    found = settlement_of([member(1, 1, "user_id", stale=True)], [], RULE, {})
    assert found.divisions == (Divide(1, ((1,),), (), (1,)),)


def test_a_link_to_what_came_later_is_left_to_the_next_time() -> None:
    assert settlement_of([member(1, 1, "user_id")], [Joining(7, 50, (1, 99))], RULE, {}).unions == ()
