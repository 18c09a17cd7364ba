from __future__ import annotations

import inspect
import json
import logging

import aiokafka.client
import aiokafka.consumer.group_coordinator
import pytest
import structlog
from aiokafka.errors import GroupAuthorizationFailedError, GroupCoordinatorNotAvailableError

from resolvers.errors import RedisUnavailable
from streams.log import COORDINATOR, COORDINATOR_NOT_AVAILABLE, FIRST_CONNECTION, Seldom, set_up_log


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


def test_what_we_say_ourselves_is_not_said_by_aiokafka_too(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_log()
    client, group = logging.getLogger("aiokafka.client"), logging.getLogger("aiokafka.consumer.group_coordinator")
    client.error('Unable connect to "%s:%s": %s', "here", 1, OSError("refused"))
    group.error("Group Coordinator Request failed: %s", GroupCoordinatorNotAvailableError())
    assert capsys.readouterr().err == ""
    client.error("Unable connect to node with id %s: %s", 1, OSError("refused"))
    group.error("Group Coordinator Request failed: %s", GroupAuthorizationFailedError("nexus.adapt"))
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_everything_is_said_when_debugging(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_log(debug=True)
    logging.getLogger("aiokafka.client").error('Unable connect to "%s:%s": %s', "here", 1, OSError("refused"))
    assert "Unable connect to" in capsys.readouterr().err


def test_the_messages_that_are_left_out_are_those_of_aiokafka() -> None:
    assert FIRST_CONNECTION in inspect.getsource(aiokafka.client)
    assert COORDINATOR in inspect.getsource(aiokafka.consumer.group_coordinator)
    assert GroupCoordinatorNotAvailableError.errno == COORDINATOR_NOT_AVAILABLE


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
