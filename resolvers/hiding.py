"""Hiding: values of identifiers that leave as keyed digests, where the settings say so of their type.

The digest is that of the identifier's first generation, so the same value is the same digest in every space with this identity key.
Invariant: pure; what is hidden once is not hidden again. Neighbours: the publisher hides what a round tells; `told` reads it back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from resolvers.identifier import DIGEST_BYTES, Identifier, identifier_digest
from resolvers.port import OutputRecord
from resolvers.rules import Rules

Hide = Callable[[OutputRecord], OutputRecord]


def hiding(rules: Rules) -> Hide | None:
    """Give what hides the values in a record that is told; None where nothing is to be hidden."""
    if not rules.hashed:
        return None
    return lambda record: _hidden(rules, record)


def told_digest(rules: Rules, identifier: Identifier) -> bytes:
    """Give the digest of an identifier as a topic names it, by its value or by that very digest."""
    if (identifier.entity_type, identifier.type) in rules.hashed and len(identifier.value) == 2 * DIGEST_BYTES:
        try:
            return bytes.fromhex(identifier.value)
        except ValueError:
            pass
    return identifier_digest(rules.identity_key, identifier)


def _hidden(rules: Rules, record: OutputRecord) -> OutputRecord:
    document = record.value
    match record.topic:
        case "identifiers" if not record.as_told:
            identifier = Identifier(*record.key.split(":", 2))
            value = _value(rules, identifier.entity_type, identifier.type, identifier.value)
            shown = document and {**document, "value": value}
            return replace(record, key=str(replace(identifier, value=value)), value=shown)
        case "entities" if document and "identifiers" in document:
            named = [_named(rules, document["entity_type"], one) for one in document["identifiers"]]
            return replace(record, value={**document, "identifiers": named})
        case "timeline" if document:
            return replace(record, value={**document, "data": _data(rules, document["entity_type"], document["kind"], document["data"])})
        case _:
            return record


def _data(rules: Rules, entity_type: str, kind: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    if kind.startswith("identifier."):
        return _named(rules, entity_type, data)
    hidden = {name: [_named(rules, entity_type, one) for one in data[name]] for name in ("link", "identifiers") if name in data}
    if "founder" in data:
        hidden["founder"] = _named(rules, entity_type, data["founder"])  # type: ignore[assignment]
    return {**data, **hidden} if kind.startswith(("entity.", "merge.")) else data


def _named(rules: Rules, entity_type: str, named: Mapping[str, Any]) -> dict[str, Any]:
    return {**named, "value": _value(rules, entity_type, named["type"], named["value"])}


def _value(rules: Rules, entity_type: str, kind: str, value: str) -> str:
    if (entity_type, kind) not in rules.hashed:
        return value
    return identifier_digest(rules.identity_key, Identifier(entity_type, kind, value)).hex()
