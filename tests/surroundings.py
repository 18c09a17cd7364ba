"""Where the tests find Kafka and Redis: named in the environment, in containers, or a local stack of the session's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from streams.stack import Addresses, LocalStack

CONTAINERS_SWITCH = "NEXUS_TEST_TESTCONTAINERS"
KAFKA_IMAGE = "apache/kafka:4.2.1"
VALKEY_IMAGE = "valkey/valkey:9.1.4"


class Surroundings(Protocol):
    """Starts what is asked for, the first time that it is asked for."""

    def stack(self) -> Addresses:
        """Return where Kafka and Redis are."""

    def redis_url(self) -> str:
        """Return where Redis is."""


@contextmanager
def surroundings(directory: Path) -> Iterator[Surroundings]:
    """Choose by the environment, and stop at the end what was started; `directory` is for the local stack."""
    existing = existing_addresses()
    if existing is not None:
        yield Existing(existing)
    elif os.environ.get(CONTAINERS_SWITCH) == "1":
        with ExitStack() as running:
            yield Containers(running)
    else:
        local = LocalStack.on_free_ports(directory)
        try:
            yield Local(local)
        finally:
            local.down(wipe=True)


def existing_addresses() -> Addresses | None:
    """Return the addresses that the environment names, if it names both."""
    kafka, redis = os.environ.get("NEXUS__KAFKA__BOOTSTRAP_SERVERS"), os.environ.get("NEXUS__REDIS__URL")
    return Addresses(kafka, redis) if kafka and redis else None


@dataclass(frozen=True, slots=True)
class Existing:
    """A Kafka and a Redis that somebody else runs."""

    addresses: Addresses

    def stack(self) -> Addresses:
        return self.addresses

    def redis_url(self) -> str:
        return self.addresses.redis_url


@dataclass(frozen=True, slots=True)
class Local:
    """The local stack of `nexus up`; starting what runs already changes nothing."""

    local: LocalStack

    def stack(self) -> Addresses:
        return self.local.up(print)

    def redis_url(self) -> str:
        return self.local.up_redis(print)


class Containers:
    """Containers of Docker, stopped when the given exit stack closes."""

    def __init__(self, running: ExitStack) -> None:
        self._running = running
        self._redis_url: str | None = None

    def stack(self) -> Addresses:
        return Addresses(self._kafka(), self.redis_url())

    def redis_url(self) -> str:
        if self._redis_url is None:
            from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - only where Docker is asked for
            from testcontainers.core.waiting_utils import wait_for_logs  # noqa: PLC0415

            valkey = DockerContainer(VALKEY_IMAGE).with_exposed_ports(6379)
            self._running.enter_context(valkey.with_command("valkey-server --maxmemory-policy noeviction --appendonly yes"))
            wait_for_logs(valkey, "Ready to accept connections", timeout=60)
            self._redis_url = f"redis://{valkey.get_container_host_ip()}:{valkey.get_exposed_port(6379)}/0"
        return self._redis_url

    def _kafka(self) -> str:
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - only where Docker is asked for
        from testcontainers.core.waiting_utils import wait_for_logs  # noqa: PLC0415

        from streams.stack.ports import free_ports  # noqa: PLC0415

        (port,) = free_ports(1)  # a broker must know the address that clients use before it starts
        kafka = DockerContainer(KAFKA_IMAGE).with_bind_ports(9092, port)
        for name, value in _kafka_environment(port).items():
            kafka = kafka.with_env(name, value)
        self._running.enter_context(kafka)
        wait_for_logs(kafka, "Kafka Server started", timeout=120)
        return f"127.0.0.1:{port}"


def _kafka_environment(port: int) -> dict[str, str]:
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_MESSAGE_MAX_BYTES": "10485760",
        "KAFKA_LOG_RETENTION_MS": "-1",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "8",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "4",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
    }
