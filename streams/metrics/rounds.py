"""Rounds, counted: what a round tells of merges, splits and the largest entity.

Invariant: what is counted is what readers of the topics are told; a merge once, on the survivor. Neighbours: `publish` has the rounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from resolvers.port import Round
from streams.counters import Counters


def count_round(counters: Counters, taken: Round) -> None:
    """Count a round that was told, each number once for the whole of it. Takes some hundred nanoseconds for a record."""
    counters.add("rounds_told")
    if not taken.records:
        return
    counters.observe("round_records", value=len(taken.records))
    topics: dict[str, int] = {}
    changes: list[Mapping[str, Any]] = []
    largest: dict[str, int] = {}
    for record in taken.records:
        topic, value = record.topic, record.value
        topics[topic] = topics.get(topic, 0) + 1
        if value is None:
            continue
        if topic == "timeline":
            if value.get("kind") in _COUNTED:
                changes.append(value)
        elif topic == "entities":
            count = value.get("identifier_count", 0)
            if count > largest.get(value["entity_type"], 0):
                largest[value["entity_type"]] = count
    for topic, number in topics.items():
        counters.add("records_told", topic, count=number)
    for entity, count in largest.items():
        counters.peak("largest_entity_identifiers", entity, value=count)
    _count_changes(counters, changes, "yes" if taken.recovery else "no")


def _count_changes(counters: Counters, changes: Sequence[Mapping[str, Any]], again: str) -> None:
    for change in changes:
        match change["kind"]:
            case "entity.created":
                counters.add("entities_created", again)
            case "entity.merged" if "absorbed_id" in change["data"]:
                counters.add("merges", again)
            case "entity.split":
                counters.add("splits", again)
            case "merge.refused":
                counters.add("merges_refused", change["data"]["guard"], again)


_COUNTED = {"entity.created", "entity.merged", "entity.split", "merge.refused"}
