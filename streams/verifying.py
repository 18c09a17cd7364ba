"""Verifying from a command: the same as `verify`, with whatever does not answer named.

Invariant: `verify` itself imports nothing of the resolver, its errors included, so they are made here. Neighbours:
`nexus verify`, `nexus run --verify` and the demo.
"""

from __future__ import annotations

from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from resolvers.errors import KafkaUnavailable, RedisUnavailable
from streams.settings import Settings
from streams.verify import Report, verify


async def verified(settings: Settings, *, wait_seconds: float = 30) -> Report:
    """Verify; waits so long for a pipeline that is still working. Raises KafkaUnavailable, RedisUnavailable."""
    try:
        return await verify(settings, wait_seconds=wait_seconds)
    except RedisError as error:
        raise RedisUnavailable(f"Redis at {settings.redis.url.rpartition('@')[2]} could not be read: {error}") from error
    except (KafkaError, TimeoutError) as error:
        raise KafkaUnavailable(
            f"Kafka at {settings.kafka.bootstrap_servers} could not be read: {str(error) or type(error).__name__}"
        ) from error
