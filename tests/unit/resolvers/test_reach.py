"""Drawing what is near an identifier."""

from __future__ import annotations

from resolvers.reach import draw
from tests.linking import Shelf, named, seen

LINKS = [
    seen("e2", "9:01", "device:b", "device:c"),
    seen("e1", "9:00", "device:a", "device:b"),
    seen("e0", "8:00", "device:a"),
    seen("e9", "9:09", "device:z"),
]


async def test_a_drawing_has_everything_that_links_lead_to_the_oldest_first() -> None:
    drawing = await draw(Shelf(LINKS, 1), named("device:b"), 10)
    assert [link.first.event_id for link in drawing.links] == ["e0", "e1", "e2"]
    assert [one.value for one in drawing.identifiers] == ["a", "b", "c"]
    assert not drawing.cut


async def test_a_drawing_that_becomes_too_large_is_cut_and_says_so() -> None:
    links = [seen(f"e{number}", "9:00", f"device:n{number}", f"device:n{number + 1}") for number in range(100)]
    drawing = await draw(Shelf(links), named("device:n0"), 10)
    assert drawing.cut
    assert [link.first.event_id for link in drawing.links] == sorted(f"e{number}" for number in range(10))
