"""Shards: which partition of the output topics, and so which publisher, an output key belongs to."""

from __future__ import annotations


def shard_of(digest: bytes, shards: int) -> int:
    """Give the shard of an output key by the digest it is named after.

    An entity's is its founder's, an identifier's its own, a membership's its person's founder's.
    """
    return int.from_bytes(digest[:4], "big") % shards
