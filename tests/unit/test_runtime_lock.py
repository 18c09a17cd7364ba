from __future__ import annotations

from pathlib import Path

import pytest

from deploy.runtime_lock import dependencies, entries, needed

ROOT = Path(__file__).parents[2]
LOCK = """\
# a comment
alpha==1.0 \\
    --hash=sha256:aa
    # via nexus-streams (pyproject.toml)
beta-b==2.0 ; sys_platform == 'win32' \\
    --hash=sha256:bb \\
    --hash=sha256:bc
    # via
    #   alpha
    #   gamma
delta==4.0 \\
    --hash=sha256:dd
    # via beta-b
gamma==3.0 \\
    --hash=sha256:cc
    # via nexus-streams (pyproject.toml)
"""


def test_what_a_root_brings_along_is_kept_as_it_is_in_the_lock() -> None:
    assert needed(LOCK, {"alpha"}) == LOCK[LOCK.index("alpha") : LOCK.index("gamma==")]


def test_names_compare_without_case_and_separators() -> None:
    assert list(entries(needed(LOCK, {"Beta_B"}))) == ["beta-b", "delta"]


def test_a_root_that_is_not_locked_is_an_error() -> None:
    with pytest.raises(KeyError, match="not in the lock: omega"):
        needed(LOCK, {"omega"})


def test_the_part_for_a_worker_has_no_tool_of_development() -> None:
    kept = entries(needed((ROOT / "requirements.lock").read_text(encoding="utf-8"), dependencies(ROOT / "pyproject.toml")))
    assert {"aiokafka", "faust-streaming", "redis", "hiredis", "pydantic-core", "opentelemetry-sdk"} <= kept.keys()
    assert not {"pytest", "ruff", "mypy", "hypothesis", "setuptools", "confluent-kafka"} & kept.keys()
