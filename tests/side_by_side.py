"""Which tests of a parallel run share a worker, where they run one by one.

The groups of pytest-xdist's own `loadgroup` are no help: they are lost where pytest computes a test's id instead of keeping it.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

ONE_BY_ONE = ("tests/integration/", "tests/chaos/test_judge_on_a_pipeline.py", "tests/deploy/")
"""Where tests need Kafka or start processes, by how their ids begin: side by side they would wait for each other's processors."""


def runs_one_by_one(nodeid: str) -> bool:
    """Say whether a test runs on the worker of those that run one by one."""
    return nodeid.startswith(ONE_BY_ONE)


class SideBySide(LoadScopeScheduling):  # type: ignore[misc]  # it comes without types
    """Gives one worker at once all tests that run one by one, the others the rest test by test; whoever is done first helps."""

    def _split_scope(self, nodeid: str) -> str:
        return "one by one" if runs_one_by_one(nodeid) else nodeid
