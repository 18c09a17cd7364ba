"""Discarding a space: what it holds in Redis, and its output topics.

Invariant: neither the live space nor a topic that spaces share is touched, and no worker is at work on what is taken
away. Neighbours: `nexus rebuild --fresh` asks for it, `rebuild` makes the space anew.
"""

from __future__ import annotations

import asyncio

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError, UnknownTopicOrPartitionError, for_code

from resolvers.errors import KafkaUnavailable, NexusError
from streams import kafka
from streams.graph import open_graph
from streams.settings import SPACE_TOPICS, Settings
from streams.topics import POLL_SECONDS, VISIBLE_SECONDS, look

GROUPS = ("resolve", "commands", "publish", "worker")


def output_topics(target: Settings) -> list[str]:
    """Name the topics that are a space's own."""
    return [target.topic(word) for word in SPACE_TOPICS]


async def discard(target: Settings) -> list[str]:
    """Delete a space; gives the topics that were there. Raises NexusError while workers hold it.

    Redis is emptied first: a space that thinks it has told everything, with empty topics, would never tell again. What
    was interrupted must be discarded again before it is of use.
    """
    client = await kafka.started(kafka.admin(target, what="discard"), target.kafka, "discard")
    try:
        await check_idle(client, target)
        async with open_graph(target, check=False) as resolver:
            await resolver.drop()
        return await _delete(client, output_topics(target))
    except KafkaError as error:
        raise KafkaUnavailable(f"space {target.space} was not discarded: {error!r}") from error
    finally:
        await client.close()


async def check_idle(client: AIOKafkaAdminClient, target: Settings) -> None:
    """Raise NexusError while workers are at work on a space."""
    if busy := [name for stage in GROUPS if await _has_members(client, name := kafka.group_id(target, stage))]:
        raise NexusError(
            f"workers are at work on space {target.space} (groups {', '.join(busy)}): stop them first; "
            f"one that was killed counts for {target.worker.session_timeout_ms / 1000:g} s more"
        )


async def _has_members(client: AIOKafkaAdminClient, name: str) -> bool:
    """Ask for one group: aiokafka misreads an answer about several."""
    try:
        (answer,) = await client.describe_consumer_groups([name])
    except GroupCoordinatorNotAvailableError:  # a Kafka on which no group has ever been
        return False
    return any(group["members"] for group in answer.to_object()["groups"])


async def _delete(client: AIOKafkaAdminClient, names: list[str]) -> list[str]:
    found = sorted(await look(client, names))
    if not found:
        return found
    for name, code, *_ in (await client.delete_topics(found)).topic_error_codes:
        if code not in (0, UnknownTopicOrPartitionError.errno):
            raise NexusError(f"Kafka refuses to delete topic {name}: {for_code(code).description}")
    try:
        async with asyncio.timeout(VISIBLE_SECONDS):
            while await look(client, found):  # noqa: ASYNC110 - another machine's state, so there is no event to wait for
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError as error:
        raise KafkaUnavailable(f"topics were deleted but Kafka still shows them: {', '.join(found)}") from error
    return found
