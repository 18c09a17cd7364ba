"""Compare with batch peers, print the table, and keep the report: the command line of this room."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers.comparison import PartitionsDiffer, Task, compare, table
from benchmarks.peers.roster import HOPS, PEERS
from streams.stack import LocalStack

RESULT = Path(__file__).parents[1] / "results" / "peers.json"


def main() -> None:
    """Read the options and run. Exits with 1 if a partition differs, and keeps nothing then."""
    usual = Task()
    parser = argparse.ArgumentParser(
        description="The same sightings resolved by this project and by batch peers; see benchmarks/README.md."
    )
    parser.add_argument("--records", type=int, action="append", help="records of a load; several runs if repeated")
    parser.add_argument("--later", type=int, help="records that come afterwards; 1 %% of the others unless given")
    parser.add_argument("--chain", type=int, default=usual.chain, help="links of one more person, whose identifiers form a chain")
    parser.add_argument("--hops", type=int, default=HOPS, help="hops that a bounded query walks")
    parser.add_argument("--limit", type=int, default=usual.limit_seconds, help="seconds after which a step is stopped")
    parser.add_argument("--only", action="append", choices=PEERS, help="this peer, several if repeated; the baseline runs always")
    parser.add_argument("--result", type=Path, default=RESULT, help="where the report is kept; '-' keeps none")
    chosen = parser.parse_args()
    reports = []
    for records in chosen.records or [usual.records]:
        later = max(1, records // 100) if chosen.later is None else chosen.later
        task = Task(records, later, chosen.chain, chosen.hops, chosen.limit)
        try:
            reports.append(_with_redis(task, chosen.only or tuple(PEERS)))
        except PartitionsDiffer as differ:
            sys.exit(f"partitions differ:\n{differ}")
        print(f"\n{records:,} records, then {later:,}\n\n" + "\n".join(table(reports[-1])), flush=True)
    if str(chosen.result) != "-":
        chosen.result.write_text(json.dumps(reports, indent=1) + "\n", encoding="utf-8")


def _with_redis(task: Task, names: Sequence[str]) -> dict[str, Any]:
    """Compare with a Redis that is there for this alone."""
    with tempfile.TemporaryDirectory(prefix="nexus-peers-") as directory:
        local = LocalStack.on_free_ports(Path(directory) / "stack")
        try:
            return compare(task, local.up_redis(_tell), names, _tell)
        finally:
            local.down(wipe=True)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
