from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from resolvers.errors import StackError
from streams.stack.ports import answers, free_ports, is_free, require_free


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_is_listened_on_is_not_free_and_answers(taken: int) -> None:
    assert not is_free(taken)
    assert answers(taken)


def test_free_ports_are_different_and_free() -> None:
    ports = free_ports(3)
    assert len(set(ports)) == 3
    assert all(is_free(port) and not answers(port) for port in ports)


def test_a_taken_port_is_named_with_the_setting_that_changes_it(taken: int) -> None:
    with pytest.raises(StackError) as caught:
        require_free(taken, "Kafka", "stack.kafka_port")
    assert str(caught.value) == (
        f"port {taken} for Kafka is taken by another program: stop that, or choose another port "
        "with stack.kafka_port in the settings file or NEXUS__STACK__KAFKA_PORT in the environment"
    )
