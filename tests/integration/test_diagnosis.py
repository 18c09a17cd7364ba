"""`nexus doctor` on a pipeline: all is well, and what it says where it is not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from typer.testing import CliRunner

from streams import kafka
from streams.cli import build_app
from streams.stack import Addresses
from tests.integration.desk import desk

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


async def doctor(config: Path, *changes: tuple[str, str], strict: bool = False) -> tuple[int, dict[str, str], str]:
    """Ask the doctor about settings with some text changed; gives the exit code, levels by what was looked at, and all that was said."""
    text = config.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = config.with_name("changed.yaml")
    file.write_text(text, encoding="utf-8")
    result = await asyncio.to_thread(CliRunner().invoke, build_app(), ["doctor", "--json", *["--strict"] * strict, "--config", str(file)])
    found: list[dict[str, Any]] = json.loads(result.stdout)["findings"]
    worst = sorted(found, key=lambda one: ("ok", "warning", "error").index(one["level"]))
    return result.exit_code, {one["what"]: one["level"] for one in worst}, json.dumps(found)


@pytest.fixture(autouse=True)
def settings_of_the_file_alone(stack: Addresses, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let addresses of the environment not stand above those that a test writes; the stack has read them."""
    for name in ("NEXUS__KAFKA__BOOTSTRAP_SERVERS", "NEXUS__REDIS__URL"):
        monkeypatch.delenv(name, raising=False)


async def test_what_is_wrong_with_a_pipeline_is_said(stack: Addresses, tmp_path: Path) -> None:
    async with desk(stack, tmp_path) as pipeline:
        config = tmp_path / "nexus.yaml"
        code, levels, said = await doctor(config)
        assert (code, levels["lag"], levels["space"], levels["clocks"], levels["topics"]) == (0, "ok", "ok", "ok", "ok"), said
        assert "0 raw records to adapt, 0 events to resolve, 0 commands to obey, 0 output keys to tell" in said
        assert "it has 6 identifiers" in said or "it has 5 identifiers" in said
        code, levels, said = await doctor(config, ("normalise: email", "normalise: exact"))
        assert (code, levels["space"]) == (1, "error")
        assert "was made with rules " in said
        assert "no worker starts" in said
        code, levels, said = await doctor(config, (f"space: {pipeline.settings.space}", "space: nobody-made-it"))
        assert levels["space"] == "warning"
        assert "the first worker makes them" in said
        assert (await doctor(config, strict=True))[0] == 1, "the key for trying out is a warning"
        code, levels, said = await doctor(config, (stack.redis_url, "redis://127.0.0.1:9/0"))
        assert (code, levels["redis"], levels["kafka"], levels["topics"]) == (1, "error", "ok", "ok")
        code, levels, said = await doctor(config, (stack.bootstrap_servers, "127.0.0.1:9"))
        assert (code, levels["kafka"], levels["redis"], levels["space"], levels["lag"]) == (1, "error", "ok", "ok", "warning")


async def test_a_log_that_kafka_shortens_is_an_error(stack: Addresses, tmp_path: Path) -> None:
    async with desk(stack, tmp_path) as pipeline:
        settings = pipeline.settings
        client = await kafka.started(kafka.admin(settings), settings.kafka, "test")
        resource = ConfigResource(ConfigResourceType.TOPIC, settings.topic("events"), {"retention.ms": "604800000"})
        await client.alter_configs([resource])
        await client.close()
        code, levels, said = await doctor(tmp_path / "nexus.yaml")
        assert (code, levels["topics"], levels["kafka rights"]) == (1, "error", "ok")
        assert "retention.ms 604800000 in place of -1" in said
