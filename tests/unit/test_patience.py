from __future__ import annotations

import pytest

from resolvers.errors import PositionGap, RedisUnavailable
from streams.patience import patiently


async def test_a_call_is_repeated_until_it_works() -> None:
    failures = [RedisUnavailable("gone"), RedisUnavailable("loading")]

    async def call() -> int:
        if failures:
            raise failures.pop()
        return 7

    assert await patiently(call, "asking", 10) == 7
    assert failures == []


async def test_the_last_error_is_raised_when_the_time_is_over() -> None:
    async def call() -> int:
        raise RedisUnavailable("Redis at here:1 does not answer")

    with pytest.raises(RedisUnavailable, match="here:1"):
        await patiently(call, "asking", 0)


async def test_other_errors_pass_at_once() -> None:
    calls = 0

    async def call() -> int:
        nonlocal calls
        calls += 1
        raise PositionGap(0, 1, 2)

    with pytest.raises(PositionGap):
        await patiently(call, "asking", 10)
    assert calls == 1
