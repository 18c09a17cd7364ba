"""Preflight: what must be there before a worker starts, and the messages while it is not.

Invariant: nothing that exists is changed; topics that are missing are made. Neighbours: `app` calls it once.
"""

from __future__ import annotations

import structlog

from resolvers.port import Resolver
from streams import kafka
from streams.patience import patiently
from streams.settings import Settings
from streams.topics import CreateTopic, apply, look, plan, topic_names

log = structlog.get_logger(__name__)


async def prepare(settings: Settings, resolver: Resolver) -> None:
    """Make missing topics and open the resolver, waiting for a Kafka or Redis that does not answer yet.

    Raises KafkaUnavailable, RedisUnavailable, SettingsError, StoreMismatch.
    """
    await make_missing_topics(settings)
    await patiently(resolver.open, "opening the space", settings.redis.connect_seconds)


async def make_missing_topics(settings: Settings) -> None:
    """Make the topics of the settings that are not there; leave the others as they are."""
    client = await kafka.started(kafka.admin(settings), settings.kafka, "admin")
    try:
        changes = plan(settings, await look(client, topic_names(settings)))
        missing = [change for change in changes if isinstance(change, CreateTopic)]
        await apply(client, missing)
    finally:
        await client.close()
    if missing:
        log.info("made topics", topics=[change.name for change in missing])
    if drifted := [change.name for change in changes if not isinstance(change, CreateTopic)]:
        log.warning("topics have other settings than nexus gives them; see `nexus topics plan`", topics=drifted)
