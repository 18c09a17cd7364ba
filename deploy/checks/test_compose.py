"""compose.yaml, as far as Compose reads it without an engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from deploy.checks.rendering import ROOT, environment, run, tool
from streams.running import GRACE_SECONDS
from streams.settings import load_settings


def composed(*options: str) -> dict[str, Any]:
    said = run(tool("docker-compose"), "--file", ROOT / "compose.yaml", *options, "config", "--format", "json", cwd=ROOT)
    assert said.returncode == 0, said.stderr
    assert said.stderr == ""
    found: dict[str, Any] = json.loads(said.stdout)["services"]
    return found


def test_without_a_profile_there_are_kafka_and_valkey_alone() -> None:
    assert composed().keys() == {"kafka", "valkey"}


def test_with_all_there_are_topics_two_workers_and_monitoring() -> None:
    services = composed("--profile", "all")
    assert services.keys() == {"kafka", "valkey", "topics", "worker-1", "worker-2", "prometheus", "grafana"}
    assert services["worker-1"] == services["worker-2"]
    assert services["worker-1"]["build"]["dockerfile"] == "deploy/Dockerfile"


def test_compose_reads_the_file_by_its_schema() -> None:
    said = run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", ROOT / "compose.yaml")
    assert said.returncode == 0, said.stdout + said.stderr


def test_workers_have_settings_that_nexus_takes_and_write_to_tmp_alone() -> None:
    services = composed("--profile", "all")
    for name in ("topics", "worker-1"):
        service = services[name]
        mounted = next(one["source"] for one in service["volumes"] if one["target"] == service["environment"]["NEXUS_CONFIG"])
        variables = environment({"env": [{"name": key, "value": value} for key, value in service["environment"].items()]})
        settings = load_settings(Path(mounted), variables)
        assert settings.kafka.bootstrap_servers == "kafka:29092"
        if name == "worker-1":
            assert settings.worker.admin_port == 8080
            assert settings.worker.drain_seconds + GRACE_SECONDS < float(service["stop_grace_period"].removesuffix("s"))
        assert (service["read_only"], service["tmpfs"], service["cap_drop"]) == (True, ["/tmp"], ["ALL"])


def test_prometheus_scrapes_the_workers_and_what_is_mounted_is_there() -> None:
    services = composed("--profile", "all")
    scraped = yaml.safe_load((ROOT / "deploy/monitoring/prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    targets = {target for job in scraped for one in job["static_configs"] for target in one["targets"]}
    assert targets == {f"{name}:8080" for name in services if name.startswith("worker")}
    mounted = [Path(one["source"]) for service in services.values() for one in service.get("volumes", []) if one["type"] == "bind"]
    assert [path for path in mounted if not path.exists()] == []


def test_nothing_is_open_to_the_network_around() -> None:
    ports = [port for service in composed("--profile", "all").values() for port in service.get("ports", [])]
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
