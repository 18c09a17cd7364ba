from __future__ import annotations

from streams.bench.sightings import CHAIN, REPEATED


def test_repeated_sightings_are_the_same_link_every_time() -> None:
    links = [one.sightings[0].link for one in REPEATED.evidence(5)]
    assert len(set(links)) == 1
    assert [len(one.sightings[0].identifiers) for one in REPEATED.evidence(1)] == [4]


def test_a_chain_shares_one_identifier_with_the_link_before() -> None:
    first, second = ({usable.digest for usable in one.sightings[0].identifiers} for one in CHAIN.evidence(2))
    assert len(first) == len(second) == 2
    assert len(first & second) == 1
