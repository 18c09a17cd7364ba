"""What the checks of `make deploy-check` share: the tools, and the lines that say at the end what could not be checked here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from deploy.checks.image import Image, installed

NOT_CHECKED = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    if "NEXUS_DEPLOY_TOOLS" not in os.environ:
        raise pytest.UsageError("NEXUS_DEPLOY_TOOLS is not set: run `make deploy-check`, which installs the tools first")
    config.stash[NOT_CHECKED] = []


@pytest.fixture
def not_checked(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Take a line for the end of the run: what could not be checked on this machine, and why."""
    return pytestconfig.stash[NOT_CHECKED].append


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Image]:
    """Give what the installation steps of the image make."""
    with installed(tmp_path_factory.mktemp("image"), pytestconfig.stash[NOT_CHECKED].append) as made:
        yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = [
        "the image was not built and not started: its installation steps were run, without an engine",
        "no cluster was asked: nothing was admitted, scheduled, scaled or probed, and no policy was enforced",
        "custom resources of Strimzi, KEDA and Prometheus: against schemas of our own, written after theirs",
        *config.stash[NOT_CHECKED],
    ]
    terminalreporter.section("not checked here")
    for line in lines:
        terminalreporter.line(f"  {line}")
