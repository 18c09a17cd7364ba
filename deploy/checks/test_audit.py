"""The locked dependencies: has anyone told of a vulnerability in one? Needs a registry that answers such questions."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.checks.rendering import ROOT, run, tool
from deploy.runtime_lock import needed

LOCKS = (ROOT / "requirements.lock", ROOT / "deploy/tools/requirements.lock")
PROBE = "idna"


def audited(lock: Path) -> list[dict[str, Any]]:
    """Ask about a lock's packages; one that can't be asked about has a `skip_reason`. Raises AssertionError."""
    said = run(tool("pip-audit"), "--format", "json", "--progress-spinner", "off", "--disable-pip", "--require-hashes", "-r", lock)
    assert said.returncode in (0, 1), said.stderr
    assert said.stdout, said.stderr
    found: list[dict[str, Any]] = json.loads(said.stdout)["dependencies"]
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_locked_package_has_a_vulnerability_that_is_known(lock: Path, tmp_path: Path, not_checked: Callable[[str], None]) -> None:
    one = tmp_path / "one.lock"
    one.write_text(needed(lock.read_text(encoding="utf-8"), {PROBE}), encoding="utf-8")
    said = run(tool("pip-audit"), "--format", "json", "--progress-spinner", "off", "--disable-pip", "--require-hashes", "-r", one)
    answered = said.stdout and not any("skip_reason" in found for found in json.loads(said.stdout)["dependencies"])
    if not answered and os.environ.get("NEXUS_AUDIT") != "required":
        not_checked(f"vulnerabilities of {lock.relative_to(ROOT)}: the registry here does not tell of any package's; CI asks one that does")
        pytest.skip("the registry here does not tell of vulnerabilities")
    found = audited(lock)
    assert [one for one in found if one.get("vulns")] == []
    assert [one["name"] for one in found if "skip_reason" in one] == []
