"""The admin server: a worker's health and metrics over HTTP, for probes, for Prometheus and for people.

Invariant: it only reads, and starts before anything that may have to wait, so that a worker that waits can say so.
Neighbours: `health` gives the verdicts, `metrics` the numbers; `nexus health`, Kubernetes' probes and Prometheus ask.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import orjson
from aiohttp import web
from mode import Service
from prometheus_client import CONTENT_TYPE_LATEST

from resolvers.errors import SettingsError
from streams.health import Health, Verdict

UNAVAILABLE = 503
STOP_SECONDS = 1.0


class AdminServer(Service):
    """Serves `/livez` and `/readyz`: 200 or 503, and `{"ok", "missing", "notes"}`; and `/metrics`."""

    mundane_level = "debug"

    def __init__(self, health: Health, metrics: Callable[[], bytes], host: str, port: int, **kwargs: Any) -> None:  # noqa: ANN401 - mode's
        """Port 0 takes any that is free. `metrics` writes them in Prometheus's text format."""
        super().__init__(**kwargs)
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self._application = web.Application()
        routes = {"/livez": answering(health.live), "/readyz": answering(health.ready), "/metrics": writing(metrics)}
        self._application.add_routes([web.get(path, answer) for path, answer in routes.items()])

    @property
    def port(self) -> int:
        """Give the port that is listened on."""
        addresses = self._runner.addresses if self._runner is not None else []
        return int(addresses[0][1]) if addresses else self._port

    async def on_start(self) -> None:
        """Listen. Raises SettingsError when the address can't be had."""
        self._runner = web.AppRunner(self._application, access_log=None, shutdown_timeout=STOP_SECONDS)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise SettingsError(
                f"worker.admin_port: can't listen on {self._host}:{self._port}: {error.strerror or error}; "
                "each worker of a host needs a port of its own"
            ) from error

    async def on_stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()


def answering(verdict: Callable[[], Verdict]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Make the handler that tells a verdict."""

    async def answer(_: web.Request) -> web.Response:
        now = verdict()
        return web.Response(body=orjson.dumps(asdict(now)), status=200 if now.ok else UNAVAILABLE, content_type="application/json")

    return answer


def writing(metrics: Callable[[], bytes]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Make the handler that writes the metrics."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=metrics(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return answer
