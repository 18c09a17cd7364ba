from __future__ import annotations

from collections.abc import Sequence

import pytest
from aiokafka.errors import KafkaConnectionError
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    DataError,
    InvalidResponse,
    NoPermissionError,
    NoScriptError,
    ResponseError,
)

from resolvers.errors import Fenced, KafkaUnavailable, PositionGap, RedisUnavailable, Rejected, SettingsError, StoreLost
from streams.poison import Doubt, blames_a_record, sifted


class Work:
    """Adds numbers up; fails when a bad one is among them."""

    def __init__(self, *bad: int, error: Exception | None = None) -> None:
        self.bad = set(bad)
        self.error = error
        self.calls = 0

    async def __call__(self, items: Sequence[int]) -> int:
        self.calls += 1
        if self.bad & set(items):
            raise self.error or ValueError(f"among {len(items)}")
        return sum(items)


async def test_what_works_is_done_at_once() -> None:
    work = Work()
    assert await sifted([1, 2, 3], work) == ([6], [])
    assert work.calls == 1


async def test_the_bad_ones_are_found_and_the_others_done_once() -> None:
    answers, bad = await sifted(range(100), Work(0, 41, 99))
    assert sum(answers) == sum(range(100)) - 0 - 41 - 99
    assert [(item, str(error)) for item, error in bad] == [(0, "among 1"), (41, "among 1"), (99, "among 1")]


async def test_one_bad_one_among_many_costs_a_logarithm_and_one_more_try() -> None:
    work = Work(77)
    await sifted(range(256), work)
    assert work.calls == 1 + 2 * 8 + 1


async def test_what_failed_once_and_works_again_is_nobodys_fault() -> None:
    failures = [ValueError("the moment")]

    async def work(items: Sequence[int]) -> int:
        if failures:
            raise failures.pop()
        return sum(items)

    assert await sifted([7], work) == ([7], [])


async def test_what_fails_only_together_is_nobodys_fault() -> None:
    async def together(items: Sequence[int]) -> int:
        if len(items) > 2:
            raise OverflowError("too much at once")
        return sum(items)

    answers, bad = await sifted([1, 2, 3, 4], together)
    assert (answers, bad) == ([3, 7], [])


async def test_an_error_of_the_outside_passes_without_a_search() -> None:
    work = Work(2, error=StoreLost("gone"))
    with pytest.raises(StoreLost):
        await sifted([1, 2, 3], work)
    assert work.calls == 1


@pytest.mark.parametrize(
    ("error", "blamed"),
    [
        (ValueError(), True),
        (RecursionError(), True),
        (ResponseError("user_script:7: bad argument"), True),
        (Rejected("no time"), True),
        (RedisUnavailable("full"), False),
        (KafkaUnavailable("gone"), False),
        (PositionGap(0, 1, 2), False),
        (StoreLost("gone"), False),
        (Fenced("another"), False),
        (SettingsError("wrong"), False),
        (KafkaConnectionError(), False),
        (BusyLoadingError("loading"), False),
        (AuthenticationError("invalid password"), False),
        (NoPermissionError("no permission"), False),
        (NoScriptError("no matching script"), False),
        (InvalidResponse("protocol error"), False),
        (DataError("invalid input of type: 'dict'"), True),
        (TimeoutError(), False),
        (ConnectionResetError(), False),
        (MemoryError(), False),
    ],
    ids=repr,
)
def test_who_is_blamed(error: Exception, blamed: bool) -> None:
    assert blames_a_record(error) is blamed


def test_a_handful_in_a_row_may_fail() -> None:
    doubt = Doubt()
    doubt.weigh([ValueError()] * 3, fine=0)
    doubt.weigh([ValueError()] * 2, fine=0)
    with pytest.raises(ValueError, match="the sixth"):
        doubt.weigh([ValueError("the sixth")], fine=0)


def test_one_that_did_well_ends_the_row() -> None:
    doubt = Doubt()
    doubt.weigh([ValueError()] * 5, fine=0)
    doubt.weigh([ValueError()] * 5, fine=1)
    doubt.weigh([ValueError()] * 5, fine=0)
    doubt.weigh([ValueError()] * 100, fine=100)


def test_most_of_a_batch_is_not_the_records_fault_though_one_did_well() -> None:
    with pytest.raises(ValueError, match="again"):
        Doubt().weigh([ValueError("again")] * 6, fine=5)


def test_a_batch_of_nothing_says_nothing() -> None:
    doubt = Doubt()
    doubt.weigh([ValueError()] * 5, fine=0)
    doubt.weigh([], fine=0)
    with pytest.raises(ValueError, match="again"):
        doubt.weigh([ValueError("again")], fine=0)
