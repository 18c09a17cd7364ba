"""Round order: in which order a round tells what it took, whatever the order in which its keys became dirty.

Invariant: pure; what is told of one entity begins with whether it lives, and who replays it folds each record into what it belongs to.
Neighbours: both resolvers compose records; `streams.publish` numbers them in this order.
"""

from __future__ import annotations

from collections.abc import Iterable

from resolvers.port import OutputRecord

ORDER = ("entity.created", "entity.erased", "entity", "identifier", "trait", "state", "membership", "merge")
"""Kinds of changes, or their first words, in the order in which a round tells them of one entity."""

_PLACES = {kind: place for place, kind in enumerate(ORDER)}


def in_order(records: Iterable[OutputRecord]) -> tuple[OutputRecord, ...]:
    """Put the documents first, then what is told of each entity, in the order in which it first comes; of one kind as it came."""
    documents: list[OutputRecord] = []
    lines: dict[str, list[OutputRecord]] = {}
    for record in records:
        if record.topic == "timeline":
            lines.setdefault(record.key, []).append(record)
        else:
            documents.append(record)
    return (*documents, *(line for of_one in lines.values() for line in sorted(of_one, key=_place)))


def _place(record: OutputRecord) -> int:
    kind = str(record.value["kind"]) if record.value else ""
    return _PLACES[kind] if kind in _PLACES else _PLACES[kind.partition(".")[0]]
