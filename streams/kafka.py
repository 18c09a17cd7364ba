"""Kafka's clients, made in one place from the settings.

Invariant: nothing commits by itself, nothing skips when a position is gone, everything written is acknowledged by
all replicas and written once. Neighbours: every stage takes its clients from here; `topics` administers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError
from aiokafka.helpers import create_ssl_context
from aiokafka.structs import TopicPartition

from resolvers.errors import KafkaUnavailable, SettingsError
from streams.patience import Trouble, patiently
from streams.settings import KafkaSettings, SecuritySettings, Settings
from streams.tokens import tokens_of

LARGEST_REQUEST_BYTES = 96 * 1024 * 1024
"""What a producer may send at once; below the broker's own bound on a request (100 MiB). Topics bound messages."""

STOP_SECONDS = 5.0

AGAIN_MS = 20
"""How soon a transactional producer tries again. A transaction that begins while the markers of the one before are still being written is
refused for some milliseconds, as if replicas were missing; with aiokafka's own 100 ms that was the longest wait of every eighth round."""

_UNREACHABLE = (KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError, OSError, TimeoutError)


class Startable(Protocol):
    """What all of aiokafka's clients have in common."""

    async def start(self) -> None:
        """Connect."""


Client = TypeVar("Client", bound=Startable)


def group_id(settings: Settings, stage: str) -> str:
    """Name a stage's consumer group. `adapt` is shared by the spaces that share the event log; other stages are a space's own."""
    space = "" if settings.space == "default" or stage == "adapt" else f"{settings.space}."
    return f"{settings.topics.prefix}{space}{stage}"


def transactional_id(settings: Settings, stage: str, partition: int) -> str:
    """Name the one writer of a partition: a second one with this name fences the first."""
    return f"{group_id(settings, stage)}.{partition}"


def consumer(
    settings: Settings,
    *topics: str,
    what: str,
    group: str | None = None,
    isolation: Literal["read_committed", "read_uncommitted"] = "read_committed",
) -> AIOKafkaConsumer:
    """Make a consumer that never commits by itself and raises where a position is missing; `what` ends its client id.

    Without a `group` partitions are assigned by the caller. Not started.
    """
    worker, kafka = settings.worker, settings.kafka
    return AIOKafkaConsumer(
        *topics,
        **_connection(kafka, what),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level=isolation,
        session_timeout_ms=worker.session_timeout_ms,
        heartbeat_interval_ms=max(1, worker.session_timeout_ms // 4),
        max_partition_fetch_bytes=worker.batch_bytes,
        fetch_max_wait_ms=100,
        metadata_max_age_ms=60_000,
    )


async def written_ends(settings: Settings, places: Sequence[TopicPartition], what: str) -> dict[TopicPartition, int]:
    """Ask after which offset nothing is written. Raises KafkaUnavailable, KafkaError.

    A consumer that reads what is committed is told an earlier end for a moment: Kafka acknowledges a transaction before its markers stand.
    """
    asking = await started(consumer(settings, what=what, isolation="read_uncommitted"), settings.kafka, what)
    try:
        found: dict[TopicPartition, int] = await asking.end_offsets(list(places))
        return found
    finally:
        await stop(asking)


def producer(settings: Settings, *, what: str) -> AIOKafkaProducer:
    """Make an idempotent producer that waits for all replicas. Not started. A failed send shows in its future alone."""
    return AIOKafkaProducer(**_connection(settings.kafka, what), **_writing(settings.kafka), enable_idempotence=True)


def transactional_producer(settings: Settings, *, transactional: str, what: str) -> AIOKafkaProducer:
    """Make a transactional producer; starting it fences every former one of the same transactional id. Not started."""
    return AIOKafkaProducer(
        **_connection(settings.kafka, what),
        **_writing(settings.kafka),
        transactional_id=transactional,
        transaction_timeout_ms=settings.kafka.transaction_timeout_ms,
        retry_backoff_ms=AGAIN_MS,
    )


def admin(settings: Settings, *, what: str = "admin") -> AIOKafkaAdminClient:
    """Make an admin client. Not started; it is ended with `close`."""
    return AIOKafkaAdminClient(**_connection(settings.kafka, what))


def asker(settings: Settings, *, what: str) -> AIOKafkaClient:
    """Make a bare client, for what the other clients do not ask. Not started: its `bootstrap` does. Must be made where a loop runs."""
    return AIOKafkaClient(**_connection(settings.kafka, what))


async def started(client: Client, kafka: KafkaSettings, what: str, trouble: Trouble | None = None) -> Client:
    """Start a client, trying again with a logged message while Kafka does not answer.

    Raises KafkaUnavailable after `kafka.connect_seconds`; the client is closed by then.
    """

    async def start() -> None:
        try:
            await client.start()
        except _UNREACHABLE as error:
            raise KafkaUnavailable(_unreachable(kafka)) from error

    try:
        await patiently(start, what, kafka.connect_seconds, trouble)
    except BaseException:
        await stop(client)
        raise
    return client


async def stop(client: Startable) -> None:
    """End a client of any kind, started or not; one that does not end in time goes on ending in the background.

    A client that cancels its own ending has ended: that must not look as if its caller had been cancelled.
    """
    end = getattr(client, "stop", None) or getattr(client, "close", None)
    if end is not None:
        done, _ = await asyncio.wait([asyncio.ensure_future(end())], timeout=STOP_SECONDS)
        for one in done:
            if not one.cancelled():
                one.result()


def _unreachable(kafka: KafkaSettings) -> str:
    return (
        f"Kafka at {kafka.bootstrap_servers} does not answer: "
        "check kafka.bootstrap_servers and kafka.security, or start a local one with `nexus up`"
    )


def _connection(kafka: KafkaSettings, what: str) -> dict[str, Any]:
    security = kafka.security
    options: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in kafka.bootstrap_servers.split(",") if server.strip()],
        "client_id": f"{kafka.client_id}-{what}",
        "request_timeout_ms": kafka.request_timeout_ms,
        "security_protocol": security.protocol,
    }
    if security.protocol.endswith("SSL"):
        options["ssl_context"] = ssl_context(security)
    if security.protocol.startswith("SASL") and security.mechanism == "OAUTHBEARER":
        options["sasl_mechanism"] = security.mechanism
        options["sasl_oauth_token_provider"] = tokens_of(security.token_provider or "")
    elif security.protocol.startswith("SASL"):
        options["sasl_mechanism"] = security.mechanism
        options["sasl_plain_username"] = security.username
        options["sasl_plain_password"] = security.password.get_secret_value() if security.password else None
    return options


def _writing(kafka: KafkaSettings) -> dict[str, Any]:
    return {
        "acks": "all",
        "compression_type": None if kafka.compression == "none" else kafka.compression,
        "linger_ms": kafka.linger_ms,
        "max_batch_size": kafka.producer_batch_bytes,
        "max_request_size": LARGEST_REQUEST_BYTES,
    }


def ssl_context(security: SecuritySettings) -> Any:  # noqa: ANN401 - aiokafka says nothing of its type
    """Make the TLS context that the settings describe. Raises SettingsError."""
    try:
        context = create_ssl_context(
            cafile=_path(security.ca_file),
            certfile=_path(security.cert_file),
            keyfile=_path(security.key_file),
            password=security.key_password.get_secret_value() if security.key_password else None,
        )
    except OSError as error:
        raise SettingsError(f"kafka.security: a certificate or key file cannot be used: {error}") from error
    context.check_hostname = security.check_hostname
    return context


def _path(path: object) -> str | None:
    return None if path is None else str(path)
