"""The proxy breaks connections as it says, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from streams.stack.ports import LOOPBACK, free_ports
from tests.chaos.proxy import Elsewhere, Proxy

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[], Awaitable[Streams]]

pytestmark = pytest.mark.timeout(20)


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while found := await reader.read(1024):
            writer.write(found.upper())
        writer.close()

    port, behind = free_ports(2)
    server = await asyncio.start_server(echo, LOOPBACK, behind)
    proxy = Proxy(port, behind)
    await proxy.start()
    yield proxy
    await proxy.stop()
    server.close()
    await asyncio.sleep(0)


@pytest.fixture
async def dial(proxy: Proxy) -> AsyncIterator[Dial]:
    made: list[asyncio.StreamWriter] = []

    async def connect() -> Streams:
        reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
        made.append(writer)
        return reader, writer

    yield connect
    for writer in made:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for writer in made), return_exceptions=True)


async def said(streams: Streams, word: bytes, seconds: float = 5.0) -> bytes:
    reader, writer = streams
    writer.write(word)
    async with asyncio.timeout(seconds):
        return await reader.readexactly(len(word))


async def test_bytes_pass(dial: Dial) -> None:
    streams = await dial()
    assert [await said(streams, word) for word in (b"one", b"two")] == [b"ONE", b"TWO"]


async def test_a_cut_ends_connections_and_new_ones_pass(proxy: Proxy, dial: Dial) -> None:
    streams = await dial()
    await said(streams, b"one")
    assert await proxy.cut() == 1
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await said(streams, b"two")
    assert await said(await dial(), b"two") == b"TWO"


async def test_while_it_refuses_no_connection_lives(proxy: Proxy, dial: Dial) -> None:
    await proxy.cut(refuse=True)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await said(await dial(), b"one")
    await proxy.heal()
    assert await said(await dial(), b"one") == b"ONE"


async def test_delay_lets_bytes_take_their_time_each_way(proxy: Proxy, dial: Dial) -> None:
    streams, clock = await dial(), asyncio.get_running_loop().time
    await proxy.delay(0.1)
    since = clock()
    assert await said(streams, b"one") == b"ONE"
    assert clock() - since >= 0.2


async def test_what_is_held_comes_when_the_network_is_back(proxy: Proxy, dial: Dial) -> None:
    streams = await dial()
    await proxy.hold()
    with pytest.raises(TimeoutError):
        await said(streams, b"one", 0.1)
    await proxy.heal()
    assert await streams[0].readexactly(3) == b"ONE"


async def test_a_connection_that_lost_bytes_is_silent_for_good(proxy: Proxy, dial: Dial) -> None:
    streams = await dial()
    await said(streams, b"one")
    assert await proxy.lose() == 1
    late = await dial()
    for silent in (streams, late):
        with pytest.raises(TimeoutError):
            await said(silent, b"two", 0.1)
    await proxy.heal()
    with pytest.raises(TimeoutError):
        await said(streams, b"two", 0.1)
    assert await said(await dial(), b"two") == b"TWO"


async def test_a_server_that_is_gone_ends_the_connection() -> None:
    port, behind = free_ports(2)
    proxy = Proxy(port, behind)
    await proxy.start()
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await said((reader, writer), b"one")
    writer.close()
    await proxy.stop()


async def test_elsewhere_runs_while_this_loop_is_busy() -> None:
    elsewhere = Elsewhere()
    proxy = Proxy(*free_ports(2))
    await elsewhere.do(proxy.start())
    assert await elsewhere.do(proxy.cut()) == 0
    await elsewhere.do(proxy.stop())
    await elsewhere.close()
