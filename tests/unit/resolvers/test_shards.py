"""Shards: spread by the digest, the same for ever."""

from __future__ import annotations

from collections import Counter

from resolvers.identifier import Identifier, identifier_digest
from resolvers.shards import shard_of


def test_the_first_four_bytes_decide() -> None:
    assert [shard_of(first.to_bytes(4, "big") + b"x" * 12, 6) for first in (0, 5, 6, 2**32 - 1)] == [0, 5, 0, 3]


def test_digests_are_spread_evenly() -> None:
    found = Counter(shard_of(identifier_digest(b"k", Identifier("person", "device", str(n))), 6) for n in range(6_000))
    assert sorted(found) == list(range(6))
    assert all(850 < count < 1150 for count in found.values())
