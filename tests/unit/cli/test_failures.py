"""Whatever fails ends as one line on standard error and a non-zero exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.cli import main

SOURCES = "{sources: {crm: {topic: raw.crm, adapter: segment}}}"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("settings.yaml").write_text(SOURCES, encoding="utf-8")
    Path("records.ndjson").write_text("{}\n", encoding="utf-8")


def failing(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, str]:
    """Run a command that fails; gives its exit code and what it says."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    said = capsys.readouterr()
    assert said.out == ""
    return ended.value.code, said.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("promot",), "No such command 'promot'. Did you mean 'promote', 'permit'?; see nexus --help"),
        (("run", "--out", "out"), "Missing option '--source'; see nexus run --help"),
        (("entity",), "Missing argument 'ID'; see nexus entity --help"),
        (("topics", "plan", "more"), "Got unexpected extra argument(s) (more); see nexus topics plan --help"),
        (
            ("adapt", "records.ndjson", "--source", "crm", "--limit", "0"),
            "Invalid value for '--limit' / '-n': Input should be greater than or equal to 1; see nexus adapt --help",
        ),
    ],
)
def test_wrong_usage_is_one_line_that_names_the_help(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert failing(capsys, *words) == (2, f"nexus: {said}\n")


def test_an_output_folder_that_cannot_be_made_is_named_before_anything_is_started(capsys: pytest.CaptureFixture[str]) -> None:
    Path("taken").write_text("", encoding="utf-8")
    words = ("run", "--config", "settings.yaml", "--source", "crm=records.ndjson", "--out", "taken")
    assert failing(capsys, *words) == (1, "nexus: the folder taken/workers cannot be made: Not a directory\n")


def test_an_unknown_setting_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("settings.yaml").write_text("kafka: {bootstrap_servers: 'a:b:c'}", encoding="utf-8")
    code, said = failing(capsys, "check", "--config", "settings.yaml")
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith("nexus: settings.yaml: kafka.bootstrap_servers: 'a:b:c': must be host:port")


def test_a_file_that_cannot_be_opened_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        Path("nowhere/at/all").read_bytes()

    monkeypatch.setattr("streams.settings.load_settings", refuse)
    assert failing(capsys, "check") == (1, "nexus: nowhere/at/all: No such file or directory\n")


def test_a_command_that_succeeds_ends_with_zero(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("nexus ")


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert "Usage: nexus" in said.out
    assert said.err == ""
