from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from resolvers.errors import KafkaUnavailable, SettingsError
from streams.cli import build_app

UNREACHABLE = "{kafka: {bootstrap_servers: '127.0.0.1:1', connect_seconds: 0}, sources: {crm: {topic: raw.crm, adapter: segment}}}"


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "nexus.yaml"
    file.write_text(UNREACHABLE, encoding="utf-8")
    return str(file)


def test_publishing_to_an_unknown_source_names_the_known_ones(config: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(build_app(), ["publish", "cmr", str(tmp_path / "x.ndjson"), "--config", config])
    assert isinstance(result.exception, SettingsError)
    assert str(result.exception) == "there is no source 'cmr' in the settings; known: crm; did you mean crm?"


@pytest.mark.parametrize(
    "command", [["publish", "crm", __file__], ["tail", "entities"], ["topics", "plan", "--json"], ["verify", "--json"]]
)
def test_a_kafka_that_does_not_answer_is_named_and_nothing_else_is_said(config: str, command: list[str]) -> None:
    result = CliRunner().invoke(build_app(), [*command, "--config", config])
    assert isinstance(result.exception, KafkaUnavailable)
    assert "127.0.0.1:1" in str(result.exception)
    assert result.output == ""


@pytest.mark.parametrize("command", [["topics", "plan", "--json"], ["verify", "--json"]])
def test_waiting_for_kafka_is_said_on_standard_error(config: str, command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS__KAFKA__CONNECT_SECONDS", "0.2")
    result = CliRunner().invoke(build_app(), [*command, "--config", config])
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert "no answer, trying again" in line


def test_a_file_that_is_missing_is_named_before_kafka_is_asked(config: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(build_app(), ["publish", "crm", str(tmp_path / "absent.ndjson"), "--config", config])
    assert "absent.ndjson cannot be read" in str(result.exception)


def test_a_topic_that_the_settings_do_not_have_is_named_before_kafka_is_asked(config: str) -> None:
    result = CliRunner().invoke(build_app(), ["tail", "nosuch", "--config", config])
    assert isinstance(result.exception, KafkaUnavailable)
    assert "the settings have no such topic" in result.stderr
    assert "nosuch" in result.stderr


@pytest.mark.parametrize("command", ["worker", "publish", "tail"])
def test_every_command_explains_itself(command: str) -> None:
    assert CliRunner().invoke(build_app(), [command, "--help"]).exit_code == 0
