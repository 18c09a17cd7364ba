"""What every test may ask for: the addresses of a Kafka and a Redis, from one place for the whole session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer

from streams.stack import Addresses
from tests.log_state import log_put_back
from tests.side_by_side import SideBySide, runs_one_by_one
from tests.surroundings import Surroundings, surroundings

LONG = tuple(Path(__file__).parent / name for name in ("faults", "properties"))
LONG_SECONDS = 1_500
"""What looks at hundreds of histories, or races for thousands of steps, takes longer on a slow machine than other tests may."""


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SideBySide:
    """Keep on one worker of a parallel run what runs one by one."""
    return SideBySide(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give long tests their time, and refuse tests that need a Kafka where a parallel run does not expect any."""
    for item in items:
        if _needs_kafka(item) and not runs_one_by_one(item.nodeid):
            raise pytest.UsageError(f"{item.nodeid} needs a Kafka: move it to tests/integration, or name it in tests/side_by_side.py")
        if any(folder in item.path.parents for folder in LONG) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LONG_SECONDS))


def _needs_kafka(item: pytest.Item) -> bool:
    return item.get_closest_marker("stack") is not None or "stack" in getattr(item, "fixturenames", ())


@pytest.fixture(autouse=True)
def _log_put_back() -> Iterator[None]:
    """Undo what a command did to the log: every command sets it up."""
    with log_put_back():
        yield


@pytest.fixture(scope="session")
def _surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    with surroundings(tmp_path_factory.mktemp("stack")) as found:
        yield found


@pytest.fixture(scope="session")
def stack(_surroundings: Surroundings) -> Addresses:
    """Return a Kafka and a Redis, shared by the session: use topics and a space that no other test uses."""
    return _surroundings.stack()


@pytest.fixture(scope="session")
def redis_url(_surroundings: Surroundings) -> str:
    """Return a Redis alone, which starts in well under a second; shared by the session: use a space that no other test uses."""
    return _surroundings.redis_url()
