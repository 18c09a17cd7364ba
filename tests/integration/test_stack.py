"""The local stack does what `nexus up` and `nexus down` promise, on servers of its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from resolvers.errors import StackError
from streams.stack import Addresses, LocalStack
from streams.stack.jars import java
from streams.stack.ports import free_ports
from tests.surroundings import existing_addresses


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[LocalStack]:
    try:
        java()
    except StackError as error:
        if existing_addresses() is None:
            raise
        pytest.skip(f"an existing Kafka and Redis are used, and a local stack cannot run here: {error}")
    stack = LocalStack.on_free_ports(tmp_path / "stack")
    yield stack
    stack.down(wipe=True)


def test_up_twice_is_once_and_down_leaves_nothing(own_stack: LocalStack) -> None:
    first = own_stack.up(print)
    pids = [part.pid for part in own_stack.status()]
    assert all(part.answers and part.pid for part in own_stack.status())

    said: list[str] = []
    assert own_stack.up(said.append) == first
    assert said == [f"the stack of {own_stack.directory} was already up"]
    assert [part.pid for part in own_stack.status()] == pids

    assert own_stack.down() == ["Kafka", "Redis"]
    assert not any(part.answers or part.pid for part in own_stack.status())
    assert own_stack.down() == []


async def test_data_outlive_down_and_end_with_wipe(own_stack: LocalStack) -> None:
    addresses = own_stack.up(print)
    await _create_topic(addresses, "kept")
    with Redis.from_url(addresses.redis_url) as redis:
        redis.set("kept", "yes")
    own_stack.down()
    own_stack.up(print)
    assert "kept" in await _topics(addresses)
    with Redis.from_url(addresses.redis_url) as redis:
        assert redis.get("kept") == b"yes"
    own_stack.down(wipe=True)
    assert not own_stack.directory.exists()


def test_a_taken_port_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken, (free,) = other.getsockname()[1], free_ports(1)
        stack = LocalStack(tmp_path / "stack", kafka_port=free, redis_port=taken)
        with pytest.raises(StackError, match=f"port {taken} for Redis is taken .* stack.redis_port .* NEXUS__STACK__REDIS_PORT"):
            stack.up(print)
        assert stack.down() == []


def test_a_running_server_on_another_port_than_asked_for_is_an_error(own_stack: LocalStack) -> None:
    own_stack.up_redis(print)
    kafka_port, redis_port = free_ports(2)
    moved = LocalStack(own_stack.directory, kafka_port, redis_port)
    with pytest.raises(StackError, match=rf"runs on port \d+, not on {redis_port}: run `nexus down` first"):
        moved.up_redis(print)


def test_a_configured_redis_that_answers_is_used_and_not_stopped(own_stack: LocalStack, tmp_path: Path) -> None:
    url = own_stack.up_redis(print)
    kafka_port, redis_port = free_ports(2)
    guest = LocalStack(tmp_path / "guest", kafka_port, redis_port, redis_url=url)
    assert guest.up_redis(print) == url
    assert guest.down(wipe=True) == []
    assert own_stack.up_redis(print) == url


def test_a_server_that_ends_while_starting_shows_its_log(own_stack: LocalStack) -> None:
    own_stack.up_redis(print)
    own_stack.down()
    (manifest,) = own_stack.directory.glob("redis/data/appendonlydir/*.manifest")
    manifest.write_text("no manifest\n")
    with pytest.raises(StackError, match=r"(?s)Redis ended while starting on port \d+; its log says:.*AOF manifest"):
        own_stack.up_redis(print)
    assert own_stack.down() == []


def test_the_directory_may_have_spaces_and_quotes_in_its_name(tmp_path: Path) -> None:
    stack = LocalStack.on_free_ports(tmp_path / 'a "quoted" name')
    try:
        assert stack.up(print).bootstrap_servers
    finally:
        stack.down(wipe=True)


def test_redis_never_evicts_and_keeps_its_writes(redis_url: str) -> None:
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        assert redis.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert redis.config_get("appendonly") == {"appendonly": "yes"}


async def test_a_record_goes_through_kafka_and_back_in_a_transaction(stack: Addresses) -> None:
    await _create_topic(stack, "stack-round-trip")
    producer = AIOKafkaProducer(bootstrap_servers=stack.bootstrap_servers, transactional_id="stack-round-trip")
    async with producer, producer.transaction():
        await producer.send_and_wait("stack-round-trip", b"value", key=b"key")
    consumer = AIOKafkaConsumer(
        "stack-round-trip", bootstrap_servers=stack.bootstrap_servers, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    async with consumer:
        record = await consumer.getone()
    assert (record.key, record.value) == (b"key", b"value")


async def test_redis_answers(stack: Addresses) -> None:
    async with AsyncRedis.from_url(stack.redis_url) as redis:
        assert await redis.ping()


async def _create_topic(addresses: Addresses, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=addresses.bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def _topics(addresses: Addresses) -> set[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=addresses.bootstrap_servers)
    await admin.start()
    try:
        return set(await admin.list_topics())
    finally:
        await admin.close()
