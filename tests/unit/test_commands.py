from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from resolvers.correction import Correction, Kind
from resolvers.erasure import Erasure
from resolvers.errors import Rejected
from streams.command import Command, Named, read_command, write_command
from tests.histories import RULES

WRITTEN = 1_714_557_600_000
"""2024-05-01T10:00:00Z."""


def command(word: str = "block", *identifiers: Mapping[str, str | None], **fields: object) -> bytes:
    named: list[Any] = list(identifiers) or [{"type": "email", "value": "Ann@X.example"}]
    return orjson.dumps({"command_id": "c1", "command": word, "identifiers": named, "issued_at": "2024-05-01T09:00:00.000Z", **fields})


def read(value: bytes | None, written_ms: int) -> Correction:
    found = read_command(RULES, value, written_ms)
    assert isinstance(found, Correction)
    return found


U1, U2, DOMAIN = ({"type": "user_id", "value": "u1"}, {"type": "user_id", "value": "u2"}, {"type": "domain", "value": "x.example"})


def test_a_command_names_its_subject_by_normalised_identifiers() -> None:
    found = read(command(), WRITTEN)
    assert (found.kind, found.holds, found.issued_at) == (Kind.BLOCK, True, WRITTEN - 3_600_000)
    assert str(found.identifiers[0].identifier) == "person:email:ann@x.example"


def test_a_pair_has_no_order() -> None:
    one, other = (read(command("forbid", *pair), WRITTEN) for pair in ((U1, U2), (U2, U1)))
    assert one.subject == other.subject
    assert read(command("permit", U2, U1), WRITTEN).subject == one.subject
    assert read(command("link", U2, U1), WRITTEN).subject != one.subject


def test_a_command_that_was_written_is_read() -> None:
    written = write_command(
        Command(command_id="c1", command="block", identifiers=[Named("email", "a@x")], issued_at="2024-05-01T09:00:00Z")
    )
    assert read(written, WRITTEN).command_id == "c1"


def test_what_is_null_is_absent() -> None:
    named = {"type": "email", "value": "a@x", "entity_type": None, "digest": None}
    found = read(command("block", named, actor=None, reason=None, cutoff=None), WRITTEN)
    assert str(found.identifiers[0].identifier) == "person:email:a@x"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "the record has no value; a command is a JSON object with command_id, command, identifiers and issued_at"),
        (b"{block", "the record is not a command: JSON is malformed: "),
        (b"[]", "the record is not a command: Expected `object`, got `array`"),
        (command(command=7), "the record is not a command: Expected `str`, got `int` - at `$.command`"),
        (command("explode"), "'explode' is not a command; there are block, unblock, forbid, permit, link, unlink, erase"),
        (command(command_id=None), "the record is not a command: Object missing required field `command_id`"),
        (command(identifiers=[None]), "the record is not a command: Expected `object`, got `null` - at `$.identifiers[0]`"),
        (command(command_id=""), "a command needs a command_id of at most 1,000 characters"),
        (command("block", U1, U2), "block names one identifier, not 2"),
        (command("forbid", U1), "forbid names two identifiers, not 1"),
        (command("forbid", U1, U1), "forbid names the same identifier twice"),
        (command("link", U1, DOMAIN), "link names identifiers of two entity types; only those of one can be one entity"),
        (command("block", {"type": "shoe_size", "value": "43"}), "'shoe_size' is no identifier type of the settings"),
        (command("block", {"type": "email", "value": "x", "entity_type": "group"}), "'group:email' is no identifier type of the settings"),
        (command("block", {"type": "email", "value": "null"}), "an identifier of type email connects nothing as it is"),
        (command(issued_at="yesterday"), "issued_at 'yesterday' is not an RFC 3339 time"),
        (command(issued_at="2024-05-02T10:00:00.001Z"), "issued_at 2024-05-02T10:00:00.001Z is more than a day after it was written"),
    ],
)
def test_what_is_no_command_is_rejected_with_its_reason(value: Any, reason: str) -> None:
    with pytest.raises(Rejected) as rejected:
        read(value, WRITTEN)
    assert str(rejected.value).startswith(reason)


DIGEST = "10e02186b9e2359108173d4f9d53a71e"
EIGHT = "2024-05-01T08:00:00Z"
COVERED = {"entity_type": "person", "type": "email", "digest": DIGEST}


def test_an_erasure_names_digests_and_a_cutoff() -> None:
    found = read_command(RULES, command("erase", COVERED, COVERED, cutoff=EIGHT), WRITTEN)
    assert isinstance(found, Erasure)
    assert (found.cutoff, [one.digest.hex() for one in found.covered]) == (WRITTEN - 2 * 3_600_000, [DIGEST])
    assert str(found.covered[0].identifier) == "person:email:"


def test_any_command_may_name_a_digest() -> None:
    found = read(command("block", COVERED), WRITTEN)
    assert [(one.digest.hex(), one.priority) for one in found.identifiers] == [(DIGEST, 2)]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (command("erase", COVERED), "cutoff '' is not an RFC 3339 time: "),
        (command("erase", COVERED, cutoff="2024-05-03T00:00:00Z"), "cutoff 2024-05-03T00:00:00Z is more than a day after it was written"),
        (
            command("erase", U1, cutoff=EIGHT),
            "erase names identifiers by their digests, so that no value lies on the topic",
        ),
        (command("erase", COVERED | {"value": "x"}, cutoff=EIGHT), "erase names identifiers by their digests"),
        (
            command("erase", COVERED | {"digest": "10E0"}, cutoff=EIGHT),
            "an identifier is named by its value, or by its digest",
        ),
        (command("erase", *[COVERED] * 501, cutoff=EIGHT), "erase names between one and 500 identifiers, not 501"),
        (
            command("erase", COVERED | {"type": "shoe"}, cutoff=EIGHT),
            "'person:shoe' is no identifier type of the settings",
        ),
    ],
)
def test_an_erasure_that_could_not_be_taken_in_is_rejected(value: bytes, reason: str) -> None:
    with pytest.raises(Rejected) as rejected:
        read_command(RULES, value, WRITTEN)
    assert str(rejected.value).startswith(reason)
