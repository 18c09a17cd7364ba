"""Every error that this project raises on purpose.

    NexusError
    |-- SettingsError          the settings file or the environment is wrong: fix it and start again
    |-- Retryable              something outside failed: the same call may succeed later
    |   |-- KafkaUnavailable
    |   `-- RedisUnavailable
    |       `-- RedisRefuses   it answers, and takes nothing for now: full, loading, read-only, failing over
    |-- Poison                 this record is bad and will be bad next time
    |   `-- Rejected           an adapter's word: the record gives no event, with the reason
    |-- PositionGap            a batch does not continue from the stored position; nothing was written
    |-- LogTruncated           the event log no longer reaches back to a stored position
    |-- Fenced                 another worker has taken over what this one was doing
    |-- StoreLost              Redis is empty, replaced or older than it was: what it lost is replayed
    |-- StoreMismatch          the space in Redis was made with other settings or another format
    `-- StackError             the local Kafka or Redis could not be started or stopped

A message says what failed, which one, and what to do about it. Errors are always chained to their cause.
"""

from __future__ import annotations

from enum import Enum


class NexusError(Exception):
    """The root of every error raised on purpose."""


class SettingsError(NexusError):
    """A setting is missing, unknown or not allowed; the message names the key, the value and what is allowed."""


class Retryable(NexusError):  # noqa: N818 - a branch of the tree, named for what the caller may do
    """Something outside failed; the same call may succeed later."""


class KafkaUnavailable(Retryable):
    """Kafka did not answer; the message names its address."""


class RedisUnavailable(Retryable):
    """Redis did not answer or refuses writes for now; the message names its address."""


class RedisRefuses(RedisUnavailable):
    """Redis answers, and takes nothing for now: it is full, loading, read-only or failing over. It is waited for as long as that lasts."""


class Poison(NexusError):  # noqa: N818
    """One record is bad; trying again cannot help."""


class Why(Enum):
    """The class of the reason for which a record goes to the dead letters: a closed set, to be counted by, that quotes nothing."""

    MALFORMED = "malformed"
    """Its bytes are not what they should be: no JSON, no object, no event."""

    TIME = "time"
    """Its time can't be read, or lies outside the window."""

    TOO_LARGE = "too_large"
    """It has more of something than is read."""

    INVALID = "invalid"
    """It says something else that makes no event or command."""

    FAILURE = "failure"
    """Code failed on it for a reason that nobody foresaw."""


class Rejected(Poison):
    """A source record gives no event; `str(error)` is a reason that a person can act on, and may quote the record: it is never logged."""

    def __init__(self, reason: str, why: Why = Why.INVALID) -> None:
        super().__init__(reason)
        self.why = why


def why(error: Exception) -> Why:
    """Give the class of an error's reason."""
    return error.why if isinstance(error, Rejected) else Why.FAILURE


class PositionGap(NexusError):  # noqa: N818
    """A batch does not start where the partition's applied evidence ends; nothing was written."""

    def __init__(self, partition: int, expected: int, got: int) -> None:
        said = f"a batch starts at {got}, but Redis has applied up to {expected}"
        if expected == got:
            said = f"what was applied from {got} on is not what Redis has"
        super().__init__(f"partition {partition}: {said}")
        self.partition = partition
        self.expected = expected
        self.got = got


class LogTruncated(NexusError):  # noqa: N818
    """The event log no longer reaches back to a position that is still needed."""


class Fenced(NexusError):  # noqa: N818
    """Another worker has taken over a partition or a shard; this one must stop touching it."""


class StoreLost(NexusError):  # noqa: N818
    """Redis is empty, was replaced, or has gone back in time; nothing was written, and whoever asked must start over."""


class StoreMismatch(NexusError):  # noqa: N818
    """The space in Redis was made with other rules, another identity key or another format."""


class StackError(NexusError):
    """The local stack could not be brought up or down; the message names the part, the reason and the way out."""
