"""Queries on DuckDB over edges between identifiers: as dbt-nexus resolves in a warehouse, and Splink's clustering.

The SQL is our own, in the forms that dbt-nexus has had: a walk from every identifier along paths of a bounded length; one that
remembers whom it has reached, with and without a bound; and, since it has an incremental mode, new records against the table that is
there, whose entities count as single nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.peers.peer import InOneProcess, package

SEEN = """
create or replace table seen as
select id, unnest(identifiers) as identifier
from read_json(?, format = 'newline_delimited', columns = {id: 'varchar', identifiers: 'varchar[]'})
"""
EDGES = """
create or replace table edges as
select distinct a.identifier as a, b.identifier as b from seen a join seen b on a.id = b.id and a.identifier <> b.identifier
"""
ALONG_PATHS = """
with recursive reached(start, node, path) as (
    select distinct identifier, identifier, [identifier] from seen
    union all
    select start, b, list_append(path, b) from reached join edges on node = a where len(path) <= {hops} and not list_contains(path, b)
)
select node as identifier, min(start) as entity from reached group by node
"""
BY_HOPS = """
with recursive reached(start, node, hops) as (
    select distinct identifier, identifier, 0 from seen
    union
    select start, b, hops + 1 from reached join edges on node = a where hops < {hops}
)
select node as identifier, min(start) as entity from reached group by node
"""
WITHOUT_BOUND = """
with recursive reached(start, node) as (
    select distinct identifier, identifier from seen
    union
    select start, b from reached join edges on node = a
)
select node as identifier, min(start) as entity from reached group by node
"""
CONTRACTED = """
create or replace table nodes as
select distinct identifier, entity, coalesce(entity, identifier) as node from seen left join resolved using (identifier);
create or replace table contracted as
select distinct x.node as a, y.node as b
from edges join nodes x on x.identifier = a join nodes y on y.identifier = b where x.node <> y.node;
create or replace table joined as
with recursive reached(start, node) as (
    select distinct node, node from nodes
    union
    select start, b from reached join contracted on node = a
)
select node, min(start) as entity from reached group by node;
update resolved set entity = joined.entity from joined where joined.node = resolved.entity and joined.entity <> resolved.entity;
insert into resolved select identifier, joined.entity from nodes join joined using (node) where nodes.entity is null;
"""


class Query(InOneProcess):
    """A query over all records, asked again when there are more."""

    needs: ClassVar[tuple[str, ...]] = ("duckdb",)

    def __init__(self, query: str, hops: int = 0) -> None:
        self._duckdb = package("duckdb")
        self._query = query.format(hops=hops)

    def load(self, records: Path, table: Path) -> None:
        """Ask of everything."""
        self._all([records], table)

    def more(self, records: Path, later: Path, table: Path) -> None:
        """Ask of everything again."""
        self._all([records, later], table)

    def _all(self, files: Sequence[Path], table: Path) -> None:
        with self._duckdb.connect() as database:
            _read(database, files)
            database.execute(f"create table resolved as {self._query}")
            _write(database, table)


class Contracted(InOneProcess):
    """Only new records are looked at, against a table that is kept; everything new is resolved at once."""

    needs: ClassVar[tuple[str, ...]] = ("duckdb",)

    def __init__(self) -> None:
        self._database = package("duckdb").connect()
        self._database.execute("create table resolved (identifier varchar, entity varchar)")

    def load(self, records: Path, table: Path) -> None:
        """Join to an empty table."""
        self._join(records, table)

    def more(self, records: Path, later: Path, table: Path) -> None:  # noqa: ARG002 - what is joined stays
        """Join to the table that is there."""
        self._join(later, table)

    def close(self) -> None:
        """Give the database back."""
        self._database.close()

    def _join(self, records: Path, table: Path) -> None:
        _read(self._database, [records])
        self._database.execute(CONTRACTED)
        _write(self._database, table)


class Splink(InOneProcess):
    """Splink's clustering of pairs that are sure to match: no probability is given, and none is computed."""

    needs: ClassVar[tuple[str, ...]] = ("splink", "duckdb")

    def __init__(self) -> None:
        self._duckdb, self._splink, self._clustering = map(package, ("duckdb", "splink", "splink.clustering"))
        self._api = self._splink.DuckDBAPI  # what it imports late, it imports now

    def load(self, records: Path, table: Path) -> None:
        """Cluster everything."""
        self._all([records], table)

    def more(self, records: Path, later: Path, table: Path) -> None:
        """Cluster everything again."""
        self._all([records, later], table)

    def _all(self, files: Sequence[Path], table: Path) -> None:
        with self._duckdb.connect() as database:
            _read(database, files)
            database.execute("create table identifiers as select distinct identifier from seen")
            nodes, edges = (database.table(name) for name in ("identifiers", "edges"))
            cluster = self._clustering.cluster_pairwise_predictions_at_threshold
            found = cluster(nodes, edges.filter("a < b"), self._api(connection=database), "identifier", "a", "b")
            database.execute(f"create view resolved as select identifier, cluster_id as entity from {found.physical_name}")  # noqa: S608
            _write(database, table)


def _read(database: Any, files: Sequence[Path]) -> None:  # noqa: ANN401 - of a package that may be absent
    database.execute(SEEN, [[str(path) for path in files]])
    database.execute(EDGES)


def _write(database: Any, table: Path) -> None:  # noqa: ANN401 - as above
    form = "format csv, delimiter '\t', header false, quote ''"
    database.execute(f"copy (select identifier, entity from resolved) to '{table}' ({form})")  # noqa: S608 - a path of our own
