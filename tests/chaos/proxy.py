"""The proxy: a TCP server between the workers and one server, which breaks the network in the ways that networks break.

Invariant: no byte is changed, repeated or reordered; what is lost is lost to the end of its connection, and what is late
makes all that follows it there late. Neighbours: `servers` puts one before Kafka and one before Redis, `faults` asks them for trouble.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

from streams.stack.ports import LOOPBACK
from tests.chaos.kafka_requests import Requests
from tests.chaos.late_commit import LateCommit

CHUNK_BYTES = 65_536
WAITING_CHUNKS = 64
STAYS_SECONDS = 1.0
"""A late commit's connection stays for so long, though its client is gone: Kafka need not read what is closed."""

_RESET = struct.pack("ii", 1, 0)

Answer = TypeVar("Answer")
Chunk = tuple[float, bytes]


class Connection:
    """One connection of a client and the one behind it; `silent` from when its bytes go nowhere."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.silent = False
        self.port: int = client.get_extra_info("peername")[1]
        self._writers = [client]

    def joined(self, upstream: asyncio.StreamWriter) -> None:
        """Note the connection to the server."""
        self._writers.append(upstream)

    def close(self) -> None:
        """End both sides after what was written."""
        for writer in self._writers:
            writer.close()

    def reset(self) -> None:
        """End both sides at once, as a router that has forgotten them does."""
        for writer in self._writers:
            sock = writer.get_extra_info("socket")
            with contextlib.suppress(OSError, AttributeError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()


class Proxy:
    """Passes connections on from one loopback port to another until it is asked for something else."""

    def __init__(self, port: int, upstream_port: int, *, understands_kafka: bool = False) -> None:
        self.port = port
        self._understands_kafka = understands_kafka
        self._late = LateCommit()
        self._upstream_port = upstream_port
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._open = asyncio.Event()
        self._delay_seconds = 0.0
        self._refusing = False
        self._losing = False

    async def start(self) -> None:
        """Listen."""
        self._open.set()
        self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port)

    async def stop(self) -> None:
        """End every connection and listen no more."""
        if self._server is not None:
            self._server.close()
        await self.cut()

    async def cut(self, *, refuse: bool = False) -> int:
        """Reset every connection, and new ones too from now on if `refuse`; gives how many there were."""
        self._refusing = refuse
        found = list(self._connections)
        for connection in found:
            connection.reset()
        return len(found)

    async def delay(self, seconds: float) -> None:
        """Let every byte take so long, each way."""
        self._delay_seconds = seconds

    async def hold(self) -> None:
        """Keep what comes, without a word, until `heal` lets it go on: a network that is down for a while."""
        self._open.clear()

    async def lose(self) -> int:
        """Lose what comes on every connection, new ones included, until `heal`; gives how many there are.

        These connections stay silent for good: their client learns nothing unless it asks how long an answer may take.
        """
        self._losing = True
        for connection in self._connections:
            connection.silent = True
        return len(self._connections)

    async def catch_commit(self, seconds: float) -> int | None:
        """Keep the next commit of a transaction, and what follows it on its connection; gives the client's port, None if none came.

        It is delivered just before a successor of the same transactional id is made known to Kafka, or when all is healed.
        """
        self._late = LateCommit(armed=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._late.caught.wait(), seconds)
        self._late.armed = False
        return self._late.port or None

    async def delivered(self, seconds: float) -> bool:
        """Wait until the commit that was caught is delivered; gives whether a successor made it so."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._late.delivered.wait(), seconds)
        return self._late.succeeded

    async def heal(self) -> None:
        """Pass everything on again; what was lost stays lost."""
        self._late.armed = False
        self._late.wanted.set()
        self._delay_seconds, self._refusing, self._losing = 0.0, False, False
        self._open.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(writer)
        self._connections.add(connection)
        try:
            await self._pass(connection, reader, writer)
        except OSError:
            connection.reset()
        finally:
            connection.close()
            self._connections.discard(connection)

    async def _pass(self, connection: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            connection.reset()
            return
        connection.silent = self._losing
        behind, upstream = await asyncio.open_connection(LOOPBACK, self._upstream_port)
        connection.joined(upstream)
        out = asyncio.ensure_future(self._pump(connection, reader, upstream, Requests() if self._understands_kafka else None))
        back = asyncio.ensure_future(self._pump(connection, behind, writer))
        await asyncio.wait([out, back], return_when=asyncio.FIRST_COMPLETED)
        if connection.silent and not out.done():  # the server has hung up, and nobody can tell the client
            await asyncio.wait([out])
        for pump in (out, back):
            pump.cancel()
        await asyncio.gather(out, back, return_exceptions=True)

    async def _pump(
        self, connection: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: Requests | None = None
    ) -> None:
        """Move bytes one way until their writer hangs up; `requests` reads what a client asks of Kafka."""
        waiting: asyncio.Queue[Chunk | None] = asyncio.Queue(WAITING_CHUNKS)
        read = asyncio.ensure_future(self._read(reader, waiting))
        try:
            while (chunk := await waiting.get()) is not None:
                for request in requests.feed(chunk[1]) if requests else ():
                    await self._late.pass_on(request, connection.port)
                await self._write(connection, writer, chunk)
                if requests and not connection.silent:
                    await self._written(connection)
        except OSError:
            connection.reset()
        finally:
            read.cancel()
            await asyncio.gather(read, return_exceptions=True)

    async def _read(self, reader: asyncio.StreamReader, waiting: asyncio.Queue[Chunk | None]) -> None:
        clock = asyncio.get_running_loop().time
        with contextlib.suppress(OSError):
            while found := await reader.read(CHUNK_BYTES):
                await waiting.put((clock() + self._delay_seconds, found))
        await waiting.put(None)

    async def _write(self, connection: Connection, writer: asyncio.StreamWriter, chunk: Chunk) -> None:
        due, found = chunk
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        await self._open.wait()
        if not connection.silent:
            writer.write(found)
            await writer.drain()

    async def _written(self, connection: Connection) -> None:
        late = self._late
        if late.wanted.is_set() and late.port == connection.port and not late.delivered.is_set():
            late.written(connection.port)
            await asyncio.sleep(STAYS_SECONDS)


class Elsewhere:
    """A thread with an event loop of its own, so that proxies pass bytes on whatever the harness does meanwhile."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()

    async def do(self, asked: Awaitable[Answer]) -> Answer:
        """Wait for something to be done on the other loop."""

        async def answered() -> Answer:
            return await asked

        doing: Future[Answer] = asyncio.run_coroutine_threadsafe(answered(), self._loop)
        return await asyncio.wrap_future(doing)

    async def close(self) -> None:
        """End everything that runs there, and the thread."""
        await self.do(_ended())
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()


async def _ended() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
