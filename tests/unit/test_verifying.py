from __future__ import annotations

from typing import Any

import pytest
from aiokafka.errors import NotLeaderForPartitionError
from redis.exceptions import ConnectionError as RedisConnectionError

import streams.verifying
from resolvers.errors import KafkaUnavailable, RedisUnavailable
from streams.settings import settings_from
from streams.verifying import verified


@pytest.mark.parametrize(
    ("raised", "expected", "said"),
    [
        (RedisConnectionError("refused"), RedisUnavailable, "Redis at there:2/0 could not be read: refused"),
        (NotLeaderForPartitionError(), KafkaUnavailable, "Kafka at here:1 could not be read"),
        (TimeoutError(), KafkaUnavailable, "Kafka at here:1 could not be read: TimeoutError"),
    ],
)
async def test_what_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, expected: type[Exception], said: str
) -> None:
    async def verify(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr(streams.verifying, "verify", verify)
    settings = settings_from({"kafka": {"bootstrap_servers": "here:1"}, "redis": {"url": "redis://:secret@there:2/0"}})
    with pytest.raises(expected, match=said):
        await verified(settings)
