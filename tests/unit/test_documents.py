"""The documents keep up with the tree: links lead to files, and every dependency has its reason."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *(path for room in ("docs", "deploy", "benchmarks") for path in sorted((ROOT / room).rglob("*.md"))),
]
LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(document: Path) -> None:
    targets = LINK.findall(document.read_text(encoding="utf-8"))
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[<>=~!\[ ]", line)[0] for line in project["dependencies"] + project["optional-dependencies"]["dev"]}
    told = set(re.findall(r"^\| ([\w-]+) \|", (ROOT / "docs/explanation/dependencies.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert told - {"package"} == declared


def test_the_lock_pins_every_dependency_and_names_no_index() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = {name.lower() for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    declared = {re.split(r"[<>=~!\[ ]", line)[0].lower() for line in project["dependencies"] + project["optional-dependencies"]["dev"]}
    assert declared <= pinned
    assert "://" not in lock
