"""A small story that the tests of the verification share: Ann with two addresses, Bob, and where they work."""

from __future__ import annotations

from streams.settings import Settings
from streams.verify.expected import Expected
from streams.verify.recompute import recompute
from tests.unit.verify.pipeline import event, group, person

SETTINGS = Settings(partitions=2)

EVENTS = [
    event(1, "2024-03-01T10:00:00.000Z", person("user_id:ann", "email:Ann@old.example", name="Ann"), group("domain:www.old.example")),
    event(
        2,
        "2024-05-01T12:30:00.000Z",
        person("user_id:ann", "email:ann@new.example", role="author", name="Ann B."),
        group("domain:new.example"),
        memberships=[{"member": 0, "group": 1, "role": "owner"}],
    ),
    event(
        3,
        "2024-04-01T08:00:00.000Z",
        person("email:bob@new.example", plan="free"),
        group("domain:new.example"),
        memberships=[{"member": 0, "group": 1, "role": "user"}],
    ),
    event(4, "2024-06-01T08:00:00.000Z", person("user_id:null"), person("shoe_size:9")),
]


def story() -> Expected:
    return recompute(EVENTS, SETTINGS)


def id_of(expected: Expected, key: str) -> str:
    """Give the id of the entity that an identifier belongs to."""
    number = next(number for number, name in enumerate(expected.identifiers) if name.key == key)
    return expected.ids[expected.seen[number].founder]
