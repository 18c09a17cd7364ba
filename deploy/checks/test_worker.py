"""A worker as its pod would have it: the chart's command, variables and probes, in the image's environment, on a local Kafka and Redis.

The commands of docs/how-to/run-on-kubernetes.md that run in a pod are run here, in their order.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from deploy.checks.image import Image
from deploy.checks.rendering import EXAMPLES, ROOT, environment, pods, rendered, run
from streams.stack.ports import free_ports

GUIDE = ROOT / "docs/how-to/run-on-kubernetes.md"
IN_POD = re.compile(r"^kubectl exec (?:-i )?deploy/ids-nexus-streams-all -- (.+)$", re.MULTILINE)
SECONDS = 120.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Start a Kafka and a Redis of the check's own; gives the variables that name them."""
    directory = tmp_path_factory.mktemp("stack")
    kafka, redis = free_ports(2)
    settings = directory / "stack.yaml"
    settings.write_text(json.dumps({"stack": {"directory": str(directory / "data"), "kafka_port": kafka, "redis_port": redis}}))
    nexus = ROOT / ".venv/bin/nexus"
    up = run(nexus, "up", "--json", "--config", settings, cwd=directory)
    try:
        assert up.returncode == 0, up.stderr
        addresses = json.loads(up.stdout)
        yield {
            "NEXUS__KAFKA__BOOTSTRAP_SERVERS": addresses["bootstrap_servers"],
            "NEXUS__KAFKA__SECURITY__PROTOCOL": "PLAINTEXT",
            "NEXUS__REDIS__URL": addresses["redis_url"],
        }
    finally:
        run(nexus, "down", "--wipe", "--config", settings, cwd=directory)


@contextmanager
def started(image: Image, pod: dict[str, Any], variables: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run the container of a pod; it gets what Kubernetes would send when it is to stop."""
    command = image.command(*pod["containers"][0]["args"])
    with (image.tmp / "worker.log").open("w") as log:
        process = subprocess.Popen(command, env=variables, cwd=image.tmp, stdout=log, stderr=log, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def asked(probe: dict[str, Any], port: int) -> int:
    """Ask as the kubelet would; 0 when nobody answers."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{probe['httpGet']['path']}", timeout=5) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except OSError:
        return 0


def wait_for(probe: dict[str, Any], port: int, process: subprocess.Popen[str], log: Path) -> None:
    end = time.monotonic() + SECONDS
    while asked(probe, port) != 200:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.2)


@pytest.mark.timeout(600)
def test_the_guides_commands_resolve_the_guides_records(image: Image, stack: dict[str, str]) -> None:
    objects = rendered("--values", EXAMPLES / "values.yaml")
    by_name = dict(pods(objects))
    pod, job = by_name["Deployment ids-nexus-streams-all"], by_name["Job ids-nexus-streams-topics"]
    container = pod["containers"][0]
    port = free_ports(1)[0]
    config = next(one for one in objects if one["kind"] == "ConfigMap" and one["metadata"]["name"] == "ids-nexus-streams")
    (image.tmp / "nexus.yaml").write_text(config["data"]["nexus.yaml"])
    outside = {"NEXUS_CONFIG": str(image.tmp / "nexus.yaml"), **stack}
    own = image.variables() | environment(container) | outside | {"NEXUS__WORKER__ADMIN_PORT": str(port)}

    made = image.nexus(*job["containers"][0]["args"], **(environment(job["containers"][0]) | outside))
    assert made.returncode == 0, made.stderr
    assert "nexus.events was made: 6 partitions" in made.stdout

    with started(image, pod, own) as process:
        log = image.tmp / "worker.log"
        wait_for(container["startupProbe"], port, process, log)
        wait_for(container["readinessProbe"], port, process, log)
        assert asked(container["livenessProbe"], port) == 200
        said = {command: _in_pod(command, own, image) for command in IN_POD.findall(GUIDE.read_text(encoding="utf-8"))}

        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=pod["terminationGracePeriodSeconds"]) == 0, log.read_text()

    assert [command.split()[:2] for command in said] == [
        ["nexus", "health"],
        ["sh", "-c"],
        ["nexus", "resolve"],
        ["nexus", "explain"],
        ["nexus", "tail"],
        ["nexus", "verify"],
    ]
    assert "3 records of crm are on raw.crm" in said[next(one for one in said if one.startswith("sh"))]
    resolved = said["nexus resolve email ANN@quill.example"]
    assert "ann@quill.example" in resolved
    assert "ann.archer@quill.example" in resolved
    assert "ready: adapt, resolve, publish" in log.read_text()
    assert "Traceback" not in log.read_text()


def _in_pod(command: str, variables: dict[str, str], image: Image) -> str:
    """Run what `kubectl exec` would run; /tmp is the image's. What comes a moment later is asked for again until it is there."""
    line, _, given = command.replace("/tmp/", f"{image.tmp}/").partition(" < ")
    end = time.monotonic() + SECONDS
    while True:
        records = (ROOT / given).read_text() if given else None
        said = run("bash", "-c", f"exec {line}", env=variables, cwd=image.tmp, input=records)
        if said.returncode == 0 and ("resolve" not in line or "ann.archer@" in said.stdout):
            return said.stdout
        assert time.monotonic() < end, f"{line}: {said.stdout}{said.stderr}"
        time.sleep(0.5)
