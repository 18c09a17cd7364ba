from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from resolvers.errors import KafkaUnavailable, SettingsError
from streams.cli import build_app
from tests.log_state import log_put_back

UNREACHABLE = "{kafka: {bootstrap_servers: '127.0.0.1:1', connect_seconds: 0}, sources: {crm: {topic: raw.crm, adapter: segment}}}"


@pytest.fixture(autouse=True)
def _log_put_back() -> Iterator[None]:
    with log_put_back():
        yield


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "nexus.yaml"
    file.write_text(UNREACHABLE, encoding="utf-8")
    return str(file)


def test_publishing_to_an_unknown_source_names_the_known_ones(config: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(build_app(), ["publish", "cmr", str(tmp_path / "x.ndjson"), "--config", config])
    assert isinstance(result.exception, SettingsError)
    assert str(result.exception) == "there is no source 'cmr' in the settings; known: crm; did you mean crm?"


@pytest.mark.parametrize("command", [["publish", "crm", "x.ndjson"], ["tail", "entities"]])
def test_a_kafka_that_does_not_answer_is_named(config: str, command: list[str]) -> None:
    result = CliRunner().invoke(build_app(), [*command, "--config", config])
    assert isinstance(result.exception, KafkaUnavailable)
    assert "127.0.0.1:1" in str(result.exception)


@pytest.mark.parametrize("command", ["worker", "publish", "tail"])
def test_every_command_explains_itself(command: str) -> None:
    assert CliRunner().invoke(build_app(), [command, "--help"]).exit_code == 0
