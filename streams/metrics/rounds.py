"""Rounds, counted: what a round tells of merges, splits and the largest entity.

Invariant: what is counted is what readers of the topics are told; a merge once, on the survivor. Neighbours: `publish` has the rounds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from resolvers.port import Round
from streams.counters import Counters


def count_round(counters: Counters, taken: Round) -> None:
    """Count a round that was told, each number once for the whole of it."""
    again = "yes" if taken.recovery else "no"
    counters.add("rounds_told")
    if not taken.records:
        return
    counters.observe("round_records", value=len(taken.records))
    for topic, count in Counter(record.topic for record in taken.records).items():
        counters.add("records_told", topic, count=count)
    told: Counter[tuple[str, ...]] = Counter()
    for record in taken.records:
        if record.value is None:
            continue
        if record.topic == "timeline":
            told[_counted(record.value)] += 1
        elif record.topic == "entities" and "identifier_count" in record.value:
            counters.peak("largest_entity_identifiers", str(record.value.get("entity_type")), value=record.value["identifier_count"])
    for name, count in told.items():
        if name:
            counters.add(*name, again, count=count)


def _counted(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Give under what a change of the timeline is counted, nothing for most."""
    data = record.get("data", {})
    match record.get("kind"):
        case "entity.created":
            return ("entities_created",)
        case "entity.merged" if "absorbed_id" in data:
            return ("merges",)
        case "entity.split":
            return ("splits",)
        case "merge.refused":
            return ("merges_refused", str(data.get("guard")))
        case _:
            return ()
