"""Refusals of Redis: which may pass, so that whoever asked waits and asks again."""

from __future__ import annotations

from redis.exceptions import ClusterDownError, OutOfMemoryError, ReadOnlyError, ResponseError, TryAgainError

_PASSING = ("BUSY", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "READONLY", "TRYAGAIN", "CLUSTERDOWN")


def passing(error: ResponseError) -> bool:
    """Say whether Redis refused for a reason that may pass: full, loading, read-only, busy, failing over."""
    named = isinstance(error, OutOfMemoryError | ReadOnlyError | ClusterDownError | TryAgainError)
    return named or str(error).startswith(_PASSING)


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
