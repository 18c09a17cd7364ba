"""Servers that ask who is there: a Kafka with TLS, SASL and ACLs, and a Valkey with TLS and an ACL file."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import cast

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from streams.stack.kafka_server import KafkaServer
from streams.stack.ports import LOOPBACK, free_ports
from streams.stack.redis_server import redis_program
from tests.deploy.certificates import Authority

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "secure.md"
PASSWORD = "a-secret-of-the-tests"
"""Of every user of both servers."""

_LOGIN = "org.apache.kafka.common.security"
_SECURED = """\
listener.name.sasl.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.tokens.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.tokens.oauthbearer.sasl.jaas.config={login}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="us";
listener.name.sasl.scram-sha-512.sasl.jaas.config={login}.scram.ScramLoginModule required;
listener.name.mutual.ssl.client.auth=required
listener.name.mutual.ssl.principal.mapping.rules=RULE:^CN=([a-z]+)$/$1/
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""


class SecuredKafka(KafkaServer):
    """A Kafka that asks who is there.

    It has a listener for administrators (plain, on `port`), one for passwords over TLS, one for tokens, which it takes unsigned, and one
    for certificates.
    """

    def __init__(self, directory: Path, authority: Authority, users: Sequence[str] = ("nexus", "stranger")) -> None:
        """`users` are those with a password."""
        port, self.sasl_port, self.mutual_port, self.tokens_port = free_ports(4)
        super().__init__(directory, port, 512, short_lived=True)
        self._authority = authority
        self._users = users

    def _configuration(self) -> str:
        plain = super()._configuration()
        more = f",SASL://{LOOPBACK}:{self.sasl_port},MUTUAL://{LOOPBACK}:{self.mutual_port},TOKENS://{LOOPBACK}:{self.tokens_port}"
        plain = re.sub(r"(?m)^(listeners=PLAINTEXT://[^,\n]*)", rf"\1{more}", plain)
        plain = re.sub(r"(?m)^(advertised.listeners=.*)$", rf"\1{more}", plain)
        plain = plain.replace("PLAINTEXT:PLAINTEXT,", "PLAINTEXT:PLAINTEXT,SASL:SASL_SSL,TOKENS:SASL_SSL,MUTUAL:SSL,")
        return plain + _SECURED.format(keystore=self._authority.keystore("broker"), authority=self._authority.certificate, login=_LOGIN)

    def _format(self, program: str, jars: Path, *more: str) -> None:
        users = (word for name in self._users for word in ("--add-scram", f"SCRAM-SHA-512=[name={name},password={PASSWORD}]"))
        super()._format(program, jars, *more, *users)


@contextmanager
def secured_redis(directory: Path, authority: Authority, acl: str) -> Iterator[str]:
    """Run a Valkey with these users behind TLS; gives `127.0.0.1:port`.

    The one in the wheel is built without TLS, so something ends TLS before it, as stunnel does where people run it like that.
    """
    plain, port = free_ports(2)
    directory.mkdir(parents=True, exist_ok=True)
    users = directory / "users.acl"
    users.write_text(f"user default on >{PASSWORD} ~* &* +@all\n{acl}\n")
    flags = {"port": plain, "aclfile": users, "bind": LOOPBACK, "dir": directory, "save": '""', "maxmemory-policy": "noeviction"}
    command = [str(redis_program()), *(word for name, value in flags.items() for word in (f"--{name}", str(value)))]
    with (directory / "redis.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            with ending_tls(port, plain, *authority.sign("redis")):
                yield f"{LOOPBACK}:{port}"
        finally:
            process.terminate()


@contextmanager
def ending_tls(port: int, plain: int, certificate: Path, key: Path) -> Iterator[None]:
    """Take TLS connections on one port, and pass what they say on to another, in a thread of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    loop = asyncio.new_event_loop()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while said := await reader.read(65_536):
                writer.write(said)
                await writer.drain()
        writer.close()

    def abort(*writers: asyncio.StreamWriter) -> None:
        for one in writers:
            cast("asyncio.Transport", one.transport).abort()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner = await asyncio.open_connection(LOOPBACK, plain)
            try:
                await asyncio.gather(pipe(reader, inner[1]), pipe(inner[0], writer))
            finally:
                abort(inner[1])
        finally:
            abort(writer)

    server = loop.run_until_complete(asyncio.start_server(connected, LOOPBACK, port, ssl=context))
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.run_until_complete(_end(loop, server))
        loop.close()


async def _end(loop: asyncio.AbstractEventLoop, server: asyncio.Server) -> None:
    server.close()
    left = [task for task in asyncio.all_tasks(loop) if task is not asyncio.current_task()]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.sleep(0.2)  # what was aborted is closed in the loop's next turns


def documented_acls() -> list[dict[str, list[str]]]:
    """Read the ACLs of Kafka that the how-to has: the options of each command."""
    found = []
    for line in HOW_TO.read_text(encoding="utf-8").splitlines():
        if line.startswith("kafka-acls.sh "):
            options: dict[str, list[str]] = {}
            for name, value in re.findall(r"--([a-z-]+)(?: (?!--)(\S+))?", line):
                options.setdefault(name, []).append(value)
            found.append(options)
    return found


def documented_user(space: str) -> str:
    """Read the user of Redis that the how-to has, for a space."""
    (line,) = [line for line in HOW_TO.read_text(encoding="utf-8").splitlines() if line.startswith("user nexus ")]
    return line.replace(">SECRET", f">{PASSWORD}").replace("{default}", f"{{{space}}}")


_OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10, "AlterConfigs": 11}
_RESOURCES = {"topic": 2, "group": 3, "transactional-id": 5}
_PATTERNS = {"literal": 3, "prefixed": 4}
ALLOW = 3


async def allow(bootstrap_servers: str, acls: list[dict[str, list[str]]]) -> None:
    """Give users what commands of kafka-acls.sh would; as an administrator."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await client.start()
    try:
        for options in acls:
            (kind,) = _RESOURCES.keys() & options.keys()
            (pattern,) = options.get("resource-pattern-type", ["literal"])
            for operation in options["operation"]:
                what = (
                    _RESOURCES[kind],
                    options[kind][0],
                    _PATTERNS[pattern],
                    options["allow-principal"][0],
                    "*",
                    _OPERATIONS[operation],
                    ALLOW,
                )
                answer = await client._send_to_controller(CreateAclsRequest(*what))
                assert [code for code, _ in answer.creation_responses] == [0], answer
    finally:
        await client.close()
