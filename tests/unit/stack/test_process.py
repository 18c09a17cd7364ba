from __future__ import annotations

import os
from pathlib import Path

import pytest

from resolvers.errors import StackError
from streams.stack.process import ServerProcess

# A shell that waits; its command line names the marker, as a server's names its configuration file.
WAITS = ["/bin/sh", "-c", "echo ready; while :; do sleep 0.1; done"]
STUBBORN = ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]


@pytest.fixture
def server(tmp_path: Path) -> ServerProcess:
    return ServerProcess("Waiter", tmp_path, tmp_path / "waiter.conf")


def test_a_started_process_is_found_again_by_its_pid_file(server: ServerProcess, tmp_path: Path) -> None:
    server.start([*WAITS, str(tmp_path / "waiter.conf")])
    again = ServerProcess("Waiter", tmp_path, tmp_path / "waiter.conf")
    assert again.pid() is not None
    assert again.pid() == server.pid()
    assert again.stop(patience_seconds=5)
    assert server.pid() is None


def test_a_process_that_ignores_sigterm_is_killed(server: ServerProcess, tmp_path: Path) -> None:
    server.start([*STUBBORN, str(tmp_path / "waiter.conf")])
    assert server.stop(patience_seconds=0.2)
    assert server.pid() is None


def test_stopping_what_is_gone_already_is_fine(server: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("not a number")
    assert not server.stop(patience_seconds=1)
    assert not server.stop(patience_seconds=1)


def test_a_pid_that_belongs_to_somebody_else_is_left_alone(server: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(str(os.getpid()))
    assert server.pid() is None
    assert not server.stop(patience_seconds=1)


def test_a_process_that_ends_at_once_is_not_running(server: ServerProcess) -> None:
    server.start(["/bin/sh", "-c", "exit 1"])
    assert server.pid() is None


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    server = ServerProcess("Waiter", tmp_path / "nowhere", tmp_path / "waiter.conf")
    with pytest.raises(StackError, match="Waiter could not be started"):
        server.start(WAITS)
