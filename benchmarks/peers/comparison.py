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
from datetime import UTC, datetime
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
    "the other; imports are not timed. Then later records come, the first of somebody new. A batch peer runs again over everything: its "
    "first new record is resolved when its table is written. Seconds from the start of a step: first, until its first record is resolved; "
    "resolved, until all are, and can be looked up; written, until all of the table is written, or what changed is told. CPU, and MiB (the "
    "peak of the process), are with those of Redis, where there is one. Partitions are compared with that of a union-find in plain Python."
)
COLUMNS = (
    ("load", "load", "written_seconds"),
    ("its CPU", "load", "cpu_seconds"),
    ("first resolved", "later", "first_seconds"),
    ("all resolved", "later", "resolved_seconds"),
    ("all written", "later", "written_seconds"),
    ("their CPU", "later", "cpu_seconds"),
)
RATIOS = COLUMNS[:4]
Say = Callable[[str], None]


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
    at, machine = datetime.now(UTC).isoformat(timespec="seconds"), asyncio.run(_machine(redis_url))
    peers: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="nexus-peers-") as name:
        files = Files(Path(name), redis_url)
        write_records(files.records, task.records, task.chain)
        write_later(files.later, task.later, task.records)
        peers.append({"name": BASELINE, **_run(task, BASELINE, files), "agrees": True})
        expected = files.partitions(BASELINE)
        for peer in (one for one in names if one != BASELINE):
            peers.append({"name": peer, **_figures(task, peer, files, expected)})
            say(json.dumps(peers[-1]))
    if wrong := unexplained(peers):
        raise PartitionsDiffer("\n".join(wrong))
    return {
        "at": at,
        "method": METHOD,
        "task": asdict(task),
        "identifiers": dict(zip(("loaded", "later"), map(len, expected), strict=True)),
        "entities": dict(zip(("loaded", "later"), map(entities_in, expected), strict=True)),
        "machine": {field: value for field, value in asdict(machine).items() if field not in {"kafka", "libraries"}},
        "packages": {name: installed(name) for entry in PEERS.values() for name in entry.needs},
        "peers": peers,
    }


def unexplained(peers: Sequence[dict[str, Any]]) -> list[str]:
    """Give the differences that no bound of a query explains."""
    return [f"{one['name']}: {one['differs']}" for one in peers if "differs" in one and not PEERS[one["name"]].bounded]


@dataclass(frozen=True, slots=True)
class Files:
    """Where the records lie and each peer works; and the Redis that is empty."""

    directory: Path
    redis_url: str

    @property
    def records(self) -> Path:
        """The records of the load."""
        return self.directory / "records.ndjson"

    @property
    def later(self) -> Path:
        """The records that come afterwards."""
        return self.directory / "later.ndjson"

    def place(self, peer: str) -> Path:
        """Give a peer's own directory, and make it if it is not there."""
        found = self.directory / peer.replace(" ", "-")
        found.mkdir(exist_ok=True)
        return found

    def partitions(self, peer: str) -> tuple[Partition, Partition]:
        """Read what a peer came to after each step."""
        return read_partition(self.place(peer) / LOADED), read_partition(self.place(peer) / LATER)


async def _machine(redis_url: str) -> Machine:
    redis: Redis = Redis.from_url(redis_url)
    try:
        return await this_machine("", redis)
    finally:
        await redis.aclose()


def _figures(task: Task, name: str, files: Files, expected: tuple[Partition, Partition]) -> dict[str, Any]:
    """Measure a peer if it is installed, and say whether its partitions are the expected ones."""
    if missing := PEERS[name].missing():
        return {"left_out": f"not installed: {', '.join(missing)}"}
    found = _run(task, name, files)
    if "stopped" in found:
        return found
    differences = [difference(*both) for both in zip(expected, files.partitions(name), strict=True)]
    return {**found, "agrees": not any(differences), **({"differs": " / ".join(differences)} if any(differences) else {})}


def _run(task: Task, name: str, files: Files) -> dict[str, Any]:
    """Measure one peer in a process of its own."""
    arguments = [name, *map(str, (files.records, files.later, files.place(name)))]
    bounds = ["--redis", files.redis_url, "--hops", str(task.hops), "--limit", str(task.limit_seconds)]
    command = [sys.executable, "-m", "benchmarks.peers.measure", *arguments, *bounds]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    found = dict(zip(("load", "later"), map(json.loads, done.stdout.splitlines()), strict=False))
    if done.returncode == -signal.SIGALRM:
        return {**found, "stopped": f"a step took more than {task.limit_seconds} s"}
    done.check_returncode()
    return found


def table(report: dict[str, Any]) -> list[str]:
    """Write the figures as a table in Markdown; then how many times ours each is."""
    ours: dict[str, Any] = next((one for one in report["peers"] if one["name"] == OURS), {})
    heads = [*(f"{head}, s" for head, _, _ in COLUMNS), "MiB", *(f"{head} / ours" for head, _, _ in RATIOS)]
    lines = [f"| peer | {' | '.join(heads)} | same partition |", f"|---|{'---:|' * len(heads)}---|"]
    return lines + [_line(one, ours) for one in report["peers"]]


def _line(peer: dict[str, Any], ours: dict[str, Any]) -> str:
    cells = [_seconds(_figure(peer, *where)) for _, *where in COLUMNS]
    cells += [str(peer["load"]["mib"]) if "load" in peer else ""]
    cells += [_ratio(_figure(peer, *where), _figure(ours, *where)) for _, *where in RATIOS]
    return f"| {peer['name']} | {' | '.join(cells)} | {_agreement(peer)} |"


def _figure(peer: dict[str, Any], step: str, field: str) -> float | None:
    found: float | None = peer.get(step, {}).get(field)
    return found


def _agreement(peer: dict[str, Any]) -> str:
    if "agrees" not in peer:
        return str(peer.get("stopped") or peer["left_out"])
    return "yes" if peer["agrees"] else f"no: {peer['differs'].split(';')[0]}"


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.4f}" if seconds < 0.1 else f"{seconds:.2f}"


def _ratio(seconds: float | None, ours: float | None) -> str:
    if not seconds or not ours:
        return ""
    ratio = seconds / ours
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"
