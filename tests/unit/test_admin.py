from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from resolvers.errors import NexusError, RedisUnavailable, SettingsError
from streams.admin import AdminServer
from streams.cli import build_app
from streams.health import Health
from streams.probing import admin_url, asked
from streams.settings import Settings


@pytest.fixture
def health() -> Health:
    started = Health(lambda: 0.0, 60)
    started.started()
    return started


@pytest.fixture
async def server(health: Health) -> AsyncIterator[AdminServer]:
    server = AdminServer(health, lambda: b"told 1\n", "127.0.0.1", 0)
    await server.start()
    yield server
    await server.stop()


async def ask(server: AdminServer, path: str) -> Mapping[str, Any]:
    return await asyncio.to_thread(asked, f"http://127.0.0.1:{server.port}{path}")


async def status(server: AdminServer, path: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return int(line.split()[1])


async def test_a_healthy_worker_says_yes_twice(server: AdminServer) -> None:
    assert await ask(server, "/livez") == {"ok": True, "missing": [], "notes": []}
    assert await ask(server, "/readyz") == {"ok": True, "missing": [], "notes": []}
    assert [await status(server, path) for path in ("/livez", "/readyz", "/metrics", "/")] == [200, 200, 200, 404]


async def test_metrics_are_text_of_prometheus(server: AdminServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    assert b"Content-Type: text/plain; version=" in head
    assert body == b"told 1\n"


async def test_a_no_comes_with_what_is_missing(server: AdminServer, health: Health) -> None:
    health.fails(object(), "opening the space", RedisUnavailable("Redis at here:1 does not answer"))
    words = "Redis does not answer: opening the space, for 0 s: Redis at here:1 does not answer"
    assert await ask(server, "/readyz") == {"ok": False, "missing": [words], "notes": []}
    assert await ask(server, "/livez") == {"ok": True, "missing": [], "notes": [words]}
    assert [await status(server, path) for path in ("/livez", "/readyz")] == [200, 503]


async def test_a_port_that_is_taken_is_a_wrong_setting(server: AdminServer, health: Health) -> None:
    second = AdminServer(health, lambda: b"told 1\n", "127.0.0.1", server.port)
    with pytest.raises(SettingsError, match=rf"worker\.admin_port: can't listen on 127\.0\.0\.1:{server.port}"):
        await second.on_start()


async def test_a_server_that_stopped_does_not_answer(health: Health) -> None:
    server = AdminServer(health, lambda: b"told 1\n", "127.0.0.1", 0)
    await server.start()
    url = f"http://127.0.0.1:{server.port}/livez"
    await server.stop()
    with pytest.raises(NexusError, match="no worker answers at"):
        await asyncio.to_thread(asked, url)


def test_something_else_on_the_port_is_no_worker() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/livez"
        with pytest.raises(NexusError, match="no worker answers at"):
            asked(url, seconds=0.05)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:8080"),
        ("::1", "http://[::1]:8080"),
    ],
)
def test_a_worker_is_asked_where_it_listens(host: str, url: str) -> None:
    assert admin_url(settings(admin_host=host, admin_port=8080)) == url


def test_a_worker_that_does_not_listen_cannot_be_asked() -> None:
    with pytest.raises(SettingsError, match=r"worker\.admin_port is not set"):
        admin_url(settings())


async def test_the_command_exits_with_the_answer(server: AdminServer, health: Health, tmp_path: Path) -> None:
    config = tmp_path / "nexus.yaml"
    await asyncio.to_thread(config.write_text, f"worker: {{admin_port: {server.port}}}\n")
    health.fails(object(), "opening the space", RedisUnavailable("refused"))

    async def run(*options: str) -> tuple[int, str]:
        result = await asyncio.to_thread(CliRunner().invoke, build_app(), ["health", "--config", str(config), *options])
        return result.exit_code, result.stdout

    missing = "Redis does not answer: opening the space, for 0 s: refused"
    assert await run() == (1, f"not ready\n  {missing}\n")
    assert await run("--live") == (0, f"live\n  {missing}\n")
    code, said = await run("--ready", "--json")
    assert (code, json.loads(said)) == (1, {"ok": False, "missing": [missing], "notes": []})


def settings(**worker: Any) -> Settings:
    return Settings.model_validate({"worker": worker})
