"""One detached server process with its pid file: started, found again by a later command, stopped.

Invariant: a process is only ever signalled while its command line still names our configuration file, so a pid that the
system gave to somebody else is left alone.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from resolvers.errors import StackError

_POLL_SECONDS = 0.05
# The shell ends at once, so the server is nobody's child: it outlives the command that started it and leaves no zombie.
_LAUNCH = 'pid=$1 out=$2; shift 2; "$@" >>"$out" 2>&1 </dev/null & echo $! >"$pid.new" && mv "$pid.new" "$pid"'


class ServerProcess:
    """A server that runs on its own, known by the pid file in its directory.

    `marker` is a path that stands in the server's command line and in no other process's.
    """

    def __init__(self, name: str, directory: Path, marker: Path) -> None:
        self.name = name
        self.output = directory / "output.log"
        self._pid_file = directory / "pid"
        self._marker = str(marker)

    def start(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Start the command in a session of its own; that it answers is for the caller to wait for."""
        self.output.unlink(missing_ok=True)
        launch = ["/bin/sh", "-c", _LAUNCH, "sh", str(self._pid_file), str(self.output), *command]
        surroundings = {**os.environ, **(environment or {})}
        try:
            subprocess.run(launch, check=True, start_new_session=True, env=surroundings, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise StackError(f"{self.name} could not be started with {command[0]}: {error}") from error

    def pid(self) -> int | None:
        """Return the pid of our running server, or None if it does not run (any more)."""
        try:
            pid = int(self._pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if self._marker in _command_line(pid) else None

    def stop(self, patience_seconds: float) -> bool:
        """Ask the server to end, insist after the patience, and return whether it ran at all."""
        pid = self.pid()
        if pid is not None:
            self._end(pid, patience_seconds)
        self._pid_file.unlink(missing_ok=True)
        return pid is not None

    def _end(self, pid: int, patience_seconds: float) -> None:
        for number, patience in ((signal.SIGTERM, patience_seconds), (signal.SIGKILL, 5.0)):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return
            except PermissionError as error:
                raise StackError(f"{self.name} (pid {pid}) belongs to another user and cannot be stopped from here") from error
            if self._gone_within(patience):
                return
        raise StackError(f"{self.name} (pid {pid}) is still there after SIGKILL")

    def _gone_within(self, patience_seconds: float) -> bool:
        deadline = time.monotonic() + patience_seconds
        while self.pid() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True


def _command_line(pid: int) -> str:
    """Return what the process was started with; empty for one that is gone or only waits to be reaped."""
    proc = Path("/proc")
    if (proc / "self" / "cmdline").exists():
        try:
            return (proc / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    ps = shutil.which("ps")
    if ps is None:
        raise StackError("neither /proc nor the program ps is there to tell which processes run")
    return subprocess.run([ps, "-ww", "-o", "command=", "-p", str(pid)], check=False, capture_output=True, text=True).stdout
