"""Refusals of Redis: which may pass, so that whoever asked waits and asks again, and which a missing right explains."""

from __future__ import annotations

import re

from redis.exceptions import ClusterDownError, NoPermissionError, OutOfMemoryError, ReadOnlyError, ResponseError, TryAgainError

_PASSING = ("BUSY", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "READONLY", "TRYAGAIN", "CLUSTERDOWN")


def passing(error: ResponseError) -> bool:
    """Say whether Redis refused for a reason that may pass: full, loading, read-only, busy, failing over."""
    named = isinstance(error, OutOfMemoryError | ReadOnlyError | ClusterDownError | TryAgainError)
    return named or str(error).startswith(_PASSING)


_DENIALS = ("NOPERM", "ACL failure in script", "The user executing the script can't")
"""How servers say that a user lacks a right, asked directly or by a script."""


_AROUND = re.compile(r"^(ERR |NOPERM )*(ACL failure in script: )?| script(: .*)?$")
"""What servers say around it, of the script in which it happened."""


def forbidden(error: Exception) -> str | None:
    """Say in words which right a user lacks, where Redis refused for that; None for any other error. Trying again cannot help."""
    said = str(error)
    if not isinstance(error, NoPermissionError) and not any(one in said for one in _DENIALS):
        return None
    said = _AROUND.sub("", said)
    return f"does not allow what is needed: {said}; `nexus doctor` names every right that is missing, docs/how-to/secure.md has them all"
