"""Sockets: which process has the client's end of a connection, by what Linux tells of both."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def owner_of(port: int, pids: Iterable[int]) -> int | None:
    """Give the one of some processes that holds the local TCP port, None when none does."""
    inodes = {f"socket:[{inode}]" for inode in _inodes(port)}
    return next((pid for pid in pids if inodes & _sockets(pid)), None)


def _inodes(port: int) -> list[str]:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return [row[9] for row in rows if int(row[1].partition(":")[2], 16) == port and row[9] != "0"]


def _sockets(pid: int) -> set[str]:
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            found.add(str(descriptor.readlink()))
        except OSError:  # closed meanwhile
            continue
    return found
