"""The users of deploy/examples/users.yaml: the one for topics makes and mends them with its rights alone, and can do no more."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAuthorizationFailedError

from tests.deploy.certificates import Authority
from tests.deploy.servers import PASSWORD, SecuredKafka, allow, documented_acls

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(180)]

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"
USER = "nexus-topics"
KINDS = {"topic": "topic", "group": "group", "transactionalId": "transactional-id"}


def example_acls(user: str) -> list[dict[str, list[str]]]:
    """Give a user's rights in the example as what kafka-acls.sh is told."""
    documents = yaml.safe_load_all((EXAMPLES / "users.yaml").read_text(encoding="utf-8"))
    (spec,) = [one["spec"] for one in documents if one["metadata"]["name"] == user]
    return [
        {
            KINDS[rule["resource"]["type"]]: [rule["resource"]["name"]],
            "resource-pattern-type": ["prefixed" if rule["resource"]["patternType"] == "prefix" else "literal"],
            "operation": rule["operations"],
            "allow-principal": [f"User:{user}"],
        }
        for rule in spec["authorization"]["acls"]
    ]


@dataclass(frozen=True, slots=True)
class Broker:
    """A Kafka that asks who is there, and the settings file with which the topics job comes to it."""

    kafka: SecuredKafka
    authority: Authority
    settings: Path

    def topics(self, verb: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `nexus topics` as the job does: the example's settings, its own user and password in the environment."""
        login = {"NEXUS__KAFKA__SECURITY__USERNAME": USER, "NEXUS__KAFKA__SECURITY__PASSWORD": PASSWORD}
        command = [sys.executable, "-m", "streams", "topics", verb, "--config", str(self.settings)]
        return subprocess.run(command, env={**os.environ, **login, **variables}, capture_output=True, text=True, check=False)

    def login(self) -> dict[str, Any]:
        """Give what a client of aiokafka needs to come in as that user."""
        return {
            "bootstrap_servers": f"127.0.0.1:{self.kafka.sasl_port}",
            "security_protocol": "SASL_SSL",
            "ssl_context": ssl.create_default_context(cafile=str(self.authority.certificate)),
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": USER,
            "sasl_plain_password": PASSWORD,
        }


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    directory = tmp_path_factory.mktemp("topics-user")
    authority = Authority(directory / "authority")
    kafka = SecuredKafka(directory / "kafka", authority, [USER])
    document = yaml.safe_load((EXAMPLES / "values.yaml").read_text(encoding="utf-8"))["settings"]
    document["kafka"]["bootstrap_servers"] = f"127.0.0.1:{kafka.sasl_port}"
    document["kafka"]["security"]["ca_file"] = str(authority.certificate)
    settings = directory / "nexus.yaml"
    settings.write_text(yaml.safe_dump(document), encoding="utf-8")
    kafka.launch(print)
    try:
        asyncio.run(_ready(kafka))
        yield Broker(kafka, authority, settings)
    finally:
        kafka.stop()


async def _ready(kafka: SecuredKafka) -> None:
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(kafka.answers):  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.2)
    await allow(kafka.bootstrap_servers, example_acls(USER))


async def _configure(kafka: SecuredKafka, topic: str, config: Mapping[str, str]) -> None:
    """Set a topic's configuration as an administrator."""
    client = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await client.start()
    await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=dict(config))])
    await client.close()


def test_the_topics_user_makes_all_topics_and_mends_what_drifted(broker: Broker) -> None:
    made = broker.topics("apply")
    assert (made.returncode, made.stderr) == (0, "")
    wanted = [one["metadata"]["name"] for one in yaml.safe_load_all((EXAMPLES / "topics.yaml").read_text(encoding="utf-8"))]
    assert [line.split(" ")[0] for line in made.stdout.splitlines()] == wanted
    assert broker.topics("apply").stdout == "all topics are as they should be\n"

    asyncio.run(_configure(broker.kafka, "nexus.entities", {"cleanup.policy": "delete"}))
    assert "nexus.entities would be changed: cleanup.policy from delete to compact" in broker.topics("plan").stdout
    assert "nexus.entities was changed: cleanup.policy from delete to compact" in broker.topics("apply").stdout
    assert broker.topics("plan").stdout == "all topics are as they should be\n"


def test_it_makes_no_topic_of_another_name(broker: Broker) -> None:
    refused = broker.topics("apply", NEXUS__TOPICS__PREFIX="payroll.")
    assert refused.returncode != 0
    assert "payroll." in refused.stderr
    assert "authori" in refused.stderr.lower()


async def test_it_writes_into_no_topic(broker: Broker) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=broker.kafka.bootstrap_servers)
    await client.start()
    await client.create_topics([NewTopic("nexus.of-this-test", 1, 1)])
    await client.close()
    async with AIOKafkaProducer(request_timeout_ms=5_000, **broker.login()) as producer:
        with pytest.raises(TopicAuthorizationFailedError):
            await producer.send_and_wait("nexus.of-this-test", b"x")


def test_the_workers_user_has_the_rights_that_the_how_to_gives_and_may_publish() -> None:
    assert _rights(example_acls("nexus-worker")) == _rights(documented_acls()) | {("topic", "raw.", "Write")}


def _rights(acls: list[dict[str, list[str]]]) -> set[tuple[str, str, str]]:
    """Give resource, name and operation of each; the how-to's one raw topic stands for those of the example's prefix."""
    return {
        (kind, options[kind][0].replace("raw.crm", "raw."), operation)
        for options in acls
        for kind in KINDS.values()
        if kind in options
        for operation in options["operation"]
    }
