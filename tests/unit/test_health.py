from __future__ import annotations

import pytest
from redis.exceptions import BusyLoadingError, MasterDownError, OutOfMemoryError, ReadOnlyError, ResponseError

from resolvers.errors import KafkaUnavailable, RedisUnavailable
from streams.batch import Job
from streams.health import Health, words_of


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


class Named(Job[None]):
    def __init__(self, subject: str) -> None:
        super().__init__()
        self.subject = subject


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    started = Health(clock, 60)
    started.started()
    return started


def unavailable(cause: Exception) -> RedisUnavailable:
    error = RedisUnavailable(f"Redis at here:1 does not answer: {cause}")
    error.__cause__ = cause
    return error


async def test_a_worker_without_work_is_alive_for_ever(health: Health, clock: Clock) -> None:
    stage = health.stage("resolve")
    job = Named("events, partition 3")
    stage.queued(job)
    stage.begun(job)
    stage.ended(job)
    clock.forward(1_000_000)
    assert health.live().ok


async def test_a_job_that_goes_on_and_on_is_stuck(health: Health, clock: Clock) -> None:
    job = Named("events, partition 3")
    health.stage("resolve").queued(job)
    clock.forward(1)
    health.stage("resolve").begun(job)
    clock.forward(59)
    assert health.live().ok
    clock.forward(1)
    assert not health.live().ok
    assert health.live().missing == ("stage resolve has finished nothing for 61 s; events, partition 3 is at work, 1 of 1 jobs at work",)


async def test_a_job_that_no_agent_takes_is_stuck(health: Health, clock: Clock) -> None:
    health.stage("publish").queued(Named("shard 2"))
    clock.forward(61)
    assert health.live().missing == ("stage publish has finished nothing for 61 s; shard 2 waits for an agent, 0 of 1 jobs at work",)


async def test_a_long_queue_that_gets_on_is_not_stuck(health: Health, clock: Clock) -> None:
    stage = health.stage("resolve")
    first, second = Named("events, partition 0"), Named("events, partition 1")
    stage.queued(first)
    stage.queued(second)
    clock.forward(50)
    stage.ended(first)
    clock.forward(50)
    assert health.live().ok
    clock.forward(11)
    assert not health.live().ok


async def test_progress_of_one_stage_does_not_speak_for_another(health: Health, clock: Clock) -> None:
    health.stage("resolve").queued(Named("events, partition 0"))
    clock.forward(61)
    quick = Named("raw, partition 0")
    health.stage("adapt").queued(quick)
    health.stage("adapt").ended(quick)
    assert not health.live().ok


async def test_a_worker_that_waits_for_redis_is_alive_and_not_ready(health: Health, clock: Clock) -> None:
    call = object()
    health.stage("resolve").queued(Named("events, partition 0"))
    for _ in range(40):
        clock.forward(5)
        health.fails(call, "applying events of partition 0", unavailable(OutOfMemoryError("command not allowed")))
    live, ready = health.live(), health.ready()
    assert (live.ok, ready.ok) == (True, False)
    said = ("Redis is full: applying events of partition 0, for 195 s: Redis at here:1 does not answer: command not allowed",)
    assert live.notes == said
    assert ready.missing == said


async def test_a_stage_has_its_full_time_after_the_outside_answers_again(health: Health, clock: Clock) -> None:
    call = object()
    health.stage("resolve").queued(Named("events, partition 0"))
    clock.forward(50)
    health.fails(call, "applying", RedisUnavailable("gone"))
    clock.forward(50)
    health.over(call)
    assert health.ready().ok
    clock.forward(59)
    assert health.live().ok
    clock.forward(2)
    assert not health.live().ok


async def test_a_call_that_hangs_after_it_failed_is_stuck_in_the_end(health: Health, clock: Clock) -> None:
    health.stage("resolve").queued(Named("events, partition 0"))
    health.fails(object(), "applying", RedisUnavailable("gone"))
    clock.forward(61)
    assert not health.live().ok


def test_a_trouble_that_nobody_speaks_of_any_more_is_forgotten(health: Health, clock: Clock) -> None:
    health.fails(object(), "applying", RedisUnavailable("gone"))
    clock.forward(120)
    assert not health.ready().ok
    clock.forward(1)
    assert health.ready().ok


def test_many_calls_that_fail_alike_are_one_line(health: Health, clock: Clock) -> None:
    for partition in range(3):
        health.fails(object(), f"applying events of partition {partition}", RedisUnavailable("refused"))
        clock.forward(1)
    health.fails(object(), "last round of shard 0", KafkaUnavailable("no broker"))
    assert health.ready().missing == (
        "Redis does not answer: applying events of partition 0 and 2 more, for 3 s: refused",
        "Kafka does not answer: last round of shard 0, for 0 s: no broker",
    )


def test_a_worker_is_not_ready_before_it_started_and_while_it_stops(clock: Clock) -> None:
    health = Health(clock, 60)
    assert health.ready().missing == ("the worker is starting",)
    health.fails(call := object(), "admin", KafkaUnavailable("Kafka at here:9 does not answer"))
    assert health.ready().missing[1:] == ("Kafka does not answer: admin, for 0 s: Kafka at here:9 does not answer",)
    health.over(call)
    health.started()
    assert health.ready().ok
    health.stopping()
    assert health.ready().missing == ("the worker is stopping",)
    assert health.live().ok


def test_what_is_going_on_is_said_without_being_missing(health: Health) -> None:
    health.holding("resolve", lambda: [0, 3])
    health.holding("publish", list)
    health.recovering("the logs are applied up to 1200 of 5000")
    assert health.ready().ok
    assert health.ready().notes == (
        "recovery is under way: the logs are applied up to 1200 of 5000",
        "resolve holds 0, 3",
        "publish holds no partition",
    )
    health.recovering("")
    assert len(health.ready().notes) == 2


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (unavailable(OutOfMemoryError("x")), "Redis is full"),
        (unavailable(BusyLoadingError("x")), "Redis is loading its data"),
        (unavailable(ReadOnlyError("x")), "Redis takes no writes: it is a replica, or failing over"),
        (unavailable(MasterDownError("x")), "Redis is a replica that has lost its master"),
        (unavailable(ResponseError("MISCONF Errors writing to the AOF file")), "Redis takes no writes: it can't save to its disk"),
        (unavailable(ResponseError("NOREPLICAS Not enough")), "Redis takes no writes: too few replicas follow it"),
        (unavailable(ResponseError("BUSY Redis is busy")), "Redis is busy with a long script"),
        (RedisUnavailable("x"), "Redis does not answer"),
        (KafkaUnavailable("x"), "Kafka does not answer"),
        (TimeoutError("x"), "Kafka does not answer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said_in_words(error: Exception, words: str) -> None:
    assert words_of(error) == words
