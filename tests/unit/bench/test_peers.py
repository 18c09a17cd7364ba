from __future__ import annotations

from pathlib import Path

from benchmarks.peers.comparison import unexplained
from benchmarks.peers.sightings import read_sightings
from benchmarks.peers.stream import write_later, write_records
from benchmarks.peers.table import difference, entities_in, read_partition, write_table


def partition(tmp_path: Path, *rows: tuple[str, str]) -> dict[str, str]:
    write_table(tmp_path / "table.tsv", rows)
    return read_partition(tmp_path / "table.tsv")


def test_names_of_entities_do_not_count(tmp_path: Path) -> None:
    ours, theirs = (
        partition(tmp_path, ("a", "per_1"), ("b", "per_1"), ("c", "per_2")),
        partition(tmp_path, ("c", "8"), ("b", "7"), ("a", "7")),
    )
    assert ours == theirs == {"a": "a", "b": "a", "c": "c"}
    assert difference(ours, theirs) == ""


def test_the_last_row_of_an_identifier_counts(tmp_path: Path) -> None:
    assert entities_in(partition(tmp_path, ("a", "1"), ("b", "2"), ("b", "1"))) == 1


def test_a_difference_is_said_with_an_identifier(tmp_path: Path) -> None:
    together, apart = partition(tmp_path, ("a", "1"), ("b", "1")), partition(tmp_path, ("a", "1"), ("b", "2"))
    assert difference(together, apart) == "2 entities instead of 1; 1 identifiers differ, the first is b: with b instead of a"
    assert "the first is b: with None" in difference(together, partition(tmp_path, ("a", "1")))


def test_only_a_bounded_query_may_differ() -> None:
    peers = [
        {"name": "scipy", "agrees": False, "differs": "2 entities instead of 1"},
        {"name": "query, bounded", "agrees": False, "differs": "2 entities instead of 1"},
        {"name": "networkx", "agrees": True},
    ]
    assert unexplained(peers) == ["scipy: 2 entities instead of 1"]


def test_records_have_one_to_three_identifiers_and_the_first_later_one_is_of_somebody_new(tmp_path: Path) -> None:
    write_records(tmp_path / "records", 200, links=3)
    write_later(tmp_path / "later", 10, first=200)
    records, later = list(read_sightings([tmp_path / "records"])), list(read_sightings([tmp_path / "later"]))
    assert (len(records), len(later)) == (203, 10)
    assert {len(one.identifiers) for one in records} == {1, 2, 3}
    assert len(later[0].identifiers) == 3
    assert not {name for one in records for name in one.identifiers} & set(later[0].identifiers)
