"""The workflows: valid, and of actions that are pinned by commit."""

from __future__ import annotations

import re

from deploy.checks.rendering import ROOT, run, tool

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.y*ml"))
USES = re.compile(r"^\s*-?\s*uses:\s*(.+)$", re.MULTILINE)
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*")


def test_actionlint_has_nothing_to_say() -> None:
    assert WORKFLOWS
    said = run(tool("actionlint"), "-no-color", *WORKFLOWS, cwd=ROOT)
    assert (said.returncode, said.stdout) == (0, "")


def test_every_action_is_pinned_by_commit_with_its_version_beside() -> None:
    used = [use for path in WORKFLOWS for use in USES.findall(path.read_text(encoding="utf-8"))]
    assert used
    assert [use for use in used if not PINNED.fullmatch(use)] == []


def test_no_workflow_may_write() -> None:
    for path in WORKFLOWS:
        text = path.read_text(encoding="utf-8")
        assert re.search(r"^permissions:\n  contents: read\n\n", text, re.MULTILINE)
        assert ": write" not in text
        assert "pull_request_target" not in text


def test_targets_that_are_called_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    called = {name for path in WORKFLOWS for name in re.findall(r"run: make ([\w-]+)", path.read_text(encoding="utf-8"))}
    assert {"lint", "types", "test", "test-deploy", "deploy-check"} <= called
    assert {name for name in called if not re.search(rf"^{name}:", makefile, re.MULTILINE)} == set()


def test_dependabot_reads_its_file() -> None:
    said = run(tool("check-jsonschema"), "--builtin-schema", "vendor.dependabot", ROOT / ".github/dependabot.yml")
    assert said.returncode == 0, said.stdout + said.stderr
