from __future__ import annotations

import asyncio
from typing import Any, cast

import faust
import pytest
from aiokafka.structs import TopicPartition

from streams.batch import Job, JobChannel, SourceBatch, handle


class Doubling(Job[int]):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


async def double(job: Doubling) -> int:
    if job.number < 0:
        raise ValueError("below zero")
    return job.number * 2


class Watching:
    """Remembers what became of jobs, by their numbers."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def queued(self, job: Job[Any]) -> None:
        self.seen.append(("queued", cast("Doubling", job).number))

    def begun(self, job: Job[Any]) -> None:
        self.seen.append(("begun", cast("Doubling", job).number))

    def ended(self, job: Job[Any]) -> None:
        self.seen.append(("ended", cast("Doubling", job).number))


def app_of_a_test() -> faust.App:
    app = faust.App("test", autodiscover=False, web_enabled=False)
    app.loop = asyncio.get_running_loop()
    app.finalize()
    return app


@pytest.fixture
async def channel() -> JobChannel:
    return JobChannel(app_of_a_test())


async def test_jobs_reach_an_agent_though_faust_has_paused_its_channels(channel: JobChannel) -> None:
    stream = channel.clone(is_iterator=True)
    agent = asyncio.ensure_future(handle(double, stream))
    jobs = [Doubling(1), Doubling(2)]
    channel.app.flow_control.suspend()
    for job in jobs:
        await channel.put(job)
    channel.app.flow_control.resume()
    assert [await job.result() for job in jobs] == [2, 4]
    agent.cancel()


async def test_agents_that_share_a_channel_get_each_job_once(channel: JobChannel) -> None:
    agents = [asyncio.ensure_future(handle(double, channel.clone(is_iterator=True))) for _ in range(3)]
    jobs = [Doubling(number) for number in range(10)]
    for job in jobs:
        await channel.put(job)
    assert [await job.result() for job in jobs] == [number * 2 for number in range(10)]
    assert channel.empty()
    for agent in agents:
        agent.cancel()


async def test_an_unexpected_error_goes_to_whoever_waits_and_the_agent_lives_on(channel: JobChannel) -> None:
    agent = asyncio.ensure_future(handle(double, channel.clone(is_iterator=True)))
    bad, good = Doubling(-1), Doubling(1)
    await channel.put(bad)
    await channel.put(good)
    with pytest.raises(ValueError, match="below zero"):
        await bad.result()
    assert await good.result() == 2
    agent.cancel()


async def test_jobs_are_seen_to_come_and_go_also_when_they_fail() -> None:
    watch = Watching()
    channel = JobChannel(app_of_a_test(), watch=watch)
    good, bad = Doubling(1), Doubling(-1)
    await channel.put(good)
    await cast("JobChannel", channel.clone()).put(bad)
    agent = asyncio.ensure_future(handle(double, channel.clone(is_iterator=True), watch))
    await good.result()
    with pytest.raises(ValueError, match="below zero"):
        await bad.result()
    expected = [("queued", 1), ("queued", -1), ("begun", 1), ("ended", 1), ("begun", -1), ("ended", -1)]
    assert watch.seen == expected
    agent.cancel()


async def test_a_batch_says_where_it_is_from() -> None:
    assert SourceBatch(TopicPartition("nexus.events", 3), 0, []).subject == "nexus.events, partition 3"
