"""Told: what the compacted topics hold, read back into the views that they were written from.

As far as the timeline needs them: what changed is told from the identifiers, traits and memberships of two views, so
times and sources that a document does not say are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from resolvers.entity import EntityView, Fact, MembershipView, Point, SeenIdentifier
from resolvers.hiding import told_digest
from resolvers.identifier import Identifier, founder_of
from resolvers.instant import hour_of, read_instant
from resolvers.port import ToldRecord
from resolvers.rules import Rules
from resolvers.trait_rules import LATEST, OF_VALUE, split

_canonical = msgspec.json.Encoder(order="deterministic").encode

NOWHEN = Fact(0, "", "")


_ENTITY = {"entity_id", "entity_type", "first_seen", "last_seen", "identifiers", "identifier_count", "traits"}
_MEMBERSHIP = {"person_id", "group_id", "role", "since", "until", "source"}


def is_ours(record: ToldRecord) -> bool:
    """Say whether nexus can have written a record; others are left alone."""
    try:
        match record.topic:
            case "entities":
                founder_of(record.key)
            case "identifiers":
                Identifier(*record.key.split(":", 2))
            case _:
                person, group = record.key.split(":")
                founder_of(person), founder_of(group)
    except (TypeError, ValueError):
        return False
    return record.document is None or _needed(record.topic, record.document) <= record.document.keys()


def _needed(topic: str, document: dict[str, Any]) -> set[str]:
    if topic == "entities":
        return {"active": _ENTITY, "merged": {"merged_into"}, "split": {"successors"}}.get(document.get("status", ""), set())
    return _MEMBERSHIP if topic == "memberships" else set()


_COMPARED = {
    "identifiers": {"entity_type", "type", "value", "entity_id", "first_seen", "last_seen", "status"},
    "entities": _ENTITY | {"status", "states"},
    "merged": {"entity_id", "entity_type", "status", "merged_into"},
    "erased": {"entity_id", "entity_type", "status"},
    "memberships": _MEMBERSHIP | {"last_seen"},
}


def comparable(rules: Rules, record: ToldRecord) -> bool:
    """Say whether a document has just what is compared with the graph to find that there is nothing to tell.

    An entity that lists a part of its identifiers, leaves out traits, has states or may have them of others counts as changed.
    Whatever a document says besides must be added here and to every comparison.
    """
    document = record.document
    if document is None:
        return False
    status = str(document.get("status"))
    ended = record.topic == "entities" and status in {"merged", "erased"}
    if document.keys() - {"version"} != _COMPARED[status if ended else record.topic]:
        return False
    if record.topic == "entities" and not ended:
        alone = not document["states"] and not rules.states.looks_around(str(document["entity_type"]))
        return bool(alone and document["identifier_count"] == len(document["identifiers"]))
    return True


def told_view(rules: Rules, record: ToldRecord) -> EntityView | MembershipView | None:
    """Read what a record says of an entity or a membership; None for an identifier, and where nothing lives."""
    match record.topic:
        case "entities":
            return told_entity(rules, record.document)
        case "memberships":
            return told_membership(record.document)
        case _:
            return None


def told_entity(rules: Rules, document: dict[str, Any] | None) -> EntityView | None:
    """Read a living entity's document; None for an id that ended and for a tombstone."""
    if document is None or document.get("status") != "active":
        return None
    seen = tuple(_seen(rules, Identifier(document["entity_type"], one["type"], one["value"])) for one in document["identifiers"])
    traits = dict(_traits(rules, document))
    first, last = read_instant(document["first_seen"]), hour_of(read_instant(document["last_seen"]))
    states: dict[str, tuple[Point, ...]] = {name: () for name, rule in rules.states.of(document["entity_type"]).items() if rule.derivation}
    states |= {name: (Point(read_instant(one["since"]), one["value"]),) for name, one in _states(document)}
    counted = document["identifier_count"]
    return EntityView(document["entity_id"], document["entity_type"], first, last, seen, counted, traits, states, whole=False)


def _traits(rules: Rules, document: dict[str, Any]) -> Iterator[tuple[str, Fact]]:
    """Give the traits that a document says; of one that keeps all values each of them."""
    known = rules.entities.get(document["entity_type"])
    declared = known.traits if known else {}
    for trait, given in document["traits"].items():
        for name, value in split(declared.get(trait, LATEST), trait, given):
            written = _canonical(value)
            yield (name + written.decode() if name.endswith(OF_VALUE) else name), Fact(0, "", "", written)


def _states(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the states that a document says, as far as they are written as ours are."""
    for name, one in (document.get("states") or {}).items():
        if isinstance(one, dict) and {"value", "since"} <= one.keys():
            yield name, one


def _seen(rules: Rules, identifier: Identifier) -> SeenIdentifier:
    return SeenIdentifier(identifier, told_digest(rules, identifier), 0, 0, NOWHEN)


def told_membership(document: dict[str, Any] | None) -> MembershipView | None:
    """Read a membership's document; None for a tombstone."""
    if document is None:
        return None
    role, ended = (document["role"] or "").encode(), document["until"] is not None
    active = Fact(read_instant(document["since"]), document["source"], "", role)
    latest = Fact(read_instant(document["until"]), document["source"], "", role) if ended else active
    return MembershipView(document["person_id"], document["group_id"], latest, ended, active)
