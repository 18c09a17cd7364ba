"""Ports of this machine: which are free, and what to say about one that is not."""

from __future__ import annotations

import random
import socket

from resolvers.errors import StackError

LOOPBACK = "127.0.0.1"
# Below the range that Linux hands to outgoing connections, so that a port found free stays free until a server takes it.
_CANDIDATES = range(20000, 32000)


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Tell whether something accepts connections on this loopback port now."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def free_ports(count: int) -> list[int]:
    """Find so many different free ports; nothing reserves them, so use them soon.

    By the system's chance: programs that begin with one seed must not all try the same ports.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(_CANDIDATES, len(_CANDIDATES)):
        if is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise StackError(f"no {count} free ports between {_CANDIDATES.start} and {_CANDIDATES.stop} on {LOOPBACK}")


def require_free(port: int, name: str, setting: str) -> None:
    """Refuse a port that another program holds, naming the setting that changes it.

    `setting` is its path in the settings file, such as `stack.kafka_port`.
    """
    if not is_free(port):
        variable = "NEXUS__" + setting.upper().replace(".", "__")
        raise StackError(
            f"port {port} for {name} is taken by another program: "
            f"stop that, or choose another port with {setting} in the settings file or {variable} in the environment"
        )
