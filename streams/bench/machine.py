"""The machine that a run was made on: figures mean little without it."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from redis.asyncio import Redis

LIBRARIES = ("faust-streaming", "aiokafka", "redis", "msgspec", "orjson")


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a run was made. `load` is the load average of a minute when it began: above 0, others were working too."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    kafka: str
    redis: str
    libraries: str
    load: float


async def this_machine(kafka: str, redis: Redis) -> Machine:
    """Describe this machine and the servers; `kafka` is what is known of Kafka's version."""
    server = await redis.info("server")
    name, valkey = server.get("server_name", "redis"), server.get("valkey_version")
    allocator = _allocator(str((await redis.info("memory")).get("mem_allocator", "")), _text(f"/proc/{server.get('process_id')}/maps"))
    return Machine(
        _processor(_text("/proc/cpuinfo")),
        os.cpu_count() or 1,
        _memory_gib(_text("/proc/meminfo")),
        platform.platform(terse=True),
        platform.python_version(),
        kafka,
        f"{name} {valkey or server['redis_version']}{allocator and f', {allocator}'}",
        ", ".join(f"{one} {version(one)}" for one in LIBRARIES),
        round(os.getloadavg()[0], 2),
    )


def _allocator(built: str, maps: str) -> str:
    """Name what Redis takes its memory from: as it was built, or what was loaded into it beforehand, if it runs on this machine."""
    server = re.search(r"/\S*(?:redis|valkey)-server$", maps, re.MULTILINE)
    loaded = re.search(r"/(lib[a-z]+malloc[^/\s]*)$", maps, re.MULTILINE)
    return f"{loaded[1]} in place of {built}" if built == "libc" and server and loaded else built


def _processor(cpuinfo: str) -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _memory_gib(meminfo: str) -> float:
    found = re.search(r"^MemTotal:\s*(\d+) kB", meminfo, re.MULTILINE)
    return round(int(found[1]) / 1024**2, 1) if found else 0.0


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
