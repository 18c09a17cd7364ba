"""The stack's Apache Kafka: one node, broker and controller in one process, quick to start and sized for a laptop."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from resolvers.errors import StackError
from streams.stack.jars import java, kafka_jars, kafka_version
from streams.stack.logs import last_words
from streams.stack.ports import LOOPBACK, answers, free_ports, require_free
from streams.stack.process import ServerProcess

_STOP_PATIENCE_SECONDS = 20.0
SESSION_MS = 9_000
HEARTBEAT_MS = 2_000
_LOG4J = Path(__file__).with_name("log4j2.xml")

# One line per choice that is not the default; what stands here is for one node on one machine, not for production.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},{behind}CONTROLLER://{host}:{controller_port}
advertised.listeners={advertised}PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
message.max.bytes=10485760
log.retention.ms=-1
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.backoff.ms=1000
log.segment.delete.delay.ms=1000
num.network.threads=2
num.io.threads=4
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms={session_ms}
broker.heartbeat.interval.ms={heartbeat_ms}
"""


@dataclass(frozen=True, slots=True)
class Proxied:
    """A second listener, on `port`, for clients that come through a proxy on `advertised_port`."""

    port: int
    advertised_port: int


class KafkaServer:
    """A Kafka on a loopback port with its data under one directory, and on a second one for a proxy if there is one."""

    def __init__(
        self,
        directory: Path,
        port: int,
        heap_mebibytes: int,
        proxied: Proxied | None = None,
        *,
        session_ms: int = SESSION_MS,
        short_lived: bool = False,
    ) -> None:
        """`session_ms` is how long a broker that was killed is taken for alive, and so cannot come back.

        Of a `short_lived` one Java compiles no more than the quick way: it spends half of its first minutes on compiling otherwise.
        """
        self._directory = directory
        self._data = directory / "data"
        self._properties = directory / "server.properties"
        self._log = directory / "kafka.log"
        self._version_file = directory / "version"
        self._port_file = directory / "port"
        self._heap_mebibytes = heap_mebibytes
        self._proxied = proxied
        self._session_ms = session_ms
        self._options = ["-XX:TieredStopAtLevel=1"] if short_lived else []
        self.port = port
        self.process = ServerProcess("Kafka", directory, self._properties)

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients."""
        return f"{LOOPBACK}:{self.port}"

    def require_port(self) -> None:
        """Raise unless the port is free or ours; a running server on another port than asked for is an error too."""
        if self.process.pid() is None:
            require_free(self.port, "Kafka", "stack.kafka_port")
        elif (running := self._port_file.read_text().strip()) != str(self.port):
            raise StackError(f"Kafka of {self._directory} runs on port {running}, not on {self.port}: run `nexus down` first")

    def launch(self, report: Callable[[str], None]) -> bool:
        """Start the server unless it runs, and return whether that was needed; it may not answer yet."""
        if self.process.pid() is not None:
            return False
        program, jars = java(), kafka_jars(report)
        self._prepare(program, jars, report)
        report(f"starting Apache Kafka {kafka_version()} on {self.bootstrap_servers}")
        heap = [f"-Xms{min(256, self._heap_mebibytes)}m", f"-Xmx{self._heap_mebibytes}m", "-XX:+UseSerialGC"]
        self.process.start([program, *heap, *self._options, *self._logging(), "-cp", f"{jars}/*", "kafka.Kafka", str(self._properties)])
        return True

    def answers(self) -> bool:
        """Tell whether the broker takes requests and counts itself as alive, without waiting."""
        return answers(self.port) and _serves(self.bootstrap_servers)

    def last_words(self) -> str:
        """Return the ends of the server's logs."""
        return last_words([self.process.output, self._log])

    def stop(self) -> bool:
        """Stop the server and return whether it ran."""
        return self.process.stop(_STOP_PATIENCE_SECONDS)

    def _prepare(self, program: str, jars: Path, report: Callable[[str], None]) -> None:
        """Write the configuration and, the first time, format the data directory."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._properties.write_text(self._configuration(), encoding="utf-8")
        self._port_file.write_text(f"{self.port}\n")
        if (self._data / "meta.properties").exists():
            self._check_version(report)
        else:
            self._format(program, jars)
        self._version_file.write_text(f"{kafka_version()}\n")

    def _configuration(self) -> str:
        (controller_port,) = free_ports(1)
        behind = f"PROXIED://{LOOPBACK}:{self._proxied.port}," if self._proxied else ""
        advertised = f"PROXIED://{LOOPBACK}:{self._proxied.advertised_port}," if self._proxied else ""
        numbers = {"port": self.port, "controller_port": controller_port, "session_ms": self._session_ms}
        numbers["heartbeat_ms"] = min(HEARTBEAT_MS, self._session_ms // 4)
        return _PROPERTIES.format(host=LOOPBACK, **numbers, behind=behind, advertised=advertised, data=self._data)

    def _check_version(self, report: Callable[[str], None]) -> None:
        """Say so when another version wrote the data; refuse data of a newer one, which this one cannot read."""
        written = self._version_file.read_text().strip() if self._version_file.exists() else "unknown"
        if written == kafka_version():
            return
        if written != "unknown" and _numbers(written) > _numbers(kafka_version()):
            raise StackError(
                f"{self._data} was written by Apache Kafka {written}, newer than {kafka_version()} here: `nexus down --wipe` starts afresh"
            )
        report(f"{self._data} was written by Apache Kafka {written}; {kafka_version()} carries on with it")

    def _format(self, program: str, jars: Path, *more: str) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # In one word, since a cluster id may begin with a dash.
        tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", f"--cluster-id={cluster}", "-c", str(self._properties), *more]
        command = [program, "-Xmx128m", "-XX:TieredStopAtLevel=1", *self._logging(), "-cp", f"{jars}/*", *tool]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise StackError(f"Kafka's data directory {self._data} could not be formatted:\n{(done.stdout + done.stderr).strip()}")

    def _logging(self) -> list[str]:
        return [f"-Dlog4j2.configurationFile={_LOG4J}", f"-Dnexus.log.file={self._log}"]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _serves(bootstrap_servers: str) -> bool:
    """Ask for the cluster's brokers; a broker lists itself only once it may lead partitions."""
    with ThreadPoolExecutor(max_workers=1) as own_thread:  # the caller may be inside a running event loop
        return own_thread.submit(asyncio.run, _lists_a_broker(bootstrap_servers)).result()


async def _lists_a_broker(bootstrap_servers: str) -> bool:
    from aiokafka.admin import AIOKafkaAdminClient  # noqa: PLC0415 - takes long to import, and only this needs it
    from aiokafka.errors import KafkaError  # noqa: PLC0415

    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=5000)
    try:
        await admin.start()
        return bool((await admin.describe_cluster())["brokers"])
    except KafkaError:
        return False
    finally:
        await admin.close()
