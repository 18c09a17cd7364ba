from __future__ import annotations

import asyncio
import logging

import pytest
from aiokafka.errors import NotLeaderForPartitionError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from resolvers.errors import RedisUnavailable, Rejected
from streams.log import set_up_log
from streams.redaction import may_be_told, stack, without_errors, words

MARK = "ann@quill.example"


@pytest.mark.parametrize("error", [KeyError(MARK), ValueError(MARK), Rejected(MARK), ResponseError(MARK), UnicodeError(MARK)])
def test_what_may_quote_a_record_is_not_told(error: Exception) -> None:
    assert not may_be_told(error)
    assert MARK not in words(error) + stack(error)
    assert words(error) == type(error).__name__


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RedisUnavailable("Redis at here:1 does not answer"), "Redis at here:1 does not answer"),
        (RedisConnectionError("refused"), "ConnectionError: refused"),
        (OSError("no space"), "OSError: no space"),
    ],
)
def test_what_speaks_of_the_outside_is_told(error: Exception, text: str) -> None:
    assert words(error) == text


def test_errors_of_kafka_are_told_with_their_type() -> None:
    assert words(NotLeaderForPartitionError()).startswith("NotLeaderForPartitionError")


def raised() -> Exception:
    try:
        try:
            raise KeyError(MARK)
        except KeyError as error:
            raise RedisUnavailable("gone") from error
    except RedisUnavailable as error:
        return error
    raise AssertionError


def test_a_stack_names_the_lines_and_keeps_the_causes_to_their_types() -> None:
    text = stack(raised())
    assert MARK not in text
    assert "KeyError (its text may quote a record)" in text
    assert "which led to:" in text
    assert text.endswith("RedisUnavailable: gone")
    assert "in raised" in text


def test_an_error_without_text_says_where_it_was() -> None:
    cause = raised().__cause__
    assert cause is not None
    assert words(cause).startswith("KeyError at test_redaction.py:")


def test_a_group_of_errors_is_told_one_by_one() -> None:
    text = stack(ExceptionGroup(MARK, [ValueError(MARK), OSError("no space")]))
    assert MARK not in text
    assert "OSError: no space" in text


def test_an_error_that_came_of_itself_ends() -> None:
    one, other = ValueError(MARK), KeyError(MARK)
    one.__context__, other.__context__ = other, one
    assert stack(one).count("ValueError") == 1


def test_a_library_s_message_loses_the_error_that_it_quotes() -> None:
    assert without_errors(f"future: <Task finished exception=ValueError('{MARK}')>") == "future: <Task finished exception=ValueError..."


@pytest.mark.parametrize("as_json", [False, True])
async def test_no_line_of_the_log_quotes_an_error(capsys: pytest.CaptureFixture[str], *, as_json: bool) -> None:
    set_up_log(as_json=as_json, debug=True)
    try:
        raise ValueError(MARK)
    except ValueError as error:
        logging.getLogger("mode").exception("crashed")
        asyncio.get_running_loop().call_exception_handler({"message": "never retrieved", "exception": error, "future": [error]})
    logging.getLogger("aiokafka.producer.producer").debug("Sending (key=%r)", MARK)
    said = capsys.readouterr().err
    assert "crashed" in said
    assert "never retrieved" in said
    assert MARK not in said
