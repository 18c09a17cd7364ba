from __future__ import annotations

from collections import Counter

import pytest

from resolvers.comparison import Found, Kind, compare


def owners(text: str) -> dict[str, str]:
    """Read `a=1 b=1 c=2`."""
    return dict(one.split("=") for one in text.split())


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("a=1 b=1", "a=1 b=1", Kind.UNCHANGED),
        ("a=1 b=1", "a=2 b=2", Kind.RENAMED),
        ("a=1", "a=1 b=1", Kind.GROWN),
        ("a=1 b=1", "a=1", Kind.SHRUNK),
        ("a=1 b=2", "a=1 b=1", Kind.MERGED),
        ("a=1 b=1", "a=1 b=2", Kind.SPLIT),
        ("a=1 b=1 c=2", "a=1 b=2 c=2", Kind.REGROUPED),
        ("a=1", "", Kind.GONE),
        ("", "a=1", Kind.NEW),
    ],
)
def test_each_kind_of_change_has_its_name(before: str, after: str, kind: Kind) -> None:
    found = compare(owners(before), owners(after))
    assert set(found.before) | set(found.after) == {kind}


def test_the_largest_changes_come_first_with_examples() -> None:
    found = compare(owners("a=1 b=1 c=1 d=2 e=3"), owners("a=1 b=4 c=4 d=2 e=5"), examples=2)
    assert found.changes == (Found(Kind.SPLIT, ("1",), ("1", "4"), 3, ("a", "b")), Found(Kind.RENAMED, ("3",), ("5",), 1, ("e",)))
    assert found.before == Counter({Kind.SPLIT: 1, Kind.UNCHANGED: 1, Kind.RENAMED: 1})
    assert found.after == Counter({Kind.SPLIT: 2, Kind.UNCHANGED: 1, Kind.RENAMED: 1})


def test_a_shared_id_that_went_elsewhere_joins_nothing() -> None:
    found = compare(owners("a=1 b=2"), owners("a=2 b=1"))
    assert [one.kind for one in found.changes] == [Kind.RENAMED, Kind.RENAMED]
