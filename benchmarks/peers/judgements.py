"""nomenklatura's Resolver: judgements in a table of SQLite, clusters in memory; new judgements need no run over the old ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from benchmarks.peers.peer import InOneProcess, package
from benchmarks.peers.sightings import pairs, read_sightings
from benchmarks.peers.table import write_table

USER = "benchmark"


class Judgements(InOneProcess):
    """Loads edges in one go, as its command line does, and decides one by one what comes later."""

    needs: ClassVar[tuple[str, ...]] = ("nomenklatura",)

    def __init__(self, database: Path) -> None:
        self._edge = package("nomenklatura.resolver.edge").Edge
        self._now = package("nomenklatura.resolver.resolver").timestamp
        self._positive = package("nomenklatura.judgement").Judgement.POSITIVE
        db = package("nomenklatura.db")
        self._session = db.Session(db.get_engine(f"sqlite:///{database}"))
        self._resolver = package("nomenklatura.resolver").Resolver(self._session, create=True)
        self._resolver.load_into_memory()
        self._identifiers: dict[str, None] = {}

    def load(self, records: Path, table: Path) -> None:
        """Load the pairs of everything."""
        distinct = dict.fromkeys(pair for seen in self._seen(records) for pair in pairs(seen))
        self._resolver.load_edges(self._edge(*pair, judgement=self._positive, user=USER, created_at=self._now()) for pair in distinct)
        self._session.commit()
        self.show(table)

    def more(self, records: Path, later: Path, table: Path) -> None:  # noqa: ARG002 - what is loaded stays
        """Decide what was not decided."""
        for number, seen in enumerate(self._seen(later)):
            for one, other in pairs(seen):
                if self._resolver.get_judgement(one, other) != self._positive:
                    self._resolver.decide(one, other, self._positive, user=USER)
            if number == 0:
                self._session.commit()
                self.reached["first"] = time.perf_counter()
        self._session.commit()
        self.reached["resolved"] = time.perf_counter()

    def show(self, table: Path) -> None:
        """Write the canonical identifier of each that was seen."""
        canonical = dict(self._resolver.mappings())
        write_table(table, ((one, canonical.get(one, one)) for one in self._identifiers))

    def close(self) -> None:
        """Give the connection back."""
        self._session.close()

    def _seen(self, records: Path) -> Iterator[list[str]]:
        for one in read_sightings([records]):
            self._identifiers.update(dict.fromkeys(one.identifiers))
            yield one.identifiers
