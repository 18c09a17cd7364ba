"""Whom `nexus promote` asks before it begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import streams.promotion
from resolvers.errors import NexusError
from streams.cli import build_app
from streams.promotion import Promoted
from streams.settings import Settings

PROMOTED = Promoted("candidate", "live", "live-before", 0)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a person be there."""
    monkeypatch.setattr("streams.cli.promote.someone_is_there", lambda: True)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand in for the promotion; note which spaces it was begun with."""
    spaces: list[str] = []

    async def promoted(_: Settings, space: str, kept: str, __: object) -> Promoted:
        spaces.append(space)
        return PROMOTED

    monkeypatch.setattr(streams.promotion, "promote", promoted)
    return spaces


def promote(tmp_path: Path, *words: str, answer: str = "") -> Any:
    file = tmp_path / "nexus.yaml"
    file.write_text("space: live", encoding="utf-8")
    return CliRunner().invoke(build_app(), ["promote", "candidate", "--config", str(file), *words], input=answer)


def test_a_script_is_not_asked(tmp_path: Path, begun: list[str]) -> None:
    result = promote(tmp_path, answer="n\n")
    assert (result.exit_code, result.stderr, begun) == (0, "", ["candidate"])


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("words", "answer"), [((), "y\n"), (("--yes",), "")])
def test_a_person_is_asked_but_for_yes(words: tuple[str, ...], answer: str, tmp_path: Path, begun: list[str]) -> None:
    result = promote(tmp_path, *words, answer=answer)
    assert (result.exit_code, begun) == (0, ["candidate"])
    assert ("take the place of live" in result.stderr) == (not words)


@pytest.mark.usefixtures("terminal")
def test_nothing_is_promoted_without_a_yes(tmp_path: Path, begun: list[str]) -> None:
    result = promote(tmp_path, answer="n\n")
    assert isinstance(result.exception, NexusError)
    assert str(result.exception).startswith("nothing was promoted")
    assert begun == []
