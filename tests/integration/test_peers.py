"""The comparison with batch peers: those that are installed come to the same partition as the graph in a real Redis."""

from __future__ import annotations

from benchmarks.peers.comparison import Task, compare, table
from benchmarks.peers.roster import BASELINE, OURS, PEERS

CHAIN = 8


def test_peers_come_to_one_partition_or_are_named_as_missing(redis_url: str) -> None:
    report = compare(Task(records=500, later=20, chain=CHAIN), redis_url)
    peers = {one["name"]: one for one in report["peers"]}
    assert set(peers) == set(PEERS)
    assert peers[OURS]["agrees"]
    assert peers[BASELINE]["agrees"]
    for name, peer in peers.items():
        if missing := PEERS[name].missing():
            assert peer == {"name": name, "left_out": f"not installed: {', '.join(missing)}"}
        else:
            assert peer["agrees"] is not PEERS[name].bounded  # the chain is longer than a bounded query walks
    assert len(table(report)) == 2 + len(PEERS)
