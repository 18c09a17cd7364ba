"""Connected components in memory: a plain union-find, and the three graph packages that are used most.

All are batch: when more records come, everything is read and computed again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from benchmarks.peers.peer import InOneProcess, package
from benchmarks.peers.sightings import pairs, read_sightings
from benchmarks.peers.table import write_table


class Components(InOneProcess, ABC):
    """Reads files, numbers identifiers in the order in which they are seen, and gives the pairs to `entities`."""

    def load(self, records: Path, table: Path) -> None:
        """Compute everything."""
        self._all([records], table)

    def more(self, records: Path, later: Path, table: Path) -> None:
        """Compute everything again."""
        self._all([records, later], table)

    @abstractmethod
    def entities(self, count: int, edges: Sequence[tuple[int, int]]) -> Iterable[int]:
        """Give the entity of each of `count` identifiers."""

    def _all(self, files: Sequence[Path], table: Path) -> None:
        numbers: dict[str, int] = {}
        edges: dict[tuple[int, int], None] = {}
        for one in read_sightings(files):
            seen = [numbers.setdefault(identifier, len(numbers)) for identifier in one.identifiers]
            edges.update(((seen[0], other), None) for other in seen[1:])
        write_table(table, zip(numbers, map(str, self.entities(len(numbers), list(edges))), strict=True))


class UnionFind(InOneProcess):
    """Union-find in plain Python over the identifiers themselves: what the others are compared with."""

    def load(self, records: Path, table: Path) -> None:
        """Compute everything."""
        self._all([records], table)

    def more(self, records: Path, later: Path, table: Path) -> None:
        """Compute everything again."""
        self._all([records, later], table)

    def _all(self, files: Sequence[Path], table: Path) -> None:
        parents: dict[str, str] = {}

        def root(one: str) -> str:
            while (parent := parents.setdefault(one, one)) != one:
                parents[one] = one = parents[parent]
            return one

        for seen in read_sightings(files):
            root(seen.identifiers[0])
            for one, other in pairs(seen.identifiers):
                parents[root(other)] = root(one)
        write_table(table, [(one, root(one)) for one in parents])


class NetworkX(Components):
    """networkx.connected_components."""

    needs: ClassVar[tuple[str, ...]] = ("networkx",)

    def __init__(self) -> None:
        self._networkx = package("networkx")

    def entities(self, count: int, edges: Sequence[tuple[int, int]]) -> Iterable[int]:
        """Give each the number of its component."""
        graph = self._networkx.Graph()
        graph.add_nodes_from(range(count))
        graph.add_edges_from(edges)
        return _numbered(count, self._networkx.connected_components(graph))


class Rustworkx(Components):
    """rustworkx.connected_components."""

    needs: ClassVar[tuple[str, ...]] = ("rustworkx",)

    def __init__(self) -> None:
        self._rustworkx = package("rustworkx")

    def entities(self, count: int, edges: Sequence[tuple[int, int]]) -> Iterable[int]:
        """Give each the number of its component."""
        graph = self._rustworkx.PyGraph()
        graph.add_nodes_from(range(count))
        graph.add_edges_from_no_data(edges)
        return _numbered(count, self._rustworkx.connected_components(graph))


class Scipy(Components):
    """scipy.sparse.csgraph.connected_components."""

    needs: ClassVar[tuple[str, ...]] = ("scipy",)

    def __init__(self) -> None:
        self._numpy, self._sparse, self._csgraph = map(package, ("numpy", "scipy.sparse", "scipy.sparse.csgraph"))

    def entities(self, count: int, edges: Sequence[tuple[int, int]]) -> Iterable[int]:
        """Give each the label of its component."""
        ends = self._numpy.array(edges, dtype=self._numpy.int64).reshape(-1, 2)
        ones = self._numpy.ones(len(edges), dtype=self._numpy.int8)
        graph = self._sparse.coo_array((ones, (ends[:, 0], ends[:, 1])), shape=(count, count))
        labels: list[int] = self._csgraph.connected_components(graph, directed=False)[1].tolist()
        return labels


def _numbered(count: int, components: Iterable[Iterable[int]]) -> Iterable[int]:
    found = [0] * count
    for number, component in enumerate(components):
        for one in component:
            found[one] = number
    return found
