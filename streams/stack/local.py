"""Up, down and status of the stack as a whole; one command at a time per directory.

Invariant: `up` twice is `up` once, and after `down` no process that `up` started is left.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from resolvers.errors import StackError
from streams.stack.kafka_server import KafkaServer
from streams.stack.ports import free_ports
from streams.stack.redis_server import RedisServer, url_answers

if TYPE_CHECKING:
    from streams.settings import Settings

Report = Callable[[str], None]
Server = KafkaServer | RedisServer
START_LIMIT_SECONDS = 90.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where clients find the stack."""

    bootstrap_servers: str
    redis_url: str


@dataclass(frozen=True, slots=True)
class Part:
    """One server of the stack as it is now; `pid` is None for one that is not ours or does not run."""

    name: str
    address: str
    pid: int | None
    answers: bool


class LocalStack:
    """A Kafka and a Redis for one directory.

    `redis_url`, when given and answering, is used as it is, and no Redis is started; it is never stopped or wiped. A `short_lived`
    Kafka is at its best at once, a lasting one after some minutes.
    """

    def __init__(
        self,
        directory: Path,
        kafka_port: int,
        redis_port: int,
        redis_url: str | None = None,
        *,
        kafka_heap_mebibytes: int = 768,
        short_lived: bool = False,
    ) -> None:
        self.directory = directory.expanduser().resolve()
        self._kafka = KafkaServer(self.directory / "kafka", kafka_port, kafka_heap_mebibytes, short_lived=short_lived)
        self._redis = RedisServer(self.directory / "redis", redis_port)
        self._redis_url = redis_url

    @classmethod
    def from_settings(cls, settings: Settings) -> LocalStack:
        """Make the stack that the settings describe; a Redis address that is written there is used if it answers."""
        redis_url = settings.redis.url if "url" in settings.redis.model_fields_set else None
        return cls(settings.stack.directory, settings.stack.kafka_port, settings.stack.redis_port, redis_url)

    @classmethod
    def on_free_ports(cls, directory: Path) -> LocalStack:
        """Make a stack on ports that are free now, for tests and bounded runs."""
        kafka_port, redis_port = free_ports(2)
        return cls(directory, kafka_port, redis_port, short_lived=True)

    def up(self, report: Report) -> Addresses:
        """Start what does not run yet, wait until both servers answer, and return their addresses.

        Blocks for a few seconds, longer the first time, when Kafka is fetched. `report` gets a line per step. Raises
        StackError with the end of the server's log if it ends or does not answer in time; what was started stays then,
        so that `down` and the logs can be used.
        """
        with self._alone():
            redis_url = self._external_redis(report)
            servers: list[Server] = [self._kafka] if redis_url else [self._kafka, self._redis]
            for server in servers:
                server.require_port()
            fresh = [server.launch(report) for server in servers]
            for server in servers:
                _wait(server)
        addresses = Addresses(self._kafka.bootstrap_servers, redis_url or self._redis.url)
        if not any(fresh):
            report(f"the stack of {self.directory} was already up")
        return addresses

    def up_redis(self, report: Report) -> str:
        """Start only Redis, wait until it answers, and return its address; takes well under a second."""
        with self._alone():
            redis_url = self._external_redis(report)
            if redis_url is None:
                self._redis.require_port()
                self._redis.launch(report)
                _wait(self._redis)
        return redis_url or self._redis.url

    def down(self, wipe: bool = False) -> list[str]:
        """Stop what runs and return the names of what was stopped; with `wipe` the data and logs go too."""
        if not self.directory.exists():
            return []
        with self._alone():
            stopped = [name for name, server in (("Kafka", self._kafka), ("Redis", self._redis)) if server.stop()]
            if wipe:
                self._wipe()
        return stopped

    def status(self) -> list[Part]:
        """Say of each server where it is, whether it runs and whether it answers."""
        kafka = Part("kafka", self._kafka.bootstrap_servers, self._kafka.process.pid(), self._kafka.answers())
        if self._redis_url is not None and url_answers(self._redis_url):
            return [kafka, Part("redis", _without_password(self._redis_url), None, answers=True)]
        return [kafka, Part("redis", self._redis.url, self._redis.process.pid(), self._redis.answers())]

    def _external_redis(self, report: Report) -> str | None:
        """Return the configured address if a Redis answers there."""
        if self._redis_url is None:
            return None
        if url_answers(self._redis_url):
            report(f"using the Redis at {_without_password(self._redis_url)}")
            return self._redis_url
        report(f"no Redis answers at {_without_password(self._redis_url)}")
        return None

    def _wipe(self) -> None:
        """Remove what `up` made, and the directory if nothing else is in it."""
        for part in ("kafka", "redis"):
            if (self.directory / part).exists():
                shutil.rmtree(self.directory / part)
        self._lock_file.unlink()
        if not any(self.directory.iterdir()):
            self.directory.rmdir()

    @property
    def _lock_file(self) -> Path:
        return self.directory / "lock"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other commands on the same directory waiting until this one is done."""
        try:
            with self._locked():
                yield
        except PermissionError as error:
            raise StackError(f"the stack's directory {self.directory} cannot be used ({error}): set stack.directory") from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        while True:
            self.directory.mkdir(parents=True, exist_ok=True)
            with self._lock_file.open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if _is_at(lock.fileno(), self._lock_file):
                    yield
                    return
            # Wiped while we waited: what we hold is no lock any more.


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _wait(server: Server) -> None:
    """Return once the server answers; raise if it ends or takes longer than the limit."""
    deadline = time.monotonic() + START_LIMIT_SECONDS
    name = server.process.name
    while not server.answers():
        if server.process.pid() is None:
            raise StackError(f"{name} ended while starting on port {server.port}; its log says:\n{server.last_words()}")
        if time.monotonic() > deadline:
            raise StackError(f"{name} did not answer on port {server.port} within {START_LIMIT_SECONDS:.0f} s:\n{server.last_words()}")
        time.sleep(_POLL_SECONDS)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
