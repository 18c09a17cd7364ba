"""The report of a campaign: every round as values that can be kept as a file, and several reports joined as a table.

Invariant: figures carry their unit in their name; a seed in a report repeats what it stands beside. Neighbours:
`campaign` fills one, the command line writes and joins them.
"""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from streams.bench.machine import Machine


@dataclass(frozen=True, slots=True)
class Round:
    """One round that was held.

    For each fault, `in_flight` is how many records and output keys were under way at its first hit, None when that could
    not be told, and `hits` says in words what it did. `ends` says which workers ended how. `recovered_seconds` is
    the time from the end of the trouble until nothing was behind; None when that never was.
    """

    number: int
    world: int
    seed: int
    kinds: tuple[str, ...]
    records: int
    in_flight: tuple[int | None, ...]
    hits: tuple[tuple[str, ...], ...]
    restarts: int
    ends: tuple[str, ...]
    seconds: float
    judge_seconds: float
    recovered_seconds: float | None
    violations: tuple[str, ...]

    def hits_of(self, kind: str | None = None) -> int:
        """Count the hits of one kind of fault, or all."""
        return sum(len(hits) for name, hits in zip(self.kinds, self.hits, strict=True) if kind in (None, name))

    @property
    def counts(self) -> bool:
        """Say whether each fault hit something, and did so while records were in flight as far as that could be told."""
        known = [count for count in self.in_flight if count is not None]
        return bool(known) and all(known) and all(self.hits)


@dataclass(slots=True)
class Report:
    """One campaign. `stopped` says why it ended early, if it did."""

    seed: int
    began: str
    machine: Machine
    rounds: list[Round] = field(default_factory=list)
    missed: int = 0
    """Rounds whose fault hit nothing, and which were held again with another seed."""
    seconds: float = 0.0
    stopped: str = ""
    code: str = ""
    """The commit that was tested, and whether it was changed; empty outside of a repository."""

    @property
    def violations(self) -> int:
        """Count rounds in which something was not right."""
        return sum(1 for one in self.rounds if one.violations)

    def write(self, path: Path) -> None:
        """Keep it as a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")

    @classmethod
    def read(cls, path: Path) -> Report:
        """Read a file. Raises msgspec.ValidationError, OSError."""
        return msgspec.json.decode(path.read_bytes(), type=cls)


def code_of(folder: Path) -> str:
    """Name the commit of a folder, with a mark where files were changed since; empty where there is no repository, or no git."""
    try:
        asked = ["git", "describe", "--always", "--dirty=, changed"]
        return subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def line(one: Round, of: int) -> str:
    """Write a round as one line."""
    recovered = "did not recover" if one.recovered_seconds is None else f"recovered in {one.recovered_seconds:.1f} s"
    flying = ", ".join("?" if count is None else f"{count:,}" for count in one.in_flight)
    said = f"{one.records:,} records, {flying} in flight, {one.hits_of()} hits, {one.restarts} restarts, {recovered}"
    judged = f"{len(one.violations)} VIOLATIONS" if one.violations else "right"
    took = f"{one.seconds:.1f} s of which the judge {one.judge_seconds:.1f}"
    return f"{one.number:>4}/{of} {'+'.join(one.kinds):<26} {said}, {took}: {judged} (world {one.world}, {one.seed})"


def joined(reports: Sequence[Report]) -> Iterator[str]:
    """Write several reports as Markdown: a table of faults by kind, and the seeds."""
    rounds = [one for report in reports for one in report.rounds]
    yield "| fault | rounds | hits | records | restarts | median s to recover | worst s | violations |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for kind, held in sorted(_by_kind(rounds).items()):
        yield _row(kind, held, sum(one.hits_of(kind) for one in held))
    yield _row("all", rounds, sum(one.hits_of() for one in rounds))
    yield ""
    yield "A round with two faults stands under both."
    yield ""
    yield "| seed | code | began | rounds | minutes | hit nothing, held again | violations | processor | cores | Kafka | Redis |"
    yield "|---|---|---|---:|---:|---:|---:|---|---:|---|---|"
    for report in reports:
        where, minutes = report.machine, report.seconds / 60
        done = f"{len(report.rounds)} | {minutes:.0f} | {report.missed} | {report.violations}"
        began = f"{report.seed} | {report.code} | {report.began}"
        yield f"| {began} | {done} | {where.processor} | {where.cores} | {where.kafka} | {where.redis} |"


def _by_kind(rounds: Sequence[Round]) -> Mapping[str, list[Round]]:
    kinds: dict[str, list[Round]] = {}
    for one in rounds:
        for kind in one.kinds:
            kinds.setdefault(kind, []).append(one)
    return kinds


def _row(name: str, rounds: Sequence[Round], hits: int) -> str:
    records, restarts = sum(one.records for one in rounds), sum(one.restarts for one in rounds)
    violations = sum(1 for one in rounds if one.violations)
    took = [one.recovered_seconds for one in rounds if one.recovered_seconds is not None]
    median, worst = (f"{statistics.median(took):.1f}", f"{max(took):.1f}") if took else ("", "")
    return f"| {name} | {len(rounds)} | {hits} | {records:,} | {restarts} | {median} | {worst} | {violations} |"
