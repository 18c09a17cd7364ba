from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from resolvers.errors import PositionGap, RedisRefuses, RedisUnavailable
from streams.patience import patiently


class Told:
    """Remembers what was said, each call by a number of its own."""

    def __init__(self) -> None:
        self.said: list[tuple[int, str]] = []
        self._calls: list[object] = []

    def _number(self, call: object) -> int:
        if call not in self._calls:
            self._calls.append(call)
        return self._calls.index(call)

    def fails(self, call: object, what: str, error: Exception) -> None:
        self.said.append((self._number(call), f"{what}: {error}"))

    def over(self, call: object) -> None:
        self.said.append((self._number(call), "over"))


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


async def test_a_redis_that_answers_but_refuses_is_waited_for_beyond_the_time() -> None:
    refusals = [RedisRefuses("full")] * 3

    async def call() -> int:
        if refusals:
            raise refusals.pop()
        return 7

    with capture_logs() as logs:
        assert await patiently(call, "asking", 0.05) == 7
    assert [line["event"] for line in logs] == ["refused for now, waiting until it is over", "it answers again"]


async def test_silence_after_a_refusal_counts_from_the_refusal_on() -> None:
    failures = [RedisUnavailable("gone"), RedisRefuses("full"), RedisUnavailable("gone")]

    async def call() -> int:
        raise failures.pop()

    with pytest.raises(RedisUnavailable, match="gone"):
        await patiently(call, "asking", 0.15)
    assert failures == []


async def test_other_errors_pass_at_once() -> None:
    calls = 0

    async def call() -> int:
        nonlocal calls
        calls += 1
        raise PositionGap(0, 1, 2)

    with pytest.raises(PositionGap):
        await patiently(call, "asking", 10)
    assert calls == 1


async def test_whoever_wants_to_know_hears_of_each_failure_and_of_the_end() -> None:
    failures = [RedisUnavailable("gone"), RedisUnavailable("loading")]
    told = Told()

    async def call() -> int:
        if failures:
            raise failures.pop()
        return 7

    await patiently(call, "asking", 10, told)
    await patiently(call, "asking", 10, told)
    assert told.said == [(0, "asking: loading"), (0, "asking: gone"), (0, "over"), (1, "over")]


async def test_the_end_is_told_also_when_the_time_is_over() -> None:
    told = Told()

    async def call() -> int:
        raise RedisUnavailable("gone")

    with pytest.raises(RedisUnavailable):
        await patiently(call, "asking", 0, told)
    assert told.said == [(0, "asking: gone"), (0, "over")]


async def test_that_it_goes_on_is_logged_only_if_it_had_stopped() -> None:
    failures = [RedisUnavailable("gone")]

    async def call() -> int:
        if failures:
            raise failures.pop()
        return 7

    with capture_logs() as logs:
        await patiently(call, "asking", 10)
        await patiently(call, "asking", 10)
    assert [(line["event"], line["what"]) for line in logs] == [("no answer, trying again", "asking"), ("it answers again", "asking")]
