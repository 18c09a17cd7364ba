"""All peers by name. A peer is made only where it is measured, since that imports its package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.peers.components import NetworkX, Rustworkx, Scipy, UnionFind
from benchmarks.peers.judgements import Judgements
from benchmarks.peers.peer import Peer, package
from benchmarks.peers.queries import ALONG_PATHS, BY_HOPS, WITHOUT_BOUND, Contracted, Query, Splink

HOPS = 5
OURS, BASELINE = "nexus-streams", "union-find"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a peer works: a directory of its own, an empty Redis, and how many hops a bounded query walks."""

    directory: Path
    redis_url: str
    hops: int = HOPS


@dataclass(frozen=True, slots=True)
class Entry:
    """How a peer is made, which packages it needs, and whether a bound of its own may keep its answer from being whole."""

    make: Callable[[Surroundings], Peer]
    needs: tuple[str, ...] = ()
    bounded: bool = False

    def missing(self) -> list[str]:
        """Name the packages that are not installed."""
        return [name for name in self.needs if installed(name) is None]


def installed(name: str) -> str | None:
    """Give the version of a package, or None if it is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _graph(around: Surroundings) -> Peer:
    """Make ours; imported late, so that the memory of the others is without it."""
    graph: Peer = package("benchmarks.peers.graph").Graph(around.redis_url)
    return graph


def _query(query: str, around: Surroundings) -> Peer:
    return Query(query, around.hops)


PEERS: Mapping[str, Entry] = {
    OURS: Entry(_graph),
    BASELINE: Entry(lambda _: UnionFind()),
    "scipy": Entry(lambda _: Scipy(), Scipy.needs),
    "rustworkx": Entry(lambda _: Rustworkx(), Rustworkx.needs),
    "networkx": Entry(lambda _: NetworkX(), NetworkX.needs),
    "splink": Entry(lambda _: Splink(), Splink.needs),
    "query, bounded": Entry(partial(_query, BY_HOPS), Query.needs, bounded=True),
    "query along paths, bounded": Entry(partial(_query, ALONG_PATHS), Query.needs, bounded=True),
    "query": Entry(partial(_query, WITHOUT_BOUND), Query.needs),
    "query, incremental": Entry(lambda _: Contracted(), Contracted.needs),
    "nomenklatura": Entry(lambda around: Judgements(around.directory / "judgements.db"), Judgements.needs),
}
