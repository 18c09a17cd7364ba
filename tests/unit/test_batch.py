from __future__ import annotations

import asyncio

import faust
import pytest

from streams.batch import Job, JobChannel, handle


class Doubling(Job[int]):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


async def double(job: Doubling) -> int:
    if job.number < 0:
        raise ValueError("below zero")
    return job.number * 2


@pytest.fixture
async def channel() -> JobChannel:
    app = faust.App("test", autodiscover=False, web_enabled=False)
    app.loop = asyncio.get_running_loop()
    app.finalize()
    return JobChannel(app)


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
