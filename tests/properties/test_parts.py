"""Parts under the guards, over random evidence: any order, the promises of each guard, and what taking evidence away restores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from resolvers.edge import Together, edges_of, strength
from resolvers.identifier import Identifier, identifier_digest
from resolvers.parts import Corrections, Parts, parts_of
from resolvers.rules import EntityRule, Rules
from resolvers.sighting import Usable
from streams.settings import EntitySettings, HubSettings, IdentifierSettings
from tests.properties.depth import depth

KEY = b"a key for tests"
TYPES = ("user_id", "email", "device")


def rule_of(limits: Sequence[int | None], over: int, size: int) -> EntityRule:
    hub = HubSettings(of="user_id", over=over)
    identifiers = {
        kind: IdentifierSettings(limit=limit, hub=None if kind == "user_id" else hub) for kind, limit in zip(TYPES, limits, strict=True)
    }
    return Rules.from_settings({"person": EntitySettings(identifiers=identifiers, size=size)}, KEY).entities["person"]


rules = st.builds(rule_of, st.tuples(*[st.sampled_from([None, 1, 2, 3])] * 3), st.integers(1, 4), st.sampled_from([1, 2, 3, 5, 8, 1_000]))
identifiers = st.tuples(st.integers(0, 2), st.integers(0, 4)).map(
    lambda one: Usable(ident := Identifier("person", TYPES[one[0]], str(one[1])), identifier_digest(KEY, ident), one[0] + 1)
)
links = st.lists(
    st.builds(
        lambda named, first: Together(tuple(sorted(set(named), key=strength)), first),
        st.lists(identifiers, min_size=1, max_size=4),
        st.integers(0, 9),
    ),
    max_size=14,
)
pairs = st.tuples(identifiers, identifiers).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: (pair[0].digest, pair[1].digest))
corrections = st.builds(Corrections, st.frozensets(identifiers.map(lambda one: one.digest), max_size=2), st.frozensets(pairs, max_size=3))


def where(found: Parts) -> dict[bytes, int]:
    return {digest: at for at, part in enumerate(found.parts) for digest in part}


@given(links, rules, corrections, st.randoms(use_true_random=False), st.data())
@depth(300)
def test_order_and_repeats_change_nothing(
    seen: list[Together], rule: EntityRule, said: Corrections, chance: Random, data: st.DataObject
) -> None:
    again = [*seen, *(data.draw(st.lists(st.sampled_from(seen), max_size=4)) if seen else [])]
    chance.shuffle(again)
    assert parts_of(again, rule, said) == parts_of(seen, rule, said)


@given(links, rules, corrections)
@depth(300)
def test_every_guard_holds_and_every_edge_is_kept_or_refused(seen: list[Together], rule: EntityRule, said: Corrections) -> None:
    found = parts_of(seen, rule, said)
    part, types = where(found), {one.digest: one.identifier.type for link in seen for one in link.identifiers}
    assert part.keys() | found.off == types.keys()
    assert not part.keys() & found.off
    for one in found.parts:
        for kind, count in Counter(types[digest] for digest in one).items():
            limit = rule.identifiers[kind].limit
            assert limit is None or count <= limit
        assert len(one) <= rule.size or len({types[digest] for digest in one}) == 1
    assert not [pair for pair in said.forbidden if pair[0] in part and part[pair[0]] == part.get(pair[1])]
    apart = {edge.ends for edge in edges_of(seen, found.off) if part[edge.stronger.digest] != part[edge.weaker.digest]}
    assert {one.edge.ends for one in found.refused} == apart


@given(links, rules)
@depth(300)
def test_hubs_are_those_with_too_many_owners(seen: list[Together], rule: EntityRule) -> None:
    owners: dict[bytes, set[bytes]] = {}
    for link in seen:
        users = {one.digest for one in link.identifiers if one.identifier.type == "user_id"}
        for one in link.identifiers:
            if one.identifier.type != "user_id":
                owners.setdefault(one.digest, set()).update(users)
    hub = rule.identifiers["device"].hub
    assert hub is not None
    assert parts_of(seen, rule).off == {digest for digest, found in owners.items() if len(found) > hub[1]}


@given(links, rules, identifiers)
@depth(300)
def test_blocking_an_identifier_restores_what_was_without_it(seen: list[Together], rule: EntityRule, blocked: Usable) -> None:
    without = [Together(rest, link.first) for link in seen if (rest := tuple(one for one in link.identifiers if one != blocked))]
    found = parts_of(seen, rule, Corrections(blocked=frozenset({blocked.digest})))
    expected = parts_of(without, rule)
    assert (found.parts, found.refused) == (expected.parts, expected.refused)
    assert found.off - {blocked.digest} == expected.off


@given(links, links, rules)
@depth(200)
def test_strangers_change_nothing_for_each_other(seen: list[Together], others: list[Together], rule: EntityRule) -> None:
    renamed = [Together(tuple(sorted(map(_stranger, link.identifiers), key=strength)), link.first) for link in others]
    both, alone, apart = (parts_of(one, rule) for one in ([*seen, *renamed], seen, renamed))
    assert set(both.parts) == {*alone.parts, *apart.parts}


def _stranger(one: Usable) -> Usable:
    identifier = Identifier(one.identifier.entity_type, one.identifier.type, f"other {one.identifier.value}")
    return Usable(identifier, identifier_digest(KEY, identifier), one.priority)
