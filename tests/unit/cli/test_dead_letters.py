from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord, TopicPartition
from typer.testing import CliRunner

from resolvers.errors import KafkaUnavailable, Rejected, SettingsError
from streams.cli import build_app
from streams.cli.dead_letters_report import listed, listed_json, replayed, replayed_json, shown, shown_json, summed, visible
from streams.dead_letters import dead_letter
from streams.letters import Found, Receipt, Report, Selection
from streams.letters.ledger import Ledger
from streams.letters.letter import letter_of, receipt_headers
from streams.letters.route import NotSent
from tests.kafka_fakes import record

T0 = 1_700_000_000_000


def letter(offset: int, value: bytes | None = b"{}", reason: str = "no time", **came: Any) -> ConsumerRecord:
    refused = record(value, offset, TopicPartition("raw.crm", 3), **came)
    written = dead_letter("dead", refused, Rejected(reason), T0 + offset, source="crm", adapter="mapping")
    return record(written.value, offset, TopicPartition("dead", 0), key=written.key, headers=written.headers)


def ledger(*records: ConsumerRecord, **asked: Any) -> Ledger:
    made = Ledger(Selection(**asked))
    for one in records:
        made.add(one)
    return made


def three() -> Ledger:
    """Give a topic with two letters that wait and one that went back."""
    went = letter(0)
    back = record(None, 9, TopicPartition("dead", 0), headers=receipt_headers(letter_of(went), T0, "raw.crm/3"))
    return ledger(went, letter(1), letter(2, reason="no name"), back)


def test_a_list_shows_what_waits_the_newest_last_and_says_what_it_hides() -> None:
    assert list(listed(three(), "waiting", 50)) == [
        "letter  time                      source  state    reason",
        "0:1     2023-11-14T22:13:20.001Z  crm     waiting  no time",
        "0:2     2023-11-14T22:13:20.002Z  crm     waiting  no name",
        "1 letter replayed and not shown: see --state",
    ]
    lines = list(listed(three(), "all", 1))
    assert lines[1].startswith("0:2 ")
    assert lines[2] == "these are the newest 1 of 3: see --limit and --summary"


def test_an_empty_list_says_why() -> None:
    assert list(listed(ledger(), "waiting", 50)) == ["there are no dead letters"]
    assert list(listed(ledger(letter(0), source="shop"), "waiting", 50)) == ["no dead letter is like that; there are 1 of crm"]
    assert list(listed(ledger(letter(0)), "replayed", 50)) == ["none replayed; 1 letter waiting: see --state"]


def test_a_summary_counts_by_source_and_reason_the_most_frequent_first() -> None:
    assert list(summed(three(), "all", 1)) == [
        "letters  source  first                     last                      reason",
        "      2  crm     2023-11-14T22:13:20.000Z  2023-11-14T22:13:20.001Z  no time",
        "these are the most frequent 1 of 2 reasons: see --limit",
    ]


def test_a_list_as_json_names_the_record_of_each_letter() -> None:
    result = listed_json(three(), "replayed", 50)
    assert (result["waiting"], result["replayed"]) == (2, 1)
    assert result["letters"] == [
        {
            "letter": "0:0",
            "time": "2023-11-14T22:13:20.000Z",
            "source": "crm",
            "reason": "no time",
            "state": "replayed",
            "topic": "raw.crm",
            "partition": 3,
            "offset": 0,
        }
    ]


def found(of: ConsumerRecord, *receipts: Receipt) -> Found:
    return Found(letter_of(of).name, letter_of(of), of, receipts)


def test_a_letter_is_shown_with_its_record_and_its_receipts() -> None:
    of = letter(7, b'{\n"a": 1}', key=b"\xff\x00", headers=(("trace", b"t1"),))
    sent = Receipt(letter_of(of).name, letter_of(of).record, "2024-01-01T00:00:00.000Z", "raw.crm/3")
    assert list(shown(found(of, sent))) == [
        "letter 0:7, replayed",
        "  source        crm",
        "  adapter       mapping",
        "  error         no time",
        "  error-type    Rejected",
        "  time          2023-11-14T22:13:20.007Z",
        "  record        raw.crm, partition 3, offset 7",
        "  record time   2023-11-14T22:13:20.000Z",
        "  header trace  t1",
        "  key           hex ff00",
        "  sent back     2024-01-01T00:00:00.000Z to raw.crm/3",
        "  value, 9 bytes:",
        "    {",
        '    "a": 1}',
    ]


def test_bytes_that_are_no_text_are_shown_in_hex_and_a_tombstone_says_so() -> None:
    lines = list(shown(found(letter(0, b"\xffabc" * 5))))
    assert lines[-3] == "  value, 20 bytes that are no UTF-8:"
    assert lines[-2] == "    000000  ff 61 62 63 ff 61 62 63 ff 61 62 63 ff 61 62 63  .abc.abc.abc.abc"
    assert list(shown(found(letter(0, None))))[-1] == "  no value: the record is a tombstone"


def test_a_long_value_is_shown_in_part_also_where_that_cuts_a_character() -> None:
    lines = list(shown(found(letter(0, b"x" + "é".encode() * 4_000))))
    assert lines[-2] == "  value, 8,001 bytes, the first 4,096 (--json has all):"
    assert lines[-1] == "    x" + "é" * 2_047


def test_what_came_from_outside_cannot_steer_the_terminal() -> None:
    assert visible("a\x1b[31m\u202eb\tc") == "a\\x1b[31m\\u202eb\tc"
    hostile = letter(0, b"\x1b]0;owned\x07", reason="\x1b[2J", key=b"\x1b", headers=(("\x1b", b"\x1b"),))
    lines = [*shown(found(hostile)), *listed(ledger(hostile), "all", 50), *summed(ledger(hostile), "all", 50)]
    assert "\x1b" not in "".join(lines)


def test_a_letter_as_json_has_all_bytes() -> None:
    result = shown_json(found(letter(0, b"\xff", key=b"k", headers=(("trace", b"\xfe"),))))
    assert result["record"]["value"] == {"base64": "/w=="}
    assert result["record"]["headers"] == [["trace", {"base64": "/g=="}]]
    assert result["headers"]["error"] == "no time"
    assert "original-trace" not in result["headers"]


def test_a_replay_says_what_it_sent_what_it_passed_over_and_what_stays() -> None:
    kinds = Counter({("crm", "no time", "raw.crm"): 2})
    report = Report(to_send=kinds, sent=kinds, passed_over=1, not_sent=[NotSent(letter_of(letter(5)), "its topic is not there")])
    assert list(replayed(report, dry_run=False)) == [
        "2 letters sent back:",
        "  2  crm  to raw.crm  no time",
        "1 letter passed over, replayed already: --again sends them once more",
        "1 letter can't be sent back:",
        "  0:5  its topic is not there",
    ]
    assert next(replayed(report, dry_run=True)) == "2 letters would be sent back:"
    assert replayed_json(report, dry_run=False)["by"] == [{"source": "crm", "reason": "no time", "topic": "raw.crm", "letters": 2}]


def test_a_replay_of_nothing_says_what_there_is() -> None:
    assert list(replayed(Report(sources={"crm": 3}), dry_run=False)) == [
        "nothing sent back",
        "no dead letter is like that; there are 3 of crm",
    ]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "which letters? Name them, or say --source"),
        (["--all", "--source", "crm"], "--all sends every letter: leave it out"),
        (["0:1", "--source", "crm"], "name letters, or choose them by --source"),
        (["0-1"], "'0-1' names no dead letter: write PARTITION:OFFSET"),
        (["--since", "soon"], "'soon' is not a time"),
    ],
)
def test_a_replay_must_say_clearly_what_to_send(words: list[str], reason: str) -> None:
    result = CliRunner().invoke(build_app(), ["dead-letters", "replay", *words])
    assert isinstance(result.exception, SettingsError)
    assert str(result.exception).startswith(reason)


@pytest.mark.parametrize("words", [["list"], ["show", "0:1"], ["replay", "--all"], ["replay", "--all", "--dry-run"]])
def test_a_kafka_that_does_not_answer_is_named(words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "nexus.yaml"
    file.write_text("{kafka: {bootstrap_servers: '127.0.0.1:1', connect_seconds: 0}}", encoding="utf-8")
    result = CliRunner().invoke(build_app(), ["dead-letters", *words, "--config", str(file)])
    assert isinstance(result.exception, KafkaUnavailable)
    assert "127.0.0.1:1" in str(result.exception)
    assert result.stdout == ""
