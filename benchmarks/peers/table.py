"""The table of identifiers and entities that every peer writes, and how two of them are compared.

Names of entities are each peer's own. What must agree is the partition: which identifiers are together.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

Partition = dict[str, str]
"""Identifier -> the least identifier of its entity."""


def write_table(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Write a row for each identifier: itself, a tab, its entity."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{identifier}\t{entity}\n" for identifier, entity in rows)


def read_partition(path: Path) -> Partition:
    """Read a table. Of several rows of an identifier the last counts, as of the records of a compacted topic."""
    with path.open(encoding="utf-8") as file:
        entities = dict(line.rstrip("\n").split("\t") for line in file)
    least: dict[str, str] = {}
    for identifier, entity in entities.items():
        least[entity] = min(least.get(entity, identifier), identifier)
    return {identifier: least[entity] for identifier, entity in entities.items()}


def entities_in(partition: Partition) -> int:
    """Count the entities."""
    return len(set(partition.values()))


def difference(expected: Partition, found: Partition) -> str:
    """Say how a partition differs from the expected one, or nothing."""
    wrong = sorted(one for one in expected.keys() | found.keys() if expected.get(one) != found.get(one))
    if not wrong:
        return ""
    one = wrong[0]
    return (
        f"{entities_in(found):,} entities instead of {entities_in(expected):,}; {len(wrong):,} identifiers differ, the first is {one}: "
        f"with {found.get(one)} instead of {expected.get(one)}"
    )
