"""What a worker's process is made ready with."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from streams.app import create_app
from streams.running import NexusWorker, _use_a_quick_loop
from streams.settings import Settings


def test_a_worker_runs_on_uvloop() -> None:
    def look() -> str:
        _use_a_quick_loop()
        worker = NexusWorker(create_app(Settings()))
        asyncio.get_event_loop().close()
        return type(worker.loop).__module__

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(look).result() == "uvloop"
