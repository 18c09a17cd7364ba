from __future__ import annotations

import pytest

from streams.commands import refused


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'{"command_id": "c1", "command": "block"}', "command 'block' is not available in this version"),
        (b'{"command": "explode"}', "'explode' is not a command; there are block, unblock, forbid, permit, link, unlink, erase"),
        (b'{"command": 7}', "the record is not a command: it must be a JSON object whose `command` is a word"),
        (b"[]", "the record is not a command: it must be a JSON object whose `command` is a word"),
        (None, "the record has no value; a command is a JSON object with command_id, command and identifiers"),
    ],
)
def test_every_command_is_refused_with_its_own_reason(value: bytes | None, reason: str) -> None:
    assert str(refused(value)) == reason


def test_what_is_not_json_is_refused_with_the_place_of_the_mistake() -> None:
    assert str(refused(b"{block")).startswith("the record is not a command: ")
