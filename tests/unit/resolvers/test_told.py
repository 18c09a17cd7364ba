"""What the compacted topics hold, read back: only what nexus can have written."""

from __future__ import annotations

from typing import Any

import pytest

from resolvers.port import ToldRecord
from resolvers.redis_told import told_row
from resolvers.rules import Rules
from resolvers.told import is_ours, told_view

RULES = Rules.from_settings({}, b"key")
A, B = "per_" + "a" * 26, "grp_" + "b" * 25 + "a"
BELONGS = {"person_id": A, "group_id": B, "role": "owner", "since": "2024-05-01T09:00:00.000Z", "until": None, "source": "crm"}


@pytest.mark.parametrize(
    ("topic", "key", "document"),
    [
        ("entities", "not an id", None),
        ("entities", A, {"status": "active"}),
        ("entities", A, {"status": "merged"}),
        ("identifiers", "person:email", {}),
        ("memberships", A, BELONGS),
        ("memberships", f"{A}:{B}:{B}", BELONGS),
        ("memberships", f"{A}:{B}", {"role": "owner"}),
    ],
)
def test_what_nexus_cannot_have_written_is_left_alone(topic: str, key: str, document: dict[str, Any] | None) -> None:
    assert not is_ours(ToldRecord(topic, key, document))


@pytest.mark.parametrize(
    ("topic", "key", "document"),
    [
        ("entities", A, None),
        ("entities", A, {"status": "merged", "merged_into": A}),
        ("identifiers", "person:email:a:b@x.example", {}),
        ("memberships", f"{A}:{B}", BELONGS),
        ("memberships", f"{A}:{B}", None),
    ],
)
def test_what_is_ours_can_be_read_and_written_for_redis(topic: str, key: str, document: dict[str, Any] | None) -> None:
    record = ToldRecord(topic, key, document)
    assert is_ours(record)
    assert told_row(RULES, record)[0] == topic[0]
    assert (told_view(RULES, record) is not None) == (topic == "memberships" and document is not None)
