"""The servers: a Kafka and a Redis of the harness's own, each with a proxy in front, to be killed and given other data.

Invariant: workers know only the proxies' addresses, the harness and the judge only the servers' own; a server that
was killed comes back on the same ports. Neighbours: `faults` breaks them, `world` writes both kinds of settings.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from redis.asyncio import Redis

from resolvers.errors import StackError
from streams.stack import Addresses
from streams.stack.kafka_server import KafkaServer, Proxied
from streams.stack.ports import LOOPBACK, free_ports
from streams.stack.redis_server import RedisServer
from tests.chaos.proxy import Elsewhere, Proxy

HEAP_MEBIBYTES = 768
KAFKA_SESSION_MS = 3_000
START_SECONDS = 90.0
POLL_SECONDS = 0.05


class Servers:
    """Kafka and Redis under one directory. Made by `servers`."""

    def __init__(self, directory: Path, elsewhere: Elsewhere) -> None:
        kafka, behind, kafka_proxy, redis, redis_proxy = free_ports(5)
        self._elsewhere = elsewhere
        self.kafka = KafkaServer(
            directory / "kafka", kafka, HEAP_MEBIBYTES, Proxied(behind, kafka_proxy), session_ms=KAFKA_SESSION_MS, short_lived=True
        )
        self.redis = RedisServer(directory / "redis", redis)
        self.kafka_proxy = Proxy(kafka_proxy, behind, understands_kafka=True)
        self.redis_proxy = Proxy(redis_proxy, redis)
        self.direct = Addresses(self.kafka.bootstrap_servers, self.redis.url)
        self.proxied = Addresses(f"{LOOPBACK}:{kafka_proxy}", f"redis://{LOOPBACK}:{redis_proxy}/0")
        self.do = elsewhere.do

    async def start(self) -> None:
        """Start everything and wait until it answers."""
        for proxy in (self.kafka_proxy, self.redis_proxy):
            await self.do(proxy.start())
        await asyncio.gather(self.start_kafka(), self.start_redis())

    async def stop(self) -> None:
        """End everything at once."""
        for proxy in (self.kafka_proxy, self.redis_proxy):
            await self.do(proxy.stop())
        await asyncio.gather(self.kill(self.kafka), self.kill(self.redis))

    async def kill(self, server: KafkaServer | RedisServer) -> None:
        """Kill a server with SIGKILL and wait until it is gone."""
        pid = server.process.pid()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        while server.process.pid() is not None:  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(POLL_SECONDS)

    async def start_kafka(self) -> None:
        """Start Kafka on what data it has."""
        await asyncio.to_thread(self.kafka.launch, _quiet)
        await _answering(self.kafka)

    async def start_redis(self) -> None:
        """Start Redis on what data it has; it never rewrites its file by itself, so that a copy of it is whole."""
        await asyncio.to_thread(self.redis.launch, _quiet)
        await _answering(self.redis)
        async with Redis.from_url(self.redis.url) as redis:
            await redis.config_set("auto-aof-rewrite-percentage", 0)

    async def copy_redis(self, to: Path) -> Path:
        """Copy Redis's append-only file as it is now."""
        await asyncio.to_thread(shutil.copytree, self.redis.data, to)
        return to

    async def replace_redis(self, copy: Path | None) -> None:
        """Give a Redis that does not run the data of a copy, or none."""
        await asyncio.to_thread(shutil.rmtree, self.redis.data, ignore_errors=True)
        if copy is not None:
            await asyncio.to_thread(shutil.copytree, copy, self.redis.data)


@asynccontextmanager
async def servers(directory: Path) -> AsyncIterator[Servers]:
    """Run the servers and the proxies; nothing is left running afterwards."""
    elsewhere = Elsewhere()
    made = Servers(directory, elsewhere)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()
        await elsewhere.close()


async def _answering(server: KafkaServer | RedisServer) -> None:
    async with asyncio.timeout(START_SECONDS):
        while not await asyncio.to_thread(server.answers):
            if server.process.pid() is None:
                raise StackError(f"{server.process.name} ended while starting; its log says:\n{server.last_words()}")
            await asyncio.sleep(POLL_SECONDS)


def _quiet(_: str) -> None:
    """Say nothing of a server that is started for the hundredth time."""
