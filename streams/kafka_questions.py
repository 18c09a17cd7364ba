"""Questions to Kafka that its clients do not ask: what its user may do, and which calls it knows.

Invariant: nothing is written, no topic is made, nobody is fenced. Neighbours: `kafka` makes the connection; `kafka_checkup`
judges the answers.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from aiokafka import errors
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import ApiVersionRequest, DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.transaction import EndTxnRequest
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from resolvers.errors import KafkaUnavailable

READ, WRITE, DESCRIBE, DESCRIBE_CONFIGS = 3, 4, 8, 10
"""Operations, by Kafka's numbers."""

UNSAID = -(2**31)
"""What a Kafka says that does not tell which operations are allowed."""

GROUP, TRANSACTION = 0, 1
"""What a coordinator is of."""

COORDINATOR_SECONDS = 5.0
"""A Kafka that was never asked for a coordinator makes the topic that it needs first."""

POLL_SECONDS = 0.2
NOBODY = -1
"""A producer id that no producer has."""

_BROKER = (("node_id", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8")))
_PARTITION = (
    *(("error_code", Int16), ("partition", Int32), ("leader", Int32), ("leader_epoch", Int32)),
    *(("replicas", Array(Int32)), ("isr", Array(Int32)), ("offline_replicas", Array(Int32))),
)
_TOPIC = (
    *(("error_code", Int16), ("topic", String("utf-8")), ("is_internal", Boolean)),
    *(("partitions", Array(*_PARTITION)), ("authorized_operations", Int32)),
)


class _Topics8(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        *(("throttle_time_ms", Int32), ("brokers", Array(*_BROKER)), ("cluster_id", String("utf-8")), ("controller_id", Int32)),
        *(("topics", Array(*_TOPIC)), ("authorized_operations", Int32)),
    )


class _AskTopics8(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _Topics8
    SCHEMA = Schema(("topics", Array(String("utf-8"))), ("make", Boolean), ("cluster_operations", Boolean), ("topic_operations", Boolean))


class _AskTopics(Request[_AskTopics8]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def build(self, request_struct_class: type[_AskTopics8]) -> _AskTopics8:
        return request_struct_class(topics=self._names, make=False, cluster_operations=False, topic_operations=True)


class _AskGroups3(RequestStruct):  # type: ignore[misc]
    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = DescribeGroupsResponse_v3
    SCHEMA = DescribeGroupsRequest_v3.SCHEMA


class _AskGroups(Request[_AskGroups3]):  # type: ignore[misc]
    API_KEY = 15

    def __init__(self, name: str) -> None:
        self._name = name

    def build(self, request_struct_class: type[_AskGroups3]) -> _AskGroups3:
        return request_struct_class(groups=[self._name], include_authorized_operations=True)


@dataclass(frozen=True, slots=True)
class Told:
    """What Kafka says of one thing: an error code, 0 for none, and the allowed operations as bits; None where it does not say."""

    code: int
    operations: int | None = None

    def allows(self, operation: int) -> bool:
        """Say whether an operation is allowed, as far as is known."""
        return self.operations is None or bool(self.operations >> operation & 1)


def told(code: int, operations: int) -> Told:
    """Read an answer."""
    return Told(code, None if code or operations == UNSAID else operations)


class Questions:
    """A connection that only asks. Every question raises KafkaError where Kafka does not answer it."""

    def __init__(self, client: AIOKafkaClient) -> None:
        """Keep a bare client that is not started."""
        self._client = client

    async def start(self) -> None:
        """Connect."""
        await self._client.bootstrap()

    async def close(self) -> None:
        """Disconnect."""
        await self._client.close()

    async def versions(self) -> dict[int, tuple[int, int]]:
        """Ask for the versions of each call, least and greatest, by its number."""
        answer = await self._ask(ApiVersionRequest())
        return {call: (least, most) for call, least, most in answer.api_versions}

    async def brokers(self) -> int:
        """Count the brokers."""
        return len(self._client.cluster.brokers())

    async def topics(self, names: list[str]) -> dict[str, Told]:
        """Ask what may be done with topics. One that is not there, or may not be seen, has a code."""
        answer = (await self._ask(_AskTopics(names))).to_object()
        return {one["topic"]: told(one["error_code"], one["authorized_operations"]) for one in answer["topics"]}

    async def group(self, name: str) -> Told:
        """Ask what may be done with a consumer group, whether or not it is there."""
        code, node = await self._coordinator(name, GROUP)
        if code:
            return Told(code)
        (group,) = (await self._ask(_AskGroups(name), node)).to_object()["groups"]
        return told(group["error_code"], group["authorized_operations"])

    async def transactional(self, name: str) -> tuple[Told, Told]:
        """Ask whether a transactional id may be looked at, and whether it may be written with.

        The second asks to end a transaction of a producer that is nobody: that is refused, for want of the right or of the producer.
        """
        code, node = await self._coordinator(name, TRANSACTION)
        if code and code != errors.TransactionalIdAuthorizationFailed.errno:
            return Told(code), Told(code)
        refused = (await self._ask(EndTxnRequest(name, NOBODY, NOBODY, transaction_result=False), None if code else node)).error_code
        denied = errors.TransactionalIdAuthorizationFailed.errno
        return Told(code), Told(denied if refused == denied else 0)

    async def _coordinator(self, name: str, kind: int) -> tuple[int, int]:
        passing = {errors.GroupCoordinatorNotAvailableError.errno, errors.GroupLoadInProgressError.errno}
        asked = asyncio.get_running_loop().time()
        while True:
            answer = await self._ask(FindCoordinatorRequest(name, kind))
            if answer.error_code not in passing or asyncio.get_running_loop().time() - asked > COORDINATOR_SECONDS:
                return answer.error_code, answer.coordinator_id
            await asyncio.sleep(POLL_SECONDS)

    async def _ask(self, request: Any, node: int | None = None) -> Any:  # noqa: ANN401 - aiokafka has no types
        asked = self._client.get_random_node() if node is None else node
        if asked is None:
            raise KafkaUnavailable("Kafka names no broker")
        return await self._client.send(asked, request)
