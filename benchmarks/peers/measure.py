"""One peer in a process of its own: a line of JSON after the load, and one after what comes later.

`comparison` starts it. A step that takes longer than the limit ends the process by SIGALRM, so that queries end too.
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.peers.peer import Peer
from benchmarks.peers.roster import PEERS, Surroundings

LOADED, LATER = "loaded.tsv", "later.tsv"
"""The tables that a peer leaves in its directory."""


def main() -> None:
    """Measure both steps. What importing packages takes is not counted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("records", type=Path)
    parser.add_argument("later", type=Path)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--redis", required=True)
    parser.add_argument("--hops", type=int, required=True)
    parser.add_argument("--limit", type=int, required=True, help="seconds for each step")
    chosen = parser.parse_args()
    peer = PEERS[chosen.name].make(Surroundings(chosen.directory, chosen.redis, chosen.hops))
    loaded, later = chosen.directory / LOADED, chosen.directory / LATER
    try:
        _step(peer, chosen.limit, lambda: peer.load(chosen.records, loaded), ("resolved",))
        later.write_bytes(loaded.read_bytes())
        _step(peer, chosen.limit, lambda: peer.more(chosen.records, chosen.later, later), ("first", "resolved"))
        peer.show(later)
    finally:
        peer.close()


def _step(peer: Peer, limit: int, step: Callable[[], None], before_written: Sequence[str]) -> None:
    peer.reached = {}
    gc.collect()
    before = _cpu_seconds(peer)
    signal.alarm(limit)
    began = time.perf_counter()
    step()
    ended = time.perf_counter()
    signal.alarm(0)
    reached = {**{name: peer.reached.get(name, ended) for name in before_written}, "written": ended}
    told = {
        **{f"{name}_seconds": round(at - began, 4) for name, at in reached.items()},
        "cpu_seconds": round(_cpu_seconds(peer) - before, 3),
        "mib": round(_peak_mib() + peer.elsewhere()[1]),
    }
    print(json.dumps(told), flush=True)


def _cpu_seconds(peer: Peer) -> float:
    return time.process_time() + peer.elsewhere()[0]


def _peak_mib() -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    return int(found[1]) / 1024 if found else 0.0


if __name__ == "__main__":
    main()
