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

_SCRIPTS = ("evalsha", "eval", "fcall")


@dataclass(frozen=True, slots=True)
class Used:
    """CPU seconds used since the processes began; `scripts` is the time that Redis spent in scripts."""

    worker: float | None
    redis: float | None
    scripts: float | None
    kafka: float | None

    def per_unit_us(self, before: Used, count: int) -> dict[str, float | None]:
        """Give the microseconds per unit that were used since `before`."""
        return {
            "worker": _per_unit(before.worker, self.worker, count),
            "redis": _per_unit(before.redis, self.redis, count),
            "redis_scripts": _per_unit(before.scripts, self.scripts, count),
            "kafka": _per_unit(before.kafka, self.kafka, count),
        }


def _per_unit(before: float | None, after: float | None, count: int) -> float | None:
    return None if before is None or after is None else (after - before) * 1e6 / max(1, count)


class Meters:
    """Reads what the given processes and servers have used. `kafka` is the broker's process, where it is known."""

    def __init__(self, redis: Redis, workers: Sequence[int], kafka: int | None) -> None:
        self._redis = redis
        self._workers = workers
        self._kafka = kafka

    async def read(self) -> Used:
        """Read all meters once."""
        cpu = await self._redis.info("cpu")
        return Used(
            _total([cpu_seconds(pid) for pid in self._workers]),
            float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"]),
            await script_seconds(self._redis),
            None if self._kafka is None else cpu_seconds(self._kafka),
        )

    def peak_mib(self) -> float | None:
        """Give the most memory that one of the workers has held so far."""
        peaks = [peak for pid in self._workers if (peak := peak_mib(pid)) is not None]
        return max(peaks, default=None)


async def script_seconds(redis: Redis) -> float:
    """Give the time that a Redis has spent in scripts."""
    stats = await redis.info("commandstats")
    return float(sum(stats.get(f"cmdstat_{name}", {}).get("usec", 0) for name in _SCRIPTS)) / 1e6


def _total(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if parts and len(known) == len(parts) else None


def cpu_seconds(pid: int, proc: Path = Path("/proc")) -> float | None:
    """Give the CPU time of a process and of its living children; None where the system does not tell."""
    try:
        fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])  # utime and stime: fields 14 and 15 of proc(5)
        children = [int(child) for task in (proc / str(pid) / "task").glob("*/children") for child in task.read_text().split()]
    except (OSError, IndexError, ValueError):
        return None
    own = ticks / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_seconds(child, proc) or 0.0 for child in children)


def peak_mib(pid: int, proc: Path = Path("/proc")) -> float | None:
    """Give the largest resident memory that a process has had; None where the system does not tell."""
    try:
        lines = (proc / str(pid) / "status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), None)
