from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from resolvers.errors import RedisUnavailable
from streams.log import Seldom, set_up_log
from tests.log_state import log_put_back


@pytest.fixture(autouse=True)
def _log_put_back() -> Iterator[None]:
    with log_put_back():
        yield


def test_lines_go_to_standard_error_as_json_if_asked(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_log(as_json=True)
    structlog.get_logger("streams.test").warning("no answer", address="here:1")
    logging.getLogger("faust.app").error("gone")
    out, err = capsys.readouterr()
    assert out == ""
    lines = [json.loads(line) for line in err.splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [("no answer", "warning"), ("gone", "error")]
    assert lines[0]["address"] == "here:1"


def test_libraries_are_quiet_but_for_their_errors(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_log()
    logging.getLogger("aiokafka.consumer").warning("rebalancing")
    logging.getLogger("faust.app").info("starting")
    assert capsys.readouterr().err == ""


def test_an_error_raised_on_purpose_has_no_stack(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_log()
    for error in (RedisUnavailable("on purpose"), ZeroDivisionError("by mistake")):
        try:
            raise error
        except (RedisUnavailable, ZeroDivisionError):
            logging.getLogger("mode").exception("crashed")
    assert capsys.readouterr().err.count("Traceback") == 1


def test_the_same_message_of_a_library_passes_once_in_a_while() -> None:
    now = 0.0
    seldom = Seldom("aiokafka", 5, lambda: now)

    def shown(name: str, message: str) -> bool:
        return seldom.filter(logging.LogRecord(name, logging.ERROR, "", 0, message, None, None))

    assert [shown("aiokafka.client", "gone"), shown("aiokafka.client", "gone"), shown("aiokafka.client", "other")] == [True, False, True]
    assert [shown("streams", "gone"), shown("streams", "gone")] == [True, True]
    now = 5.0
    assert shown("aiokafka.client", "gone")
