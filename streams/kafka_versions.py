"""Versions of Kafka, as far as a Kafka tells: not by name, but by the calls that it knows.

Neighbours: `kafka_checkup` says it.
"""

from __future__ import annotations

from collections.abc import Mapping

NEEDED = (2, 4)
"""The first Kafka that takes its own replication factor for topics that are made; their setting `max.compaction.lag.ms` is of 2.3."""

TRIED = "4.2"
"""The line that tests run on."""

_PRODUCE, _FETCH, _OFFSETS, _JOIN, _ADD_PARTITIONS, _ACLS, _QUOTAS = 0, 1, 2, 11, 24, 29, 48

_NEWEST = (
    *(((3, 9), _FETCH, 17), ((3, 8), _PRODUCE, 11), ((3, 7), _FETCH, 16), ((3, 6), _ADD_PARTITIONS, 4), ((3, 5), _FETCH, 15)),
    *(((3, 3), _ACLS, 3), ((3, 2), _JOIN, 9), ((3, 1), _FETCH, 13), ((3, 0), _OFFSETS, 7), ((2, 8), _PRODUCE, 9), ((2, 7), _FETCH, 12)),
    *(((2, 6), _QUOTAS, 0), ((2, 5), _ACLS, 2), ((2, 4), _PRODUCE, 8), ((2, 3), _FETCH, 11), ((2, 0), _FETCH, 8), ((1, 0), _FETCH, 6)),
)
"""Which version came with which version of a call, newest first."""

_FIRST_FETCH_OF_4 = 4
"""From 4.0 on, the older ways to fetch are gone."""

Calls = Mapping[int, tuple[int, int]]
"""Least and greatest version of each call, by its number."""


def least_version(calls: Calls) -> tuple[int, int] | None:
    """Give a version that a Kafka has at least; None for one that is older than all that are known."""
    if calls.get(_FETCH, (0, 0))[0] >= _FIRST_FETCH_OF_4:
        return (4, 0)
    return next((version for version, call, number in _NEWEST if call in calls and calls[call][1] >= number), None)
