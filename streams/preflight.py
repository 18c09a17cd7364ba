"""Preflight: what must be there before a worker starts, and the messages while it is not.

Invariant: nothing that exists is changed; topics that are missing are made. A Redis that may forget keys by itself is
refused: what it forgot would be lost without a trace. Neighbours: `app` calls it once.
"""

from __future__ import annotations

from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError, ResponseError

from resolvers.errors import RedisUnavailable, SettingsError
from resolvers.port import Resolver
from resolvers.redis_graph import RedisResolver
from streams import kafka
from streams.patience import Trouble, patiently
from streams.settings import Settings
from streams.settings.problems import without_password
from streams.topics import CreateTopic, apply, look, plan, topic_names

log = structlog.get_logger(__name__)

ANSWER_SECONDS = 5.0
KEEPS_ALL = "noeviction"


async def prepare(settings: Settings, resolver: Resolver, trouble: Trouble | None = None) -> None:
    """Make missing topics and open the resolver, waiting for a Kafka or Redis that does not answer yet.

    Raises KafkaUnavailable, RedisUnavailable, SettingsError, StoreMismatch.
    """
    await make_missing_topics(settings, trouble)
    seconds = settings.redis.connect_seconds
    if isinstance(resolver, RedisResolver):
        await patiently(lambda: refuse_eviction(settings.redis.url), "looking at Redis", seconds, trouble)
    await patiently(resolver.open, "opening the space", seconds, trouble)


async def make_missing_topics(settings: Settings, trouble: Trouble | None = None) -> None:
    """Make the topics of the settings that are not there; leave the others as they are."""
    client = await kafka.started(kafka.admin(settings), settings.kafka, "admin", trouble)
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


async def refuse_eviction(url: str) -> None:
    """Raise SettingsError where a full Redis would drop keys, or where it does not know us. Raises RedisUnavailable.

    A Redis that does not let us look is only warned of.
    """
    address = without_password(url)
    policy = (await _memory(url, address)).get("maxmemory_policy")
    if policy is None:
        log.warning("redis does not say what it does when it is full; its maxmemory-policy must be noeviction", address=address)
    elif policy != KEEPS_ALL:
        raise SettingsError(
            f"redis.url: Redis at {address} has maxmemory-policy {policy}, so that it would silently forget who is who when it is full: "
            f"set maxmemory-policy to {KEEPS_ALL} in its configuration, or now with `CONFIG SET maxmemory-policy {KEEPS_ALL}`"
        )


async def _memory(url: str, address: str) -> dict[str, Any]:
    """Ask once for what Redis says of its memory; nothing where it may not be asked."""
    once = Retry(NoBackoff(), 0)
    client = Redis.from_url(url, socket_connect_timeout=ANSWER_SECONDS, socket_timeout=ANSWER_SECONDS, retry=once)
    try:
        found: dict[str, Any] = await client.info("memory")
    except AuthenticationError as error:
        raise SettingsError(f"redis.url: Redis at {address} does not let us in: {error}; check the user and the password") from error
    except ResponseError:
        return {}
    except (RedisError, OSError) as error:
        loading = isinstance(error, BusyLoadingError)
        said = "is loading its data" if loading else f"does not answer: {error}; check redis.url, or start a local one with `nexus up`"
        raise RedisUnavailable(f"Redis at {address} {said}") from error
    finally:
        await client.aclose()
    return found
