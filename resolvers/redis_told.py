"""Rows of what the compacted topics hold, for the script that takes it as what was told last.

Neighbours: `told` reads the documents; `redis_graph` sends the rows to `lua/retell.lua`.
"""

from __future__ import annotations

from typing import Any

from resolvers.entity import Fact
from resolvers.identifier import Identifier, founder_of, identifier_digest
from resolvers.port import ToldRecord
from resolvers.redis_rows import BIAS_MS, pack
from resolvers.rules import Rules
from resolvers.told import told_entity, told_membership


def told_row(rules: Rules, record: ToldRecord) -> list[Any]:
    """Write the row of one record."""
    match record.topic:
        case "entities":
            return _entity(rules, record)
        case "identifiers":
            digest = identifier_digest(rules.identity_key, Identifier(*record.key.split(":", 2)))
            return ["i", digest, int(record.document is not None), record.key]
        case _:
            person, group = record.key.split(":")
            view = told_membership(record.document)
            fold = pack([_fact(view.latest), int(view.ended), _fact(view.active) if view.active else False]) if view else b""
            return ["m", founder_of(person) + founder_of(group), fold, record.key]


def _entity(rules: Rules, record: ToldRecord) -> list[Any]:
    digest, view = founder_of(record.key), told_entity(rules, record.document)
    if view is not None:
        traits = pack({name: _fact(fact) for name, fact in view.traits.items()})
        return ["e", digest, "active", [seen.digest for seen in view.identifiers], traits, b"", record.key]
    document = record.document or {}
    if document.get("status") == "merged":
        return ["e", digest, "merged", [], b"", founder_of(document["merged_into"]), record.key]
    return ["e", digest, "", [], b"", b"", record.key]


def _fact(fact: Fact) -> list[Any]:
    return [fact.occurred_at + BIAS_MS, fact.source, fact.event_id, fact.value]
