"""What a worker's process is made ready with."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from structlog.testing import capture_logs

from resolvers.errors import KafkaUnavailable
from streams.app import create_app
from streams.running import NexusWorker, _use_a_quick_loop
from streams.settings import Settings, settings_from

NOWHERE = {"kafka": {"bootstrap_servers": "127.0.0.1:1", "connect_seconds": 0}}


def test_a_worker_runs_on_uvloop() -> None:
    def look() -> str:
        _use_a_quick_loop()
        worker = NexusWorker(create_app(Settings()))
        asyncio.get_event_loop().close()
        return type(worker.loop).__module__

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(look).result() == "uvloop"


@pytest.mark.parametrize(("key", "warned"), [({}, 1), ({"identity_key": "a key of our own"}, 0)])
async def test_a_worker_with_the_key_for_trying_out_says_so_at_its_start(key: dict[str, str], warned: int) -> None:
    app = create_app(settings_from({**NOWHERE, **key}))
    with capture_logs() as logged, pytest.raises(KafkaUnavailable):
        await app.on_first_start()
    said = [one for one in logged if one["log_level"] == "warning" and one["event"].startswith("identity_key is the key for trying out")]
    assert len(said) == warned
