from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams import cli
from streams.cli import build_app


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Stay away from the settings and the stack of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in ("NEXUS_CONFIG", "NEXUS__KAFKA__BOOTSTRAP_SERVERS", "NEXUS__REDIS__URL"):
        monkeypatch.delenv(name, raising=False)


def test_every_command_has_help_that_says_something() -> None:
    for command in build_app().registered_commands:
        shown = CliRunner().invoke(build_app(), [str(command.name), "--help"])
        assert shown.exit_code == 0
        assert "--json" in shown.output
        assert command.callback is not None
        assert command.callback.__doc__


def test_the_version_is_the_projects() -> None:
    shown = CliRunner().invoke(build_app(), ["--version"])
    assert (shown.exit_code, shown.output) == (0, f"nexus {version('nexus-streams')}\n")


def test_down_without_a_stack_says_that_nothing_was_running(tmp_path: Path) -> None:
    shown = CliRunner().invoke(build_app(), ["down"])
    assert (shown.exit_code, shown.output) == (0, f"nothing of {tmp_path / '.nexus'} was running\n")
    assert not (tmp_path / ".nexus").exists()


def test_down_as_json(tmp_path: Path) -> None:
    shown = CliRunner().invoke(build_app(), ["down", "--wipe", "--json"])
    assert json.loads(shown.output) == {"stopped": [], "wiped": True}


def test_a_known_failure_is_one_line_and_a_non_zero_exit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["nexus", "up", "--config", "missing.yaml"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("nexus: missing.yaml: the settings file cannot be read")
