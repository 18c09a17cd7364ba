"""Servers that ask who is there: workers do all their work with the rights that the how-to gives them, and no more is possible."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from aiokafka.structs import TopicPartition
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError
from typer.testing import CliRunner

from resolvers.errors import NexusError
from streams.cli import build_app
from streams.crew import Worker
from streams.kafka_checkup import examine_kafka
from streams.preflight import make_missing_topics
from streams.settings import Settings, settings_from
from streams.tracing.context import TraceContext
from streams.tracing.trail import RedisTrail
from tests.deploy.certificates import Authority
from tests.deploy.servers import PASSWORD, SecuredKafka, allow, documented_acls, documented_user, secured_redis
from tests.integration.test_stages import Pipeline

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(180)]

SPACE = "locked"
SOURCE = {
    "topic": "raw.crm",
    "adapter": "mapping",
    "event": {"id": "id", "name": "'seen'", "occurred_at": "at"},
    "participants": [{"entity": "person", "identifiers": {"user_id": "user", "email": "email"}}],
}


@pytest.fixture(autouse=True)
async def nothing_left_open() -> AsyncIterator[None]:
    """Wait until what a test has closed is closed: an end of TLS asks its peer first, and aiokafka and redis-py do not wait for that."""
    yield
    selector = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]
    async with asyncio.timeout(35):  # asyncio itself gives up on the peer after 30 seconds
        while len(selector.get_map()) > 1:  # noqa: ASYNC110 - one is the loop's own, and nothing tells of the others
            await asyncio.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Locked:
    """Both servers, and what is needed to come in."""

    kafka: SecuredKafka
    redis: str
    authority: Authority
    directory: Path

    def settings(self, security: dict[str, Any], servers: str) -> Settings:
        """Make settings of a pipeline, as a worker has them."""
        return settings_from(
            {
                "space": SPACE,
                "partitions": 2,
                "identity_key": "a key for these tests",
                "kafka": {"bootstrap_servers": servers, "security": security, "connect_seconds": 20},
                "redis": {"url": self.url("nexus"), "buckets": 16, "connect_seconds": 20},
                "sources": {"crm": SOURCE},
            }
        )

    def sasl(self, user: str = "nexus", **other: Any) -> dict[str, Any]:
        """Give the security settings of a user with a password."""
        named = {"username": user, "password": PASSWORD, "ca_file": str(self.authority.certificate)}
        return {"protocol": "SASL_SSL", "mechanism": "SCRAM-SHA-512", **named, **other}

    def mutual(self, name: str) -> dict[str, Any]:
        """Give the security settings of a user with a certificate."""
        certificate, key = self.authority.sign(name)
        files = {"ca_file": self.authority.certificate, "cert_file": certificate, "key_file": key}
        return {"protocol": "SSL", **{name: str(path) for name, path in files.items()}}

    def url(self, user: str, password: str = PASSWORD) -> str:
        """Write Redis's address for a user."""
        return f"rediss://{user}:{password}@{self.redis}/0?ssl_ca_certs={self.authority.certificate}"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    """Start both servers, with the users of the how-to."""
    directory = tmp_path_factory.mktemp("locked")
    authority = Authority(directory / "authority")
    kafka = SecuredKafka(directory / "kafka", authority)
    with secured_redis(directory / "redis", authority, documented_user(SPACE)) as redis:
        kafka.launch(print)
        try:
            asyncio.run(_ready(kafka))
            yield Locked(kafka, redis, authority, directory)
        finally:
            kafka.stop()


async def _ready(kafka: SecuredKafka) -> None:
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(kafka.answers):  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.2)
    administrator = settings_from(
        {"space": SPACE, "partitions": 2, "kafka": {"bootstrap_servers": kafka.bootstrap_servers}, "sources": {"crm": SOURCE}}
    )
    await make_missing_topics(administrator)
    client = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await client.start()
    await client.create_topics([NewTopic("payroll", 1, 1)])
    await client.close()
    await allow(kafka.bootstrap_servers, documented_acls())
    await allow(
        kafka.bootstrap_servers, [{"topic": ["raw.crm"], "allow-principal": ["User:nexus"], "operation": ["Write"]}]
    )  # who publishes


LOGIN = """
import base64, json, time

def part(said):
    return base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()

async def token():
    now = int(time.time())
    return ".".join([part({"alg": "none"}), part({"sub": "nexus", "iat": now, "exp": now + 600}), ""])
"""


@pytest.fixture(params=["sasl", "tokens", "mutual"])
async def pipeline(
    request: pytest.FixtureRequest, locked: Locked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Pipeline]:
    """Give a pipeline whose worker is known by a password, by a token of a function of its user, or by a certificate."""
    if request.param == "sasl":
        settings = locked.settings(locked.sasl(), f"127.0.0.1:{locked.kafka.sasl_port}")
    elif request.param == "tokens":
        (tmp_path / "login_of_ours.py").write_text(LOGIN)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        security = {"protocol": "SASL_SSL", "mechanism": "OAUTHBEARER", "token_provider": "login_of_ours:token"}
        security["ca_file"] = str(locked.authority.certificate)
        settings = locked.settings(security, f"127.0.0.1:{locked.kafka.tokens_port}")
    else:
        settings = locked.settings(locked.mutual("nexus"), f"127.0.0.1:{locked.kafka.mutual_port}")
    made = Pipeline(settings, tmp_path)
    try:
        await made.worker()
        yield made
    finally:
        for worker in made.workers:
            await worker.kill()


async def test_a_worker_does_all_of_its_work_with_these_rights(pipeline: Pipeline, request: pytest.FixtureRequest) -> None:
    user = f"u-{request.node.callspec.id}"
    records = [{"id": f"{user}-{at}", "at": "2024-05-01T09:00:00Z", "user": user, "email": f"{user}@x.example"} for at in range(3)]
    await pipeline.write([json.dumps(one).encode() for one in records])
    await pipeline.drained()
    told = [one async for one in _told(pipeline.settings)]
    assert any({"type": "user_id", "value": user}.items() <= named.items() for one in told for named in one.get("identifiers", ()))

    verified = await nexus(pipeline, "verify")
    assert verified["ok"], verified
    assert (await nexus(pipeline, "doctor", "--identifiers"))["types"]
    levels = {one["what"]: one["level"] for one in (await nexus(pipeline, "doctor"))["findings"]}
    names = ("kafka", "topics", "kafka rights", "redis", "redis rights", "space", "lag")
    assert {name: levels[name] for name in names} == dict.fromkeys(names, "ok")


async def nexus(pipeline: Pipeline, *words: str) -> Any:
    """Run a command with the worker's settings, and so with its users; gives what it prints as JSON."""
    file = pipeline.directory / "nexus.yaml"
    file.write_text(pipeline.settings.to_yaml(), encoding="utf-8")
    result = await asyncio.to_thread(CliRunner().invoke, build_app(), [*words, "--json", "--config", str(file)])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def _told(settings: Settings) -> AsyncIterator[dict[str, Any]]:
    from streams import kafka  # noqa: PLC0415 - only this test reads the topic

    consumer = await kafka.started(kafka.consumer(settings, what="reader"), settings.kafka, "reader")
    try:
        places = [TopicPartition(settings.topic("entities"), partition) for partition in range(2)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        for records in (await consumer.getmany(timeout_ms=5_000)).values():
            for record in records:
                yield json.loads(record.value or b"{}")
    finally:
        await consumer.stop()


def _tls(locked: Locked) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(locked.authority.certificate))


@pytest.mark.parametrize(("user", "topic"), [("nexus", "payroll"), ("stranger", "raw.crm"), ("stranger", "nexus.entities")])
async def test_a_user_of_kafka_can_do_no_more(locked: Locked, user: str, topic: str) -> None:
    login = {"sasl_mechanism": "SCRAM-SHA-512", "sasl_plain_username": user, "sasl_plain_password": PASSWORD}
    where = {
        "bootstrap_servers": f"127.0.0.1:{locked.kafka.sasl_port}",
        "security_protocol": "SASL_SSL",
        "ssl_context": _tls(locked),
        **login,
    }
    async with AIOKafkaProducer(request_timeout_ms=5_000, **where) as producer:
        with pytest.raises(KafkaError):
            await producer.send_and_wait(topic, b"x")
    consumer = AIOKafkaConsumer(auto_offset_reset="earliest", **where)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        with pytest.raises(
            (TopicAuthorizationFailedError, TimeoutError)
        ):  # some of these it waits for, as for a topic that is not there yet
            await asyncio.wait_for(consumer.getone(), 3)
    finally:
        await consumer.stop()


async def rights_found(settings: Settings) -> str:
    (found,) = [one for one in await examine_kafka(settings) if one.what == "kafka rights"]
    assert found.level == "error"
    return found.text


async def test_rights_that_a_user_of_kafka_lacks_are_named(locked: Locked) -> None:
    servers = f"127.0.0.1:{locked.kafka.sasl_port}"
    told = await rights_found(locked.settings(locked.sasl("stranger"), servers))
    assert told.startswith("a worker is not allowed Describe on topics raw.crm, nexus.commands, nexus.events, ")
    assert "Describe and Read on groups nexus.adapt, nexus.locked.resolve, " in told
    assert "Describe and Write on transactional id nexus.locked.publish.0" in told

    acls = [{**one, "allow-principal": ["User:half"]} for one in documented_acls()]
    (ids,) = [one for one in acls if "transactional-id" in one]
    (groups,) = [one for one in acls if "group" in one]
    own = [one for one in acls if one.get("topic") == ["nexus."]]
    halves = [{**ids, "operation": ["Describe"]}, {**groups, "operation": ["Describe"]}, {**own[0], "operation": ["Read", "Describe"]}]
    await allow(locked.kafka.bootstrap_servers, halves)
    told = await rights_found(locked.settings(locked.mutual("half"), f"127.0.0.1:{locked.kafka.mutual_port}"))
    assert "not allowed Describe on topic raw.crm; DescribeConfigs on topic nexus.commands; Write and DescribeConfigs on topics " in told
    assert "Read on groups nexus.adapt, " in told
    assert "; Write on transactional id nexus.locked.publish.0; " in told


async def test_topics_that_are_missing_and_that_a_worker_may_not_make_are_an_error(locked: Locked) -> None:
    settings = locked.settings(locked.sasl(), f"127.0.0.1:{locked.kafka.sasl_port}").model_copy(update={"space": "unmade"})
    (found,) = [one for one in await examine_kafka(settings) if one.what == "topics"]
    assert found.level == "error"
    assert "missing: nexus.unmade.entities, nexus.unmade.identifiers, " in found.text
    assert "Kafka refuses to make topic nexus.unmade.entities: Authorization failed" in found.text


async def test_who_has_a_wrong_password_is_told_so(locked: Locked, tmp_path: Path) -> None:
    settings = locked.settings(locked.sasl(password="guessed"), f"127.0.0.1:{locked.kafka.sasl_port}")
    words = await _end_of(settings, tmp_path)
    assert "nexus worker ended" in words
    assert "guessed" not in words
    assert PASSWORD not in words


async def test_a_server_that_cannot_prove_who_it_is_gets_nothing(locked: Locked, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    words = await _end_of(locked.settings(locked.sasl(ca_file=str(other.certificate)), f"127.0.0.1:{locked.kafka.sasl_port}"), tmp_path)
    assert "nexus worker ended" in words
    assert PASSWORD not in words


async def _end_of(settings: Settings, directory: Path) -> str:
    """Start a worker that cannot come in; gives what it said."""
    quick = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"connect_seconds": 3.0})})
    worker = await Worker.start(quick, directory, "worker")
    async with asyncio.timeout(60):
        assert await worker.process.wait() != 0
    return worker.log.read_text(encoding="utf-8")


FORBIDDEN = """
FLUSHALL | CONFIG SET maxmemory-policy allkeys-lru | KEYS * | GET somebody-elses | SET x 1 | HGET nexus:{other}:meta born
EVAL 'return' 0 | ACL LIST | SUBSCRIBE x | SHUTDOWN
"""


@pytest.mark.parametrize("command", [one.strip() for one in FORBIDDEN.replace("\n", "|").split("|") if one.strip()])
async def test_a_user_of_redis_can_do_no_more(locked: Locked, command: str) -> None:
    redis: Any = Redis.from_url(locked.url("nexus"))
    try:
        with pytest.raises(NoPermissionError):
            await redis.execute_command(*command.split())
    finally:
        await redis.aclose()


async def test_a_user_of_redis_may_leave_and_follow_trace_contexts(locked: Locked) -> None:
    trail = RedisTrail(locked.url("nexus"), SPACE, b"key")
    name, left = ("entities", "per_a"), TraceContext("a" * 32, "b" * 16)
    await trail.leave({name: left})
    assert await trail.follow([name]) == {name: left}
    assert await trail.follow([name]) == {}
    await trail.close()


async def test_redis_lets_nobody_in_without_a_password(locked: Locked) -> None:
    redis: Redis = Redis.from_url(locked.url("nexus", "guessed"))
    try:
        with pytest.raises(AuthenticationError):
            await redis.ping()
    finally:
        await redis.aclose()


def test_errors_of_settings_name_no_secret() -> None:
    with pytest.raises(NexusError) as raised:
        settings_from({"redis": {"url": f"http://nexus:{PASSWORD}@x"}, "kafka": {"security": {"password": [PASSWORD]}}})
    assert PASSWORD not in str(raised.value)
