"""Advice about identifiers, from what the resolver really writes to Redis."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from typer.testing import CliRunner

from resolvers.errors import NexusError
from streams.cli import build_app
from tests.integration.test_verify import pipeline, settings_for
from tests.unit.verify.pipeline import Pipeline, event, person

ENTITIES = {"person": {"identifiers": {"user_id": {}, "email": {}, "device": {"hub": {"of": "user_id", "over": 7}}}}}


def history() -> list[bytes]:
    """Write events: a kiosk of nine users, a shared address that is the bridge of two families, a junk address."""
    events = [event(n, f"2024-01-01T{n:02}:00:00Z", person(f"user_id:k{n}", "device:kiosk")) for n in range(9)]
    events += [event(20 + n, f"2024-02-01T{n:02}:00:00Z", person(f"user_id:a{n}", "email:anns@home.example")) for n in range(2)]
    events += [event(30 + n, f"2024-02-01T{n:02}:10:00Z", person(f"user_id:b{n}", "device:tv")) for n in range(3)]
    events.append(event(40, "2024-03-01T00:00:00Z", person("email:anns@home.example", "device:tv")))
    events += [event(50 + n, f"2024-04-01T{n:02}:00:00Z", person(f"user_id:j{n}", "email:none@none.example")) for n in range(3)]
    return events


@pytest.fixture
async def running(redis_url: str) -> AsyncIterator[Pipeline]:
    async with pipeline(settings_for(redis_url, entities=ENTITIES)) as made:
        await made.run([history()], Random(1))
        yield made


async def nexus(running: Pipeline, directory: Path, *words: str) -> str:
    file = directory / "nexus.yaml"
    file.write_text(running.settings.to_yaml(), encoding="utf-8")
    result = await asyncio.to_thread(CliRunner().invoke, build_app(), ["doctor", *words, "--config", str(file)])
    if isinstance(result.exception, NexusError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


async def test_what_joins_too_many_is_found_with_numbers(running: Pipeline, tmp_path: Path) -> None:
    found: dict[str, Any] = json.loads(await nexus(running, tmp_path, "--identifiers", "--json"))
    top = {one["value"]: one for one in found["identifiers"]}
    assert (top["kiosk"]["owners"], top["kiosk"]["links"], top["kiosk"]["hub"]) == (9, 9, True)
    assert (top["tv"]["owners"], top["tv"]["others"], top["anns@home.example"]["owners"]) == (3, 4, 2)
    types = {one["type"]: one for one in found["types"]}
    assert (types["device"]["values"], types["device"]["shared"], types["device"]["crowded"], types["device"]["most"]) == (2, 2, 1, 9)
    assert (types["device"]["hubs"], types["device"]["over"]) == (1, None), "a looser rule is not suggested"
    assert (types["email"]["over"], types["email"]["beyond_over"]) == (3, 0)
    assert types["user_id"]["limit"] is None
    assert types["user_id"]["beyond_limit"] == 2
    (family, junk) = found["entities"][:2]
    assert (family["size"], junk["size"]) == (7, 4)
    assert {bridge["identifier"]: bridge["pieces"] for bridge in family["bridges"]} == {
        "person:device:tv": [3, 1, 1, 1],
        "person:email:anns@home.example": [4, 1, 1],
    }
    assert [one["value"] for one in found["junk"]] == ["none@none.example"]


async def test_it_is_said_in_words(running: Pipeline, tmp_path: Path) -> None:
    said = await nexus(running, tmp_path, "--identifiers", "--limit", "2")
    assert "a hub: connects nothing" in said
    assert "without person:device:tv: 4 pieces, of 3, 1, 1, 1" in said
    assert "entities.person.identifiers.email: hub over 3: would take 0 of 2 values out of use" in said
    assert "nexus block email:none@none.example --dry-run" in said


async def test_a_space_that_is_not_there_is_said(running: Pipeline, tmp_path: Path) -> None:
    running.settings = running.settings.model_copy(update={"space": "nowhere"})
    with pytest.raises(NexusError, match="has no space 'nowhere'"):
        await nexus(running, tmp_path, "--identifiers")
