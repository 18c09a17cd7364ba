"""The alerts and the dashboard on a real Prometheus that scrapes a real worker on a real Kafka and Redis."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen
from uuid import uuid4

import pytest
import yaml

from streams.crew import Worker
from streams.settings import settings_from
from streams.stack import Addresses
from streams.stack.ports import LOOPBACK, free_ports
from streams.topics import delete_topics
from tests.integration.test_stages import Pipeline, contact, until
from tests.monitoring import INTERVAL, MONITORING, alert_queries, compared, panel_queries, rules

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(180)]

SCRAPE_SECONDS = 1
RATE = "20s"
EXPECTED = {
    "sum(nexus_records_read_total)": 204,
    "sum(nexus_records_rejected_total)": 4,
    "sum(nexus_events_written_total)": 200,
    "sum(nexus_events_resolved_total)": 200,
    'nexus_events_resolved_total{source="crm"}': 200,
    "nexus_participants_written_total": 200,
    "sum(nexus_commands_rejected_total)": 4,
    'nexus_dead_letters_total{source="crm", reason="malformed"}': 4,
    "sum(nexus_dead_letters_total)": 8,
    "sum(nexus_entities_created_total)": 40,
    "sum(nexus_batch_records_sum)": 408,
    'sum(nexus_position{stage="resolve"})': 200,
    "sum(nexus_lag_records)": 0,
    "max(nexus_behind_seconds)": 0,
    "max(nexus_largest_entity_identifiers)": 1,
    "sum(nexus_recoveries_total)": 0,
}
"""What four rounds of fifty records, a broken one and a broken command come to; the numbers of a query."""

HAPPENED = (
    "nexus_rounds_told_total",
    "nexus_records_told_total",
    'nexus_rebalances_total{stage="adapt"}',
    'nexus_rebalances_total{stage="publish"}',
    'nexus_stage_seconds_count{stage="publish"}',
    'nexus_stage_seconds_count{stage="commands"}',
    'nexus_script_seconds_count{script="apply"}',
    'nexus_script_seconds_count{script="take"}',
    'nexus_record_age_seconds_sum{stage="resolve"}',
    "nexus_round_records_sum",
    "nexus_redis_used_memory_bytes",
    'nexus_partitions_held{stage="publish"}',
)
"""What has some number above 0 by then."""


def program(name: str) -> str:
    """Find a program of Prometheus; the test fails where it is missing."""
    found = shutil.which(name)
    assert found, f"{name} is missing: run scripts/install-prometheus, or put it on PATH"
    return found


@pytest.mark.parametrize(
    "arguments",
    [("check", "config", "prometheus.yml"), ("check", "rules", "rules.yml"), ("test", "rules", "rules.test.yml")],
    ids=" ".join,
)
def test_promtool_finds_no_fault(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([program("promtool"), *arguments], cwd=MONITORING, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


class Prometheus:
    """A running Prometheus."""

    def __init__(self, port: int, log: Path) -> None:
        self.url = f"http://{LOOPBACK}:{port}"
        self.log = log

    def ask(self, path: str, **parameters: str) -> Any:
        """Ask its API; gives the data. Fails with its words where it finds a fault."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        with urlopen(f"{self.url}/api/v1/{path}{query}", timeout=10) as answer:
            document = json.loads(answer.read())
        assert document["status"] == "success", document
        return document["data"]

    def values(self, text: str) -> list[Any]:
        """Give what a query gives now."""
        found: list[Any] = self.ask("query", query=text)["result"]
        return found

    def number(self, text: str) -> float:
        """Give the one number that a query gives."""
        (sample,) = self.values(text)
        return float(sample["value"][1])

    async def ready(self) -> bool:
        """Whether it answers."""
        try:
            await asyncio.to_thread(self.ask, "status/buildinfo")
        except (URLError, OSError):
            return False
        return True


@contextmanager
def prometheus(directory: Path, target: int) -> Iterator[Prometheus]:
    """Run Prometheus with our rules and our scrape job, which asks one worker and more often."""
    document = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
    document["global"] = {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": f"{SCRAPE_SECONDS}s"}
    document["rule_files"] = [str(MONITORING / name) for name in document["rule_files"]]
    (job,) = document["scrape_configs"]
    job["static_configs"] = [{"targets": [f"{LOOPBACK}:{target}"]}]
    config, log = directory / "prometheus.yml", directory / "prometheus.log"
    config.write_text(yaml.safe_dump(document), encoding="utf-8")
    (port,) = free_ports(1)
    flags = (f"--config.file={config}", f"--storage.tsdb.path={directory / 'data'}", f"--web.listen-address={LOOPBACK}:{port}")
    with log.open("wb") as file, subprocess.Popen([program("prometheus"), *flags], stdout=file, stderr=file) as process:
        try:
            yield Prometheus(port, log)
        finally:
            process.terminate()


@pytest.fixture
async def pipeline(stack: Addresses, tmp_path: Path) -> AsyncIterator[Pipeline]:
    own = f"t{uuid4().hex[:8]}"
    (port,) = free_ports(1)
    settings = settings_from(
        {
            "space": f"watched-{own}",
            "partitions": 2,
            "kafka": {"bootstrap_servers": stack.bootstrap_servers},
            "redis": {"url": stack.redis_url, "buckets": 16},
            "topics": {"prefix": f"watched-{own}."},
            "worker": {"admin_port": port},
            "sources": {
                "crm": {
                    "topic": f"watched-{own}.raw",
                    "adapter": "mapping",
                    "event": {"id": "id", "name": "'seen'", "occurred_at": "at"},
                    "participants": [{"entity": "person", "identifiers": {"email": "email"}, "traits": {"name": "name"}}],
                }
            },
        }
    )
    made = Pipeline(settings, tmp_path)
    yield made
    for worker in made.workers:
        await worker.stop()
    await delete_topics(settings)


async def test_every_query_has_an_answer_and_only_the_alert_that_is_due_is_raised(pipeline: Pipeline, tmp_path: Path) -> None:
    settings = pipeline.settings
    worker = await Worker.start(settings, tmp_path, "worker")
    pipeline.workers.append(worker)
    await worker.ready()
    with prometheus(tmp_path, settings.worker.admin_port or 0) as watching:
        await until(watching.ready)
        await until(partial(scraped, watching, "nexus_redis_used_memory_bytes"))
        await until(partial(scraped, watching, "nexus_partitions_held == 2"))
        for round_ in range(4):
            await pipeline.write([contact(number) for number in range(50 * round_, 50 * round_ + 50)] + [b"no JSON"])
            await pipeline.write([b"no command"], topic=settings.topic("commands"), key=b"k")
            await pipeline.drained()
            await asyncio.sleep(2 * SCRAPE_SECONDS)

        answers = {query: await asyncio.to_thread(watching.values, at_once(query.text)) for query in panel_queries()}
        assert [query for query, found in answers.items() if not found] == []
        sides = [side for query in alert_queries() for side in compared(query.text)]
        assert [
            side for side in sides if not await asyncio.to_thread(watching.values, at_once(side)) and not side.startswith("absent")
        ] == []
        counted = {text: await asyncio.to_thread(watching.number, text) for text in EXPECTED}
        assert counted == EXPECTED
        assert [name for name in HAPPENED if not await asyncio.to_thread(watching.number, f"sum({name})") > 0] == []

        groups = (await asyncio.to_thread(watching.ask, "rules"))["groups"]
        evaluated = {rule["name"]: (rule["health"], rule.get("lastError")) for group in groups for rule in group["rules"]}
        assert evaluated == {rule["alert"]: ("ok", None) for rule in rules()}
        alerts = (await asyncio.to_thread(watching.ask, "alerts"))["alerts"]
        assert {one["labels"]["alertname"]: one["state"] for one in alerts} == {"NexusDeadLetters": "pending"}


async def scraped(watching: Prometheus, text: str) -> bool:
    """Whether a query gives something by now."""
    return bool(await asyncio.to_thread(watching.values, text))


def at_once(text: str) -> str:
    """Have a query look at the seconds that there are: Grafana's interval, and the past that alerts compare with."""
    text = text.replace(INTERVAL, RATE)
    return text.replace("offset 15m", "offset 1s").replace("offset 10m", "offset 1s")
