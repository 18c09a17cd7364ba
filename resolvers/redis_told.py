"""Rows of what the compacted topics hold, for the script that takes it as what was told last.

Neighbours: `told` reads the documents; `redis_graph` sends the rows to `lua/retell.lua`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from resolvers.entity import Fact
from resolvers.hiding import told_digest
from resolvers.identifier import Identifier, founder_of
from resolvers.instant import hour_of, read_instant
from resolvers.port import ToldRecord
from resolvers.redis_rows import BIAS_HOURS, BIAS_MS, pack
from resolvers.rules import Rules
from resolvers.told import comparable, told_entity, told_membership
from resolvers.told_states import pack_states


def told_row(rules: Rules, record: ToldRecord) -> list[Any]:
    """Write the row of one record. What is compared with the graph stands last, and is empty where that is no use."""
    match record.topic:
        case "entities":
            return [*_entity(rules, record), _compared(_said_of_entity, rules, record)]
        case "identifiers":
            digest = told_digest(rules, Identifier(*record.key.split(":", 2)))
            return ["i", digest, int(record.document is not None), record.key, _compared(_said_of_identifier, rules, record)]
        case _:
            person, group = record.key.split(":")
            view = told_membership(record.document)
            fold = b""
            if view:  # when it began is told nowhere
                fold = pack([_fact(view.latest), int(view.ended), _fact(view.active) if view.active else False, False, 0, 0])
            said = _compared(_said_of_membership, rules, record)
            return ["m", founder_of(person) + founder_of(group), fold, record.key, said]


def _compared(said: Callable[[Rules, dict[str, Any]], list[Any]], rules: Rules, record: ToldRecord) -> list[Any]:
    """Write what a document says beside its key; nothing where it can't be compared."""
    if record.document is None or not comparable(rules, record):
        return []
    try:
        return said(rules, record.document)
    except (AttributeError, KeyError, TypeError, ValueError):
        return []


def _said_of_identifier(rules: Rules, document: dict[str, Any]) -> list[Any]:
    named = document["entity_id"]
    if document["status"] != "active" or not named.startswith(rules.prefix(document["entity_type"]) + "_"):
        return []
    return [*_times(document), founder_of(named)]


def _said_of_entity(_: Rules, document: dict[str, Any]) -> list[Any]:
    if document["status"] == "merged":
        return [founder_of(document["merged_into"])]
    return [*_times(document), [part for one in document["identifiers"] for part in _times(one)]]


def _said_of_membership(_: Rules, document: dict[str, Any]) -> list[Any]:
    until = document["until"]
    ended = 0 if until is None else _instant(until) + BIAS_MS
    last = hour_of(_instant(document["last_seen"])) + BIAS_HOURS
    return [_instant(document["since"]) + BIAS_MS, ended, last, document["source"], document["role"] or ""]


def _times(document: dict[str, Any]) -> tuple[int, int]:
    """Read the first time, and the hour of the last, as they lie in Redis."""
    return _instant(document["first_seen"]) + BIAS_MS, hour_of(_instant(document["last_seen"])) + BIAS_HOURS


_instant = lru_cache(maxsize=100_000)(read_instant)


def _entity(rules: Rules, record: ToldRecord) -> list[Any]:
    digest, view = founder_of(record.key), told_entity(rules, record.document)
    if view is not None:
        traits = pack({name: _fact(fact) for name, fact in view.traits.items()})
        return [
            "e",
            digest,
            "active",
            [seen.digest for seen in view.identifiers],
            traits,
            b"",
            record.key,
            pack_states(view) if view.states else b"",
        ]
    document = record.document or {}
    if (status := document.get("status")) in {"split", "erased"}:
        return ["e", digest, status, [], b"", b"", record.key, b""]
    if document.get("status") == "merged":
        return ["e", digest, "merged", [], b"", founder_of(document["merged_into"]), record.key, b""]
    return ["e", digest, "", [], b"", b"", record.key, b""]


def _fact(fact: Fact) -> list[Any]:
    return [fact.occurred_at + BIAS_MS, fact.source, fact.event_id, fact.value]
