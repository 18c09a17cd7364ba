"""`nexus doctor` on a pipeline: all is well, and what it says where it is not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from streams.cli import build_app
from streams.stack import Addresses
from tests.integration.desk import desk

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


async def doctor(config: Path, *changes: tuple[str, str]) -> tuple[int, dict[str, str], str]:
    """Ask the doctor about settings with some text changed; gives the exit code, levels by what was looked at, and all that was said."""
    text = config.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = config.with_name("changed.yaml")
    file.write_text(text, encoding="utf-8")
    result = await asyncio.to_thread(CliRunner().invoke, build_app(), ["doctor", "--json", "--config", str(file)])
    found: list[dict[str, Any]] = json.loads(result.stdout)["findings"]
    return result.exit_code, {one["what"]: one["level"] for one in found}, json.dumps(found)


async def test_what_is_wrong_with_a_pipeline_is_said(stack: Addresses, tmp_path: Path) -> None:
    async with desk(stack, tmp_path) as pipeline:
        config = tmp_path / "nexus.yaml"
        code, levels, said = await doctor(config)
        assert (code, levels["lag"], levels["space"], levels["clocks"], levels["topics"]) == (0, "ok", "ok", "ok", "ok"), said
        assert "0 raw records to adapt, 0 events to resolve, 0 output keys to tell" in said
        assert "it has 6 identifiers" in said or "it has 5 identifiers" in said
        code, levels, said = await doctor(config, ("normalise: email", "normalise: exact"))
        assert (code, levels["space"]) == (1, "error")
        assert "was made with other rules: no worker starts" in said
        code, levels, said = await doctor(config, (f"space: {pipeline.settings.space}", "space: nobody-made-it"))
        assert levels["space"] == "warning"
        code, levels, said = await doctor(config, (stack.redis_url, "redis://127.0.0.1:9/0"))
        assert (code, levels["redis"]) == (1, "error")
