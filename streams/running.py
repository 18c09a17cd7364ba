"""Running a worker in this process: Faust's worker, with one line when it is ready and one clear line when it ends badly.

Invariant: an end that nobody asked for is a non-zero exit. Neighbours: `app` gives what runs here; `nexus worker`
calls it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import sys
import time
from threading import Thread
from typing import Any

import faust
import structlog

from streams.app import NexusApp, create_app
from streams.log import set_up_log
from streams.redaction import words
from streams.settings import Settings

log = structlog.get_logger(__name__)

GRACE_SECONDS = 10.0
"""What a worker may take beyond its drain to let go of its connections."""

LOOK_SECONDS = 0.5

COLLECTING = (50_000, 20, 50)
"""After how many more objects Python looks for cycles: a batch makes tens of thousands and hardly a cycle. At Python's own
thresholds a worker spends a third of its time on looking, and Redis waits for it meanwhile."""


class NexusWorker(faust.Worker):
    """Faust's worker with its own output left out."""

    def __init__(self, app: NexusApp, **options: Any) -> None:  # noqa: ANN401 - Faust's
        super().__init__(app, quiet=True, redirect_stdouts=False, override_logging=False, **options)
        self.nexus_app = app
        self.spinner = None

    async def on_startup_finished(self) -> None:
        """Say that the worker is ready."""
        settings = self.nexus_app.nexus_settings
        stages = ", ".join(settings.worker.stages)
        print(  # noqa: T201 - whoever started the worker waits for this line
            f"ready: {stages} for space {settings.space}, Kafka {settings.kafka.bootstrap_servers}, process {os.getpid()}",
            flush=True,
        )
        await super().on_startup_finished()


def run_worker(settings: Settings, *, json_log: bool = False, debug: bool = False) -> int:
    """Run a worker until it is stopped; gives the exit code. The last line on standard error says why it ended badly."""
    set_up_log(as_json=json_log or settings.worker.log == "json", debug=debug)
    gc.set_threshold(*COLLECTING)
    _use_a_quick_loop()
    worker = NexusWorker(create_app(settings))
    seconds = settings.worker.drain_seconds + GRACE_SECONDS
    Thread(target=_see_it_end, args=(worker.nexus_app, seconds), name="last resort", daemon=True).start()
    code, reason = 0, None
    try:
        worker.execute_from_commandline()
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else 1
        # Faust's worker exits from where it catches the error, so the error is the exit's context.
        reason = worker.crash_reason or worker.nexus_app.crash_reason or ending.__context__
    if code:
        _say_no_more()
        print(f"nexus worker ended: {last_words(reason)}", file=sys.stderr, flush=True)  # noqa: T201 - the last word, whatever the log
    return code


def _use_a_quick_loop() -> None:
    """Let all that follows run on uvloop, where there is one: asyncio's own loop does the same more slowly."""
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: PLC0415 - not for Windows

        asyncio.set_event_loop(uvloop.new_event_loop())


def _see_it_end(app: NexusApp, seconds: float) -> None:
    """End the process when a worker that stops or has crashed is still there after so long: a library may hang in its end."""
    while not (app.should_stop or app.crashed):  # another thread's state
        time.sleep(LOOK_SECONDS)
    time.sleep(seconds)
    reason = last_words(app.crash_reason) if app.crash_reason else "asked to stop"
    print(f"nexus worker ended: {reason} (it did not stop by itself within {seconds:g} s)", file=sys.stderr, flush=True)  # noqa: T201
    os._exit(1)


def _say_no_more() -> None:
    """Let what is left of a crashed worker say its errors now, not after the last line: futures tell theirs when they are collected."""
    gc.collect()
    logging.disable(logging.CRITICAL)


def last_words(reason: BaseException | None) -> str:
    """Write why a worker ended as one line, without what may quote a record."""
    if reason is None:
        return "see the log above"
    return words(reason)
