"""What Redis refuses for good, in words."""

from __future__ import annotations

import pytest
from redis.exceptions import NoPermissionError, OutOfMemoryError, ResponseError

from resolvers.redis_refusals import forbidden, passing

TOLD = "does not allow what is needed: {}; `nexus doctor` names every right that is missing, docs/how-to/secure.md has them all"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NoPermissionError("User n has no permissions to run the 'zadd' command"), "User n has no permissions to run the 'zadd' command"),
        (
            ResponseError("ACL failure in script: User n has no permissions to run the 'zadd' command script: 1a2b, on @user_script:2."),
            "User n has no permissions to run the 'zadd' command",
        ),
        (
            ResponseError("ERR The user executing the script can't run this command or subcommand script: 1a2b, on @user_script:2."),
            "The user executing the script can't run this command or subcommand",
        ),
        (ResponseError("ACL failure in script: No permissions to access a key script: 1a, on @x."), "No permissions to access a key"),
    ],
)
def test_a_right_that_is_missing_is_named(error: ResponseError, said: str) -> None:
    assert forbidden(error) == TOLD.format(said)
    assert not passing(error)


@pytest.mark.parametrize("error", [ResponseError("WRONGTYPE Operation"), OutOfMemoryError("OOM command not allowed")])
def test_other_refusals_are_about_no_right(error: ResponseError) -> None:
    assert forbidden(error) is None
