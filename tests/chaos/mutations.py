"""Mutations: the harness is tried on pipelines that are broken on purpose, each in one place, in a scratch copy.

A harness that never fails proves nothing. Each mutation takes one mechanism away; a campaign of the kinds of faults
that this mechanism is there for must then end with a violation within 30 rounds.

    python -m tests.chaos.mutations [NAME ...] [--seed SEED] [--rounds ROUNDS] [--directory DIRECTORY]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ("resolvers", "streams", "tests", "pyproject.toml")
ROUNDS = 30

LOSSES = ("redis-lost-seconds", "redis-old-snapshot", "redis-empty")
ZOMBIES = ("freeze", "net-half-open", "kill-several")


@dataclass(frozen=True, slots=True)
class Mutation:
    """One mechanism taken away: in files, one text is replaced by another; `kinds` are the faults that it is there for."""

    name: str
    kinds: tuple[str, ...]
    changes: tuple[tuple[str, str, str], ...]

    @property
    def files(self) -> set[str]:
        """Name the files that are changed."""
        return {file for file, _, _ in self.changes}

    def apply(self, root: Path) -> None:
        """Change the files under `root`. Raises ValueError where a text is not there exactly once."""
        for file, old, new in self.changes:
            source = (root / file).read_text(encoding="utf-8")
            if source.count(old) != 1:
                raise ValueError(f"{self.name}: {file} has {source.count(old)} places that read {old!r}")
            (root / file).write_text(source.replace(old, new), encoding="utf-8")


MUTATIONS = (
    Mutation(
        "no fencing",
        ZOMBIES,
        (
            ("streams/kafka.py", "transactional_id=transactional,", "transactional_id=f'{transactional}-{uuid4().hex}',"),
            ("streams/kafka.py", "from typing import Any,", "from uuid import uuid4\nfrom typing import Any,"),
        ),
    ),
    Mutation(
        "cursor read before init_transactions",
        ("late-commit",),
        (
            ("streams/publish.py", "        self._told = await self._numbers.told(self.shard)\n", ""),
            (
                "streams/publish.py",
                "        producer = self._producer = await self._make_producer(self.shard)\n",
                """\
        self._told = await self._numbers.told(self.shard)
        producer = self._producer = await self._make_producer(self.shard)
""",
            ),
        ),
    ),
    Mutation(
        "dirty keys dropped before the transaction commits",
        ("kill-one", "kill-several", "kafka-killed"),
        (
            (
                "streams/publish.py",
                "            await self._resolver.keep(taken, payload)\n",
                "            await self._resolver.finish(taken)\n",
            ),
        ),
    ),
    Mutation(
        "a round's version not recovered after Redis lost writes",
        LOSSES,
        (
            ("resolvers/lua/recover.lua", "  redis.call('HSET', round, 'number', ARGV[4])\n", ""),
            ("resolvers/lua/take.lua", "if last < tonumber(ARGV[3]) then return { 'BEHIND', last } end\n", ""),
        ),
    ),
    Mutation(
        "position written before the state",
        ("kill-one", "kill-several", "freeze"),
        (
            (
                "streams/resolve.py",
                '        self._counters.add("events_read", count=len(batch.records))\n',
                """\
        self._counters.add("events_read", count=len(batch.records))
        progress = self._positions.progress(batch.place.partition)
        progress.acknowledged = Position(batch.end, checksum(batch.records[-1].value))
        await self._call(batch, progress, ())
""",
            ),
            (
                "streams/resolve.py",
                "from streams.positions import AppliedPositions, Progress\n",
                """\
from resolvers.sighting import Position
from streams.positions import AppliedPositions, Progress, checksum
""",
            ),
        ),
    ),
    Mutation(
        "two writers for one identifier key",
        ("kill-one",),
        (
            (
                "resolvers/lua/graph.lua",
                "      local shard = struct.unpack('>I4', key, 2) % shards -- shard_of its digest\n",
                """\
      local shard = struct.unpack('>I4', key, 2) % shards
      if string.sub(key, 1, 1) == 'i' then shard = math.random(0, shards - 1) end
""",
            ),
        ),
    ),
    Mutation(
        "no ghost scan",
        LOSSES,
        (("streams/told.py", "        for key, value in last:\n", "        for key, value in ():\n"),),
    ),
)


def tried(mutation: Mutation, directory: Path, rounds: int, seed: int) -> str:
    """Hold a campaign on a mutated copy; gives a line that says what came of it."""
    copy = directory / mutation.name.replace(" ", "-").replace("'", "")
    for one in COPIED:
        source, target = ROOT / one, copy / one
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    mutation.apply(copy)
    report = copy / "report.json"
    command = [sys.executable, "-m", "tests.chaos", "--rounds", str(rounds), "--seed", str(seed), "--kinds", ",".join(mutation.kinds)]
    command += ["--stop-on-violation", "--report", str(report), "--directory", str(copy / "campaign")]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    with (copy / "output.txt").open("w", encoding="utf-8") as output:
        subprocess.run(command, cwd=copy, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False)
    if not report.exists():
        return f"{mutation.name}: no report; see {copy / 'output.txt'}"
    held = json.loads(report.read_text(encoding="utf-8"))["rounds"]
    found = next((one for one in held if one["violations"]), None)
    if found is None:
        return f"{mutation.name}: NOT FOUND in {len(held)} rounds of seed {seed}"
    return f"{mutation.name}: found in round {len(held)} ({', '.join(found['kinds'])}): {found['violations'][0][:160]}"


def main(arguments: Sequence[str]) -> int:
    """Try the mutations that are named, or all; gives 1 when one was not found."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.mutations")
    parser.add_argument("names", nargs="*", help="parts of the mutations' names")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--directory", help="for the copies (a temporary one)")
    options = parser.parse_args(arguments)
    directory = Path(options.directory or tempfile.mkdtemp(prefix="nexus-mutations-")).resolve()
    chosen = [one for one in MUTATIONS if not options.names or any(name in one.name for name in options.names)]
    lines = []
    for mutation in chosen:
        lines.append(tried(mutation, directory, options.rounds, options.seed))
        sys.stdout.write(lines[-1] + "\n")
        sys.stdout.flush()
    return int(any("NOT FOUND" in line or "no report" in line for line in lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
