"""One person with more values of a trait than a record can hold, through the whole pipeline: it goes on, and tells what it keeps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from resolvers.trait_rules import MOST_KEPT
from streams.stack import Addresses
from streams.topics import MESSAGE_BYTES

pytestmark = [pytest.mark.stack, pytest.mark.timeout(360)]

SETTINGS = {
    "partitions": 1,
    "entities": {"person": {"identifiers": {"user_id": {}}, "traits": {"tags": {"keep": "all"}}}},
    "sources": {
        "crm": {
            "topic": "raw.crm",
            "adapter": "mapping",
            "event": {"id": "id", "name": "'seen'", "occurred_at": "at"},
            "participants": [{"entity": "person", "identifiers": {"user_id": "user"}, "traits": {"tags": "tags", "note": "note"}}],
        }
    },
}
EVENTS, VALUES = 36, 400


def records() -> Iterator[dict[str, Any]]:
    """Give values that push out those before them, and two long notes, of which one record could not tell both."""
    for number in range(EVENTS):
        tags = [f"{EVENTS - number:03}-{place:03}".ljust(600, "-") for place in range(VALUES)]
        yield {"id": f"e{number}", "at": f"2024-05-01T09:{number:02}:00Z", "user": "u", "tags": tags}
    for number, letter in enumerate("xy"):
        yield {"id": f"n{number}", "at": f"2024-05-01T10:0{number}:00Z", "user": "u", "note": letter * (MESSAGE_BYTES * 9 // 16)}
    yield {"id": "last", "at": "2024-05-01T11:00:00Z", "user": "u", "tags": ["short"]}


def test_a_person_with_more_values_than_a_record_holds_goes_through(stack: Addresses, tmp_path: Path) -> None:
    said = [json.dumps(one) for one in records()]
    assert sum(map(len, said)) > 2 * MESSAGE_BYTES
    (tmp_path / "crm.ndjson").write_text("\n".join(said), encoding="utf-8")
    (tmp_path / "nexus.yaml").write_text(yaml.safe_dump(SETTINGS), encoding="utf-8")
    addresses = {"NEXUS__KAFKA__BOOTSTRAP_SERVERS": stack.bootstrap_servers, "NEXUS__REDIS__URL": stack.redis_url}
    words = ["run", "--config", "nexus.yaml", "--source", "crm=crm.ndjson", "--out", "out", "--verify"]
    command = [sys.executable, "-m", "streams", *words]
    ended = subprocess.run(command, env={**os.environ, **addresses}, cwd=tmp_path, capture_output=True, text=True, timeout=150, check=False)
    assert ended.returncode == 0, ended.stderr

    (entity,) = (json.loads(line) for line in (tmp_path / "out" / "entities.ndjson").read_text().splitlines())
    tags = entity["traits"]["tags"]
    assert len(tags) <= MOST_KEPT
    assert tags[-1] == "short"
    assert tags[0] == "001-000".ljust(600, "-")
    lines = (tmp_path / "out" / "timeline.ndjson").read_text().splitlines()
    assert max(map(len, lines)) < MESSAGE_BYTES / 64
    assert "short" in json.loads(lines[-1])["data"]["added"]
