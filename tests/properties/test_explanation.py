"""Explanations against every chain there is: the shortest, of these the oldest, from either end."""

from __future__ import annotations

import asyncio
from itertools import pairwise, product

from hypothesis import given
from hypothesis import strategies as st

from resolvers.explanation import Connected, NotConnected, explain
from resolvers.identifier import Identifier
from resolvers.link import SeenLink
from tests.linking import Shelf, seen

NAMES = [f"device:{letter}" for letter in "abcdefg"]
GROUPS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True).map(sorted)


def shortest(links: list[SeenLink], start: Identifier, end: Identifier) -> list[SeenLink] | None:
    """Try all chains of one link, of two, and so on; of the first length that leads there give the oldest."""
    for length in range(1, 5):
        found = [chain for chain in product(links, repeat=length) if _leads(chain, start, end)]
        if found:
            return list(min(found, key=lambda chain: [link.order for link in chain]))
    return None


def _leads(chain: tuple[SeenLink, ...], start: Identifier, end: Identifier) -> bool:
    ends = start in chain[0].linked and end in chain[-1].linked
    return ends and all(before.linked & behind.linked for before, behind in pairwise(chain))


@given(st.lists(GROUPS, min_size=1, max_size=7, unique_by=tuple), st.data())
def test_the_chain_is_the_oldest_of_the_shortest(groups: list[list[str]], data: st.DataObject) -> None:
    links = [seen(f"e{data.draw(st.integers(0, 2))}", f"9:0{data.draw(st.integers(0, 2))}", *group) for group in groups]
    known = sorted(set().union(*(link.linked for link in links)))
    one, other = sorted(data.draw(st.lists(st.sampled_from(known), min_size=2, max_size=2)))
    expected = shortest(links, one, other) if one != other else []
    shelf = Shelf(data.draw(st.permutations(links)), data.draw(st.integers(1, 3)))
    there, back = (asyncio.run(explain(shelf, *ends)) for ends in ((one, other), (other, one)))
    if not isinstance(there, Connected) or not isinstance(back, Connected):
        assert (there, back, expected) == (NotConnected(), NotConnected(), None)
        return
    assert [step.link for step in there.chain] == expected
    assert [(step.end, step.link, step.start) for step in reversed(back.chain)] == [(s.start, s.link, s.end) for s in there.chain]
    for step in there.chain:
        assert step.start in step.link.linked
        assert step.end in step.link.linked
    stops = [one, *(step.end for step in there.chain)]
    assert [step.start for step in there.chain] == stops[:-1]
    assert stops[-1] == other
