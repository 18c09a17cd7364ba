"""Birth: what a space in Redis is made with, once and for all.

Invariant: everything that must be equal for a worker to go on with a space is named here, and nowhere else. Neighbours: `redis_graph` makes
spaces and refuses others; `nexus doctor` says beforehand what would be refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from resolvers.identifier import Identifier, identifier_digest
from resolvers.rules import Rules

FORMAT = 6
"""The version of the layout in Redis."""

ADVICE = {
    "format": "the space was made by another version of nexus-streams; rebuild it into a new space",
    "buckets": "redis.buckets is fixed when a space is born; set it back or rebuild into a new space",
    "shards": "partitions is fixed when a space is born; set it back or rebuild into a new space",
    "rules": "the rules of who is who have changed, by the settings or by how this version and its libraries normalise values; "
    "`nexus rebuild` into a new space and `nexus promote` that, or go back to the settings and the version that made this one",
    "carries": "the states have changed; rebuild into a new space, or set them back",
    "identity_key": "identity_key is fixed when a space is born; set it back or rebuild into a new space",
}
"""What to do where a space was made with another value, by its name in Redis."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A space was made with another value than the settings make. None where the space has no such value."""

    name: str
    stored: str | None
    expected: str

    def __str__(self) -> str:
        """Say what differs, and what to do."""
        return f"{self.name} {self.stored}, these settings make {self.expected}: {ADVICE[self.name]}"


def fixed_at_birth(rules: Rules, shards: int, buckets: int) -> dict[str, str]:
    """Give what a space of these rules is made with, by its names in Redis. `identity_key` is told by a digest."""
    return {
        "format": str(FORMAT),
        "buckets": str(buckets),
        "shards": str(shards),
        "rules": rules.fingerprint,
        "identity_key": identifier_digest(rules.identity_key, Identifier("", "", "")).hex(),
        **({"carries": "1"} if rules.states.carried else {}),
    }


def differences(stored: Mapping[str, str], fixed: Mapping[str, str]) -> list[Difference]:
    """Name what a stored space was made with otherwise; a worker starts where there is nothing."""
    return [Difference(name, stored.get(name), value) for name, value in fixed.items() if stored.get(name) != value]
