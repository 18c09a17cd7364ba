"""What goes wrong with a Redis that is there: full, loading, read-only, restarted, silent. A stage pauses, says so, and goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition
from redis.asyncio import Redis
from redis.exceptions import RedisError
from structlog.testing import capture_logs

from resolvers.errors import RedisRefuses, RedisUnavailable, SettingsError
from resolvers.identifier import Identifier as GraphIdentifier
from resolvers.redis_graph import RedisResolver
from resolvers.rules import Rules
from streams.batch import Job, Outcome, SourceBatch
from streams.counters import Counters
from streams.events import Event, Identifier, Participant, encode_event
from streams.health import Health, words_of
from streams.positions import AppliedPositions
from streams.preflight import refuse_eviction
from streams.resolve import ResolveStage
from streams.sender import Sender
from streams.settings import EntitySettings, IdentifierSettings
from streams.stack.ports import free_ports
from streams.stack.redis_server import redis_program
from tests.chaos.proxy import Proxy
from tests.kafka_fakes import FakeConsumer, FakeProducer, record

pytestmark = pytest.mark.timeout(180)

PLACE = TopicPartition("events", 0)
RULES = Rules.from_settings({"person": EntitySettings(identifiers={"email": IdentifierSettings(priority=1, normalise="email")})}, b"key")
SILENCE_SECONDS = 5.0
"""After so long without an answer a connection counts as dead."""


class Server:
    """A Redis or Valkey of a test's own, which the test may hurt."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self.port = port
        self.process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        """Start it over the data that are there, and wait until it answers."""
        self.process = await asyncio.create_subprocess_exec(
            str(redis_program()), "--port", str(self.port), "--dir", str(self.directory), "--save", "", "--appendonly", "yes",
            "--appendfsync", "always", "--maxmemory-policy", "noeviction", "--enable-debug-command", "yes", "--loglevel", "warning",
        )  # fmt: skip
        await until(self._answers)

    async def _answers(self) -> bool:
        try:
            return bool(await self.ask("PING"))
        except RedisError:
            return False

    async def stop(self) -> None:
        """Have it end in order."""
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()

    async def ask(self, *command: str | float) -> Any:
        """Send one command over a connection of its own."""
        client = Redis.from_url(self.url, decode_responses=True, socket_timeout=30)
        try:
            return await client.execute_command(*command)  # type: ignore[no-untyped-call]
        finally:
            await client.aclose()


class Scene:
    """The resolve stage over a real Redis, with everything else in memory, and its health."""

    def __init__(self, url: str) -> None:
        self.health = Health(time.monotonic, stuck_seconds=60)
        self.health.started()
        self.resolver = RedisResolver(url, RULES, "trouble", 1, 16)
        self.producer = FakeProducer()
        self.counters = Counters()
        self.positions = AppliedPositions(self.resolver, "events", Recoveries(), 30)
        self.log = FakeConsumer({PLACE: {}})
        self.consumer = cast("AIOKafkaConsumer", self.log)
        self.end = 0

    async def open(self) -> None:
        async def make() -> Any:
            return self.producer

        sender = Sender(make, "here:9092", 5)
        await sender.start()
        await self.resolver.open()
        await self.positions.start(self.consumer, PLACE)
        self.stage = ResolveStage(
            RULES,
            self.resolver,
            self.positions,
            sender,
            self.counters,
            lambda: 0,
            asyncio.Event(),
            participants_topic="participants",
            dead_letters_topic="dead",
            patience_seconds=30,
            trouble=self.health,
        )

    async def handle(self, *emails: str) -> Outcome:
        """Resolve one event for each address, as the source of the stage would have it done, beginning anew where it must."""
        watch = self.health.stage("resolve")
        records = [record(event(email), self.end + at, PLACE) for at, email in enumerate(emails)]
        self.log.logs[PLACE] |= {one.offset: one.value for one in records}
        while True:
            batch = SourceBatch(PLACE, self.end, [one for one in records if one.offset >= self.end])
            watch.begun(batch)
            outcome = await self.stage(batch)
            watch.ended(cast("Job[Any]", batch))
            if outcome is Outcome.DONE:
                await self.positions.advance(self.consumer, batch)
                self.end = batch.end
                return outcome
            self.end = await self.positions.start(self.consumer, PLACE)

    async def knows(self, emails: Sequence[str]) -> bool:
        """Whether everybody is in the graph, has a participant, and nothing was given up."""
        found = [await self.resolver.identifier(GraphIdentifier("person", "email", email)) for email in emails]
        participants = {value for value in self.producer.values("participants") if value}
        written = all(any(f"e-{email}".encode() in value for value in participants) for email in emails)
        return all(found) and written and self.producer.values("dead") == []

    def missing(self) -> str:
        """Say in words why the worker is not ready."""
        return " | ".join(self.health.ready().missing)


class Recoveries:
    """A recovery that has nothing to do: no write is lost here."""

    async def begin(self, reason: str, shard: int | None = None, told: int = 0) -> None:
        raise AssertionError(reason)

    async def read(self, shard: int) -> None:
        raise AssertionError

    async def read_ahead(self, shard: int) -> None:
        raise AssertionError

    def forget(self, shard: int) -> None:
        raise AssertionError


def event(email: str) -> bytes:
    person = Participant("person", "seen", [Identifier("email", email)])
    return encode_event(Event(f"e-{email}", "crm", "seen", "2024-01-01T00:00:00.000Z", participants=[person]))


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    """Wait until something holds."""
    for _ in range(round(seconds / 0.02)):
        if await holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {seconds:g} s")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    (port,) = free_ports(1)
    server = Server(tmp_path, port)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def scene(server: Server) -> AsyncIterator[Scene]:
    scene = Scene(server.url)
    await scene.open()
    await scene.handle("before@x.example")
    yield scene
    await scene.resolver.close()


@asynccontextmanager
async def paused(scene: Scene, said: str, log_says: str) -> AsyncIterator[None]:
    """Have an event handled while Redis is in trouble; the block ends the trouble."""
    with capture_logs() as logs:
        handling = asyncio.ensure_future(scene.handle("during@x.example"))

        async def not_ready() -> bool:
            if handling.done():
                raise AssertionError(f"it did not pause: {handling.result()}")
            return bool(scene.health.ready().missing)

        await until(not_ready)
        assert scene.missing().startswith(f"{said}: applying events of partition 0, for ")
        assert scene.health.live().ok
        yield
        assert await handling is Outcome.DONE
    assert scene.health.ready().ok
    warned = next(line["event"] for line in logs if line["log_level"] == "warning")
    assert warned == ("no answer, trying again" if "does not answer" in logs[0]["error"] else "refused for now, waiting until it is over")
    assert log_says in logs[0]["error"]
    assert logs[-1]["event"] == "it answers again"
    await scene.handle("after@x.example")
    assert await scene.knows(["before@x.example", "during@x.example", "after@x.example"])


async def test_a_full_redis_pauses_the_stage(server: Server, scene: Scene) -> None:
    await server.ask("CONFIG", "SET", "maxmemory", "1mb")
    async with paused(scene, "Redis is full", "used memory > 'maxmemory'"):
        await server.ask("CONFIG", "SET", "maxmemory", 0)


async def test_a_full_redis_still_answers_questions(server: Server, scene: Scene) -> None:
    await server.ask("CONFIG", "SET", "maxmemory", "1mb")
    found = await scene.resolver.identifier(GraphIdentifier("person", "email", "before@x.example"))
    assert found is not None
    assert await scene.resolver.entity(found["entity_id"]) is not None
    assert (await scene.resolver.backlog()).dirty > 0
    with pytest.raises(RedisRefuses, match="answers, but takes nothing for now"):
        await scene.resolver.sweep(10)


async def test_a_replica_pauses_the_stage_until_it_is_a_master_again(server: Server, scene: Scene) -> None:
    await server.ask("REPLICAOF", "127.0.0.1", 1)
    async with paused(scene, "Redis takes no writes: it is a replica, or failing over", "read"):
        await server.ask("REPLICAOF", "NO", "ONE")


async def test_a_replica_without_its_master_pauses_the_stage(server: Server, scene: Scene) -> None:
    await server.ask("CONFIG", "SET", "replica-serve-stale-data", "no")
    await server.ask("REPLICAOF", "127.0.0.1", 1)
    with pytest.raises(RedisUnavailable) as unavailable:
        await scene.resolver.position("events", 0)
    assert words_of(unavailable.value) == "Redis is a replica that has lost its master"
    async with paused(scene, "Redis takes no writes: it is a replica, or failing over", "read only replica"):
        await server.ask("REPLICAOF", "NO", "ONE")


async def test_too_few_replicas_pause_the_stage(server: Server, scene: Scene) -> None:
    await server.ask("CONFIG", "SET", "min-replicas-to-write", 1)
    async with paused(scene, "Redis takes no writes: too few replicas follow it", "Not enough good replicas"):
        await server.ask("CONFIG", "SET", "min-replicas-to-write", 0)


async def test_a_redis_that_loads_its_data_pauses_the_stage(server: Server, scene: Scene) -> None:
    client = Redis.from_url(server.url)
    await client.mset({f"other:{number}": "x" * 100 for number in range(2_000)})
    await client.aclose()
    await server.ask("CONFIG", "SET", "loading-process-events-interval-bytes", 1024)
    await server.ask("CONFIG", "SET", "key-load-delay", 1_000)
    loading = asyncio.ensure_future(server.ask("DEBUG", "RELOAD"))

    async def begun() -> bool:
        return "loading:1" in str(await server.ask("INFO", "persistence")).replace("'", "").replace(": ", ":")

    await until(begun)
    async with paused(scene, "Redis is loading its data", "loading the dataset"):
        await loading


async def test_a_redis_that_restarts_pauses_the_stage(server: Server, scene: Scene) -> None:
    await server.stop()
    async with paused(scene, "Redis does not answer", "does not answer"):
        await server.start()


async def test_a_redis_that_is_killed_and_comes_back_pauses_the_stage(server: Server, scene: Scene) -> None:
    assert server.process is not None
    server.process.kill()
    await server.process.wait()
    async with paused(scene, "Redis does not answer", "does not answer"):
        await server.start()


async def test_what_a_stalled_redis_did_after_all_is_found_when_it_answers_again(server: Server, scene: Scene) -> None:
    stalling = asyncio.ensure_future(server.ask("DEBUG", "SLEEP", SILENCE_SECONDS + 0.5))

    async def stalled() -> bool:
        try:
            await asyncio.wait_for(server.ask("PING"), 0.1)
        except TimeoutError:
            return True
        return False

    await until(stalled)
    assert await scene.handle("during@x.example") is Outcome.DONE
    await stalling
    assert await scene.handle("after@x.example") is Outcome.DONE
    assert await scene.knows(["before@x.example", "during@x.example", "after@x.example"])


@pytest.fixture
async def far(server: Server) -> AsyncIterator[tuple[Scene, Proxy]]:
    """Give a stage that reaches Redis through a network that the test may hurt."""
    (port,) = free_ports(1)
    proxy = Proxy(port, server.port)
    await proxy.start()
    scene = Scene(f"redis://127.0.0.1:{port}/0")
    await scene.open()
    await scene.handle("before@x.example")
    yield scene, proxy
    await scene.resolver.close()
    await proxy.stop()


async def test_connections_that_swallow_everything_are_noticed_and_replaced(far: tuple[Scene, Proxy]) -> None:
    scene, proxy = far
    await proxy.lose()
    begun = time.monotonic()
    async with paused(scene, "Redis does not answer", "Timeout"):
        assert time.monotonic() - begun < SILENCE_SECONDS + 2
        await proxy.heal()


async def test_connections_that_break_are_replaced(far: tuple[Scene, Proxy]) -> None:
    scene, proxy = far
    await proxy.cut(refuse=True)
    async with paused(scene, "Redis does not answer", "does not answer"):
        await proxy.heal()


async def test_a_redis_that_may_evict_is_refused(server: Server) -> None:
    await refuse_eviction(server.url)
    await server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(SettingsError, match=r"maxmemory-policy allkeys-lru.*set maxmemory-policy to noeviction"):
        await refuse_eviction(server.url)
    await server.ask("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
    with pytest.raises(SettingsError, match="volatile-ttl"):
        await refuse_eviction(server.url)


async def test_a_redis_that_does_not_know_us_is_refused_without_showing_the_password(server: Server) -> None:
    await server.ask("ACL", "SETUSER", "somebody", "on", ">right", "+@all", "~*")
    with pytest.raises(SettingsError, match=r"does not let us in") as refused:
        await refuse_eviction(server.url.replace("//", "//somebody:wrong@"))
    assert "wrong@" not in str(refused.value)


async def test_a_redis_that_does_not_let_us_look_is_warned_of(server: Server) -> None:
    await server.ask("ACL", "SETUSER", "somebody", "on", ">right", "+@all", "-info", "~*")
    with capture_logs() as logs:
        await refuse_eviction(server.url.replace("//", "//somebody:right@"))
    assert [line["log_level"] for line in logs] == ["warning"]
    assert "right" not in str(logs)


async def test_a_redis_that_is_away_is_waited_for() -> None:
    (port,) = free_ports(1)
    with pytest.raises(RedisUnavailable, match="does not answer"):
        await refuse_eviction(f"redis://127.0.0.1:{port}/0")


async def test_after_a_failover_the_new_master_is_asked(far: tuple[Scene, Proxy], server: Server, tmp_path: Path) -> None:
    scene, proxy = far
    (port,) = free_ports(1)
    second = Server(tmp_path / "second", port)
    second.directory.mkdir()
    await second.start()
    try:
        await second.ask("REPLICAOF", "127.0.0.1", server.port)

        async def follows() -> bool:
            return "master_link_status': 'up'" in str(await second.ask("INFO", "replication"))

        await until(follows)
        await server.ask("REPLICAOF", "127.0.0.1", 1)
        async with paused(scene, "Redis takes no writes: it is a replica, or failing over", "read only replica"):
            await second.ask("REPLICAOF", "NO", "ONE")
            proxy._upstream_port = second.port
    finally:
        await second.stop()
