"""Refusals of Redis: which may pass, so that whoever asked waits and asks again."""

from __future__ import annotations

from redis.exceptions import ClusterDownError, OutOfMemoryError, ReadOnlyError, ResponseError, TryAgainError

_PASSING = ("BUSY", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "READONLY", "TRYAGAIN", "CLUSTERDOWN")


def passing(error: ResponseError) -> bool:
    """Say whether Redis refused for a reason that may pass: full, loading, read-only, busy, failing over."""
    named = isinstance(error, OutOfMemoryError | ReadOnlyError | ClusterDownError | TryAgainError)
    return named or str(error).startswith(_PASSING)
