"""Meters: the CPU time that the workers, Redis and Kafka have used, read from outside while they work.

Invariant: reading costs the measured processes next to nothing; what this system does not tell is None. The Redis
and the Kafka figures are of the whole server, so they are the benchmark's own only if nobody else uses it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Used:
    """CPU seconds used so far, and calls of Redis, scripts' own included.

    `bench` is this process, `machine` all processes of the machine together.
    """

    worker: float | None = None
    redis: float | None = None
    kafka: float | None = None
    bench: float | None = None
    machine: float | None = None
    redis_calls: int = 0

    def per_unit_us(self, before: Used, count: int) -> dict[str, float | None]:
        """Give the microseconds per unit that were used since `before`."""
        pairs = {"worker": (before.worker, self.worker), "redis": (before.redis, self.redis), "kafka": (before.kafka, self.kafka)}
        return {who: None if one is None or two is None else (two - one) * 1e6 / max(1, count) for who, (one, two) in pairs.items()}

    def others_cores(self, before: Used, seconds: float) -> float | None:
        """Give how many cores were busy with what is no part of the run; None where the machine does not tell."""
        if self.machine is None or before.machine is None:
            return None
        ours = sum((two or 0.0) - (one or 0.0) for one, two in zip(before.parts(), self.parts(), strict=True))
        return max(0.0, (self.machine - before.machine - ours) / max(seconds, 1e-9))

    def parts(self) -> tuple[float | None, ...]:
        """Give what the parts of the run have used."""
        return self.worker, self.redis, self.kafka, self.bench


class Meters:
    """Reads what processes and servers have used. `kafka` is the broker's process, where it is known."""

    def __init__(self, redis: Redis, workers: Sequence[int], kafka: int | None) -> None:
        """`workers` are processes other than this one; without any, this one does the work."""
        self._redis = redis
        self._workers = workers
        self._kafka = kafka

    async def read(self) -> Used:
        """Read all meters once."""
        own = cpu_seconds(os.getpid(), children=False)
        return Used(
            _total([cpu_seconds(pid) for pid in self._workers]) if self._workers else own,
            await redis_cpu_seconds(self._redis),
            None if self._kafka is None else cpu_seconds(self._kafka),
            own if self._workers else None,
            machine_cpu_seconds(),
            await redis_calls(self._redis),
        )

    def peak_mib(self) -> float | None:
        """Give the most memory that one of the workers has held so far."""
        peaks = [peak for pid in self._workers if (peak := peak_mib(pid)) is not None]
        return max(peaks, default=None)


def _total(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if parts and len(known) == len(parts) else None


async def redis_cpu_seconds(redis: Redis) -> float:
    """Give the CPU time of a Redis: unlike its time in commands, it does not grow while others hold the processor."""
    cpu = await redis.info("cpu")
    return float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])


async def redis_calls(redis: Redis) -> int:
    """Count the calls that a Redis has answered, from clients and from scripts: a cost that no other program can change."""
    stats = await redis.info("commandstats")
    return sum(int(one["calls"]) for name, one in stats.items() if name != "cmdstat_info")


def cpu_seconds(pid: int, proc: Path = PROC, *, children: bool = True) -> float | None:
    """Give the CPU time of a process, with its living children unless told otherwise; None where the system does not tell."""
    try:
        fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])  # utime and stime: fields 14 and 15 of proc(5)
        listed = [int(child) for task in (proc / str(pid) / "task").glob("*/children") for child in task.read_text().split()]
    except (OSError, IndexError, ValueError):
        return None
    own = ticks / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_seconds(child, proc) or 0.0 for child in listed) if children else own


def machine_cpu_seconds(proc: Path = PROC) -> float | None:
    """Give the time that all processors were busy, stolen time included; None where the system does not tell."""
    try:
        fields = [int(field) for field in (proc / "stat").read_text().split("\n", 1)[0].split()[1:9]]
        user, nice, system, _, _, irq, softirq, steal = fields
    except (OSError, ValueError):
        return None
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def peak_mib(pid: int, proc: Path = PROC) -> float | None:
    """Give the largest resident memory that a process has had; None where the system does not tell."""
    try:
        lines = (proc / str(pid) / "status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), None)
