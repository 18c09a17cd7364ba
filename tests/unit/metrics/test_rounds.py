from __future__ import annotations

from resolvers.port import OutputRecord, Round
from streams.counters import Counters
from streams.metrics.rounds import count_round

RECORDS = (
    OutputRecord("entities", "per_a", {"status": "active", "entity_type": "person", "identifier_count": 4}),
    OutputRecord("entities", "per_b", {"status": "merged", "entity_type": "person", "merged_into": "per_a"}),
    OutputRecord("memberships", "per_b:grp_a", None),
    OutputRecord("timeline", "per_a", {"kind": "entity.created", "data": {}}),
    OutputRecord("timeline", "per_a", {"kind": "entity.merged", "data": {"absorbed_id": "per_b"}}),
    OutputRecord("timeline", "per_b", {"kind": "entity.merged", "data": {"merged_into": "per_a"}}),
    OutputRecord("timeline", "per_a", {"kind": "entity.split", "data": {"parts": []}}),
    OutputRecord("timeline", "per_a", {"kind": "merge.refused", "data": {"guard": "size"}}),
    OutputRecord("timeline", "per_a", {"kind": "trait.changed", "data": {}}),
)


def test_a_merge_counts_once_and_the_largest_entity_is_kept() -> None:
    counters = Counters()
    count_round(counters, Round(0, 1, RECORDS))
    assert counters.snapshot() == {
        "entities_created.no": 1,
        "merges.no": 1,
        "merges_refused.size.no": 1,
        "records_told.entities": 2,
        "records_told.memberships": 1,
        "records_told.timeline": 6,
        "rounds_told": 1,
        "splits.no": 1,
    }
    assert counters.peaks() == {("largest_entity_identifiers", "person"): 4}


def test_what_may_be_told_again_is_counted_apart() -> None:
    counters = Counters()
    count_round(counters, Round(0, 1, RECORDS[4:5], recovery=True))
    assert counters.snapshot()["merges.yes"] == 1


def test_an_empty_round_is_only_a_round() -> None:
    counters = Counters()
    count_round(counters, Round(0, 1))
    assert counters.snapshot() == {"rounds_told": 1}
    assert counters.spreads() == {}
