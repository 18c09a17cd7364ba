"""All peers one after the other on the same files, their partitions checked against each other's, as one report."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from benchmarks.peers.measure import LATER, LOADED
from benchmarks.peers.roster import BASELINE, HOPS, OURS, PEERS, installed
from benchmarks.peers.stream import write_later, write_records
from benchmarks.peers.table import Partition, difference, entities_in, read_partition
from streams.bench.machine import Machine, this_machine

ROOT = Path(__file__).parents[2]
METHOD = (
    "Every peer reads the same NDJSON file of sightings and writes a table of identifiers and entities, in a process of its own, one after "
    "the other; imports are not timed. Then later_records more come. A batch peer runs again over everything, and its first new record is "
    "resolved when its table is written. seconds: until the whole answer is written; first_seconds: until the first new record is "
    "resolved; cpu_seconds and mib with those of Redis, where there is one. Partitions are compared with a union-find in plain Python."
)
Say = Callable[[str], None]
Peers = list[dict[str, Any]]


class PartitionsDiffer(Exception):  # noqa: N818 - what happened is the name
    """A peer came to another partition than the baseline."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is compared: so many records, then so many later ones; a chain of so many links among the first; bounds."""

    records: int = 200_000
    later: int = 2_000
    chain: int = 0
    hops: int = HOPS
    limit_seconds: int = 300


def compare(task: Task, redis_url: str, names: Sequence[str] = tuple(PEERS), say: Say = lambda _: None) -> dict[str, Any]:
    """Measure the peers that are installed; gives the report. Raises PartitionsDiffer, once all were measured."""
    machine = asyncio.run(_machine(redis_url))
    with tempfile.TemporaryDirectory(prefix="nexus-peers-") as name:
        directory = Path(name)
        write_records(directory / "records.ndjson", task.records, task.chain)
        write_later(directory / "later.ndjson", task.later, task.records)
        peers, partitions = _measured(task, names, directory, redis_url, say)
    wrong = _checked(peers, partitions)
    identifiers = [len(partition) for partition in partitions[BASELINE]]
    if wrong:
        raise PartitionsDiffer("\n".join(wrong))
    return {
        "method": METHOD,
        "task": asdict(task),
        "identifiers": {"loaded": identifiers[0], "later": identifiers[1]},
        "entities": {"loaded": entities_in(partitions[BASELINE][0]), "later": entities_in(partitions[BASELINE][1])},
        "machine": {field: value for field, value in asdict(machine).items() if field not in {"kafka", "libraries"}},
        "packages": {name: installed(name) for entry in PEERS.values() for name in entry.needs},
        "peers": peers,
    }


async def _machine(redis_url: str) -> Machine:
    redis: Redis = Redis.from_url(redis_url)
    try:
        return await this_machine("", redis)
    finally:
        await redis.aclose()


def _measured(
    task: Task, names: Sequence[str], directory: Path, url: str, say: Say
) -> tuple[Peers, dict[str, tuple[Partition, Partition]]]:
    peers: Peers = []
    partitions: dict[str, tuple[Partition, Partition]] = {}
    for name in (BASELINE, *(one for one in names if one != BASELINE)):
        if missing := PEERS[name].missing():
            peers.append({"name": name, "left_out": f"not installed: {', '.join(missing)}"})
        else:
            place = directory / name.replace(" ", "-")
            place.mkdir()
            peers.append({"name": name, **_run(task, name, place, url)})
            if "later" in peers[-1]:
                partitions[name] = read_partition(place / LOADED), read_partition(place / LATER)
        say(json.dumps(peers[-1]))
    return peers, partitions


def _run(task: Task, name: str, place: Path, url: str) -> dict[str, Any]:
    """Measure one peer in a process of its own."""
    files = [str(one) for one in (place.parent / "records.ndjson", place.parent / "later.ndjson", place)]
    bounds = ["--redis", url, "--hops", str(task.hops), "--limit", str(task.limit_seconds)]
    command = [sys.executable, "-m", "benchmarks.peers.measure", name, *files, *bounds]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    found = dict(zip(("load", "later"), map(json.loads, done.stdout.splitlines()), strict=False))
    if done.returncode == -signal.SIGALRM:
        return {**found, "stopped": f"a step took more than {task.limit_seconds} s"}
    done.check_returncode()
    return found


def _checked(peers: Peers, partitions: dict[str, tuple[Partition, Partition]]) -> list[str]:
    """Write to each peer whether its partitions agree; gives the differences that no bound explains."""
    wrong = []
    for peer in peers:
        name = peer["name"]
        if name not in partitions:
            continue
        found = [difference(*both) for both in zip(partitions[BASELINE], partitions[name], strict=True)]
        peer["agrees"] = not any(found)
        if any(found):
            peer["differs"] = " / ".join(found)
            if not PEERS[name].bounded:
                wrong.append(f"{name}: {peer['differs']}")
    return wrong


def table(report: dict[str, Any]) -> list[str]:
    """Write the figures as a table in Markdown: seconds, and how many times ours."""
    ours: dict[str, Any] = next((one for one in report["peers"] if one["name"] == OURS), {})
    steps = "load, s | CPU s | MiB | all later ones, s | first later one, s"
    lines = [f"| peer | {steps} | load / ours | all later / ours | first later / ours | same partition |", f"|---|{'---:|' * 8}---|"]
    return lines + [_line(one, ours) for one in report["peers"]]


def _line(peer: dict[str, Any], ours: dict[str, Any]) -> str:
    if "left_out" in peer or "load" not in peer:
        return f"| {peer['name']} | {peer.get('left_out') or peer['stopped']} " + "| " * 8 + "|"
    steps = [("load", "seconds"), ("later", "seconds"), ("later", "first_seconds")]
    load, *later = [peer.get(step, {}).get(field) for step, field in steps]
    ratios = [_ratio(peer.get(step, {}).get(field), ours.get(step, {}).get(field)) for step, field in steps]
    cells = [
        _number(load),
        f"{peer['load']['cpu_seconds']:.1f}",
        f"{peer['load']['mib']:,}",
        *map(_number, later),
        *ratios,
        _agreement(peer),
    ]
    return f"| {peer['name']} | {' | '.join(cells)} |"


def _agreement(peer: dict[str, Any]) -> str:
    if "agrees" not in peer:
        return str(peer.get("stopped", ""))
    return "yes" if peer["agrees"] else f"no: {peer['differs'].split(';')[0]}"


def _number(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.4f}" if seconds < 0.1 else f"{seconds:.2f}"


def _ratio(seconds: float | None, ours: float | None) -> str:
    return "" if not seconds or not ours else f"{seconds / ours:,.2g}" if seconds / ours < 100 else f"{seconds / ours:,.0f}"
