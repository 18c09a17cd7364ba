from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from resolvers.identifier import Identifier, identifier_digest
from resolvers.sighting import Evidence, MembershipSighting, Sighting, Usable
from streams.portions import parts, portions, work_of


def sighting(index: int, identifiers: int = 1) -> Sighting:
    found = tuple(Identifier("person", "email", f"{index}.{one}") for one in range(identifiers))
    return Sighting(index, "person", tuple(Usable(one, identifier_digest(b"key", one), 1) for one in found))


def evidence(name: str, sizes: list[int], memberships: list[tuple[int, int]] | None = None) -> Evidence:
    joined = tuple(MembershipSighting(member, group, f"{member}-{group}") for member, group in memberships or [])
    return Evidence("crm", name, 0, tuple(sighting(index, size) for index, size in enumerate(sizes)), joined)


def said(all_evidence: list[Evidence]) -> set[object]:
    """Give what evidence says, however it is cut."""
    found: set[object] = set()
    for one in all_evidence:
        found |= {(one.event_id, seen) for seen in one.sightings}
        found |= {(one.event_id, one.sightings[joined.member], one.sightings[joined.group], joined.role) for joined in one.memberships}
    return found


def test_small_evidence_goes_in_one_call() -> None:
    small = [evidence(str(number), [2, 1]) for number in range(5)]
    assert [[index for index, _ in portion] for portion in portions(small)] == [[0, 1, 2, 3, 4]]


def test_a_call_has_bounded_events_and_work() -> None:
    many = [evidence(str(number), [3]) for number in range(10)]
    assert [len(portion) for portion in portions(many, events=4)] == [4, 4, 2]
    assert [len(portion) for portion in portions(many, work=9)] == [2, 2, 2, 2, 2]


def test_nothing_to_say_is_no_call() -> None:
    assert list(portions([])) == []


def test_a_participant_is_never_cut() -> None:
    huge = evidence("e", [50, 1])
    assert [[len(seen.identifiers) for seen in part.sightings] for part in parts(huge, work=10)] == [[50], [1]]


@given(
    st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=12), max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 11), st.integers(0, 11)), max_size=10),
    st.integers(16, 40),
)
def test_the_portions_say_what_the_evidence_says(sizes: list[list[int]], joined: list[tuple[int, int, int]], work: int) -> None:
    whole = [
        evidence(str(number), row, [(a % len(row), b % len(row)) for at, a, b in joined if at == number])
        for number, row in enumerate(sizes)
    ]
    cut = list(portions(whole, events=3, work=work))
    assert said([part for portion in cut for _, part in portion]) == said(whole)
    assert all(sum(work_of(part) for _, part in portion) <= work for portion in cut)
    assert all(part.event_id == whole[index].event_id for portion in cut for index, part in portion)
