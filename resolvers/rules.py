"""The rules of one space: which identifiers there are, how strong, how they are normalised, what may not connect.

Invariant: rules are values; the same rules and identity key give the same digests, ids and links everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

from resolvers.blocked import DEFAULT_JUNK, BlockedValues
from resolvers.golden import made_of_golden
from resolvers.identifier import Identifier, identifier_digest
from resolvers.normalise import Normaliser, normaliser
from resolvers.sighting import Usable
from resolvers.state_rules import NO_STATES, StateDeclaration, States, meaning
from resolvers.trait_rules import Keep, TraitRule

DEFAULT_SIZE = 1_000
MOST_CHARACTERS = 512
"""A longer value is no identifier: nothing that names a person or a company is that long, and a document lists many."""

_CACHE_ENTRIES = 200_000


class HubDeclaration(Protocol):
    """An identifier seen with more than `over` values of type `of` connects nothing."""

    @property
    def of(self) -> str: ...
    @property
    def over(self) -> int: ...


class IdentifierDeclaration(Protocol):
    """What the settings say of one identifier type; every part may be left out (None)."""

    @property
    def priority(self) -> int | None: ...
    @property
    def normalise(self) -> str | None: ...
    @property
    def region(self) -> str | None: ...
    @property
    def limit(self) -> int | None: ...
    @property
    def hub(self) -> HubDeclaration | None: ...
    @property
    def blocked(self) -> Sequence[str]: ...
    @property
    def hashed(self) -> bool: ...


class TraitDeclaration(Protocol):
    """Which value of a trait counts, and for `source` the sources that count more, the best first."""

    @property
    def keep(self) -> str: ...
    @property
    def sources(self) -> Sequence[str]: ...


class EntityDeclaration(Protocol):
    """What the settings say of one entity type."""

    @property
    def prefix(self) -> str | None: ...
    @property
    def identifiers(self) -> Mapping[str, IdentifierDeclaration]: ...
    @property
    def blocked(self) -> Sequence[str]: ...
    @property
    def size(self) -> int: ...
    @property
    def traits(self) -> Mapping[str, TraitDeclaration]: ...


@dataclass(frozen=True, slots=True)
class IdentifierRule:
    """The rule of one identifier type. `priority` 1 is the strongest."""

    type: str
    priority: int
    normalise: Normaliser
    blocked: BlockedValues
    limit: int | None = None
    hub: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class EntityRule:
    """The rule of one entity type. `size` is the most identifiers that one entity may have."""

    entity_type: str
    prefix: str
    identifiers: Mapping[str, IdentifierRule]
    size: int = DEFAULT_SIZE
    traits: Mapping[str, TraitRule] = field(default_factory=dict)


def default_prefix(entity_type: str) -> str:
    """Give the id prefix of an entity type that declares none."""
    return {"person": "per", "group": "grp"}.get(entity_type, entity_type[:3])


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of a space, with the key of its digests. Keeps a bounded cache of values it has seen."""

    entities: Mapping[str, EntityRule]
    identity_key: bytes
    fingerprint: str
    states: States = NO_STATES
    hashed: frozenset[tuple[str, str]] = frozenset()
    """(entity type, identifier type) of those whose values leave as keyed digests."""

    _seen: dict[tuple[str, str, str], Usable | None] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_settings(
        cls, entities: Mapping[str, EntityDeclaration], identity_key: bytes, states: Sequence[StateDeclaration] = ()
    ) -> Rules:
        """Make rules of the settings' declarations. Raises KeyError or ValueError for what a settings check refuses."""
        rules = {name: _entity_rule(name, declared) for name, declared in entities.items()}
        hashed = frozenset((name, kind) for name, entity in entities.items() for kind, one in entity.identifiers.items() if one.hashed)
        return cls(rules, identity_key, _fingerprint(entities, rules, states), States.declared(states), hashed)

    def usable(self, entity_type: str, identifier_type: str, raw: str) -> Usable | None:
        """Normalise a value, or give None when it is undeclared, blank, too long or blocked and so connects nothing."""
        asked = (entity_type, identifier_type, raw)
        try:
            return self._seen[asked]
        except KeyError:
            if len(self._seen) >= _CACHE_ENTRIES:
                self._seen.clear()
            found = self._seen[asked] = self._judge(entity_type, identifier_type, raw)
            return found

    def prefix(self, entity_type: str) -> str:
        """Give the id prefix of an entity type, declared or not."""
        rule = self.entities.get(entity_type)
        return rule.prefix if rule else default_prefix(entity_type)

    def _judge(self, entity_type: str, identifier_type: str, raw: str) -> Usable | None:
        entity = self.entities.get(entity_type)
        rule = entity.identifiers.get(identifier_type) if entity else None
        if rule is None or not raw.strip():
            return None
        value = rule.normalise(raw)
        if not value or len(value) > MOST_CHARACTERS or rule.blocked.blocks(raw, value):
            return None
        identifier = Identifier(entity_type, identifier_type, value)
        return Usable(identifier, identifier_digest(self.identity_key, identifier), rule.priority)


def _entity_rule(name: str, declared: EntityDeclaration) -> EntityRule:
    strongest = _by_strength(declared.identifiers)
    rules = {}
    for position, (kind, one) in enumerate(strongest, start=1):
        hub = (one.hub.of, one.hub.over) if one.hub else ((strongest[0][0], 5) if position > 1 else None)
        blocked = BlockedValues.of((*DEFAULT_JUNK, *declared.blocked, *one.blocked))
        rules[kind] = IdentifierRule(kind, one.priority or position, normaliser(one.normalise, one.region), blocked, one.limit, hub)
    return EntityRule(name, declared.prefix or default_prefix(name), rules, declared.size, _trait_rules(declared))


def _trait_rules(declared: EntityDeclaration) -> dict[str, TraitRule]:
    return {name: TraitRule(Keep(one.keep), tuple(one.sources)) for name, one in declared.traits.items()}


def _by_strength(declared: Mapping[str, IdentifierDeclaration]) -> list[tuple[str, IdentifierDeclaration]]:
    """Order types strongest first: by priority where it is given, else by the order of declaration."""
    order = enumerate(declared.items(), start=1)
    return [item for _, _, item in sorted(((one.priority or at, at, (kind, one)) for at, (kind, one) in order), key=lambda row: row[:2])]


def _fingerprint(entities: Mapping[str, EntityDeclaration], rules: Mapping[str, EntityRule], states: Sequence[StateDeclaration]) -> str:
    """Digest what decides who is who, and in which states, in a form that is the same for the same meaning.

    Beside the settings that is what this version brings along: what is blocked everywhere, and what the normalisers in use make of values.
    """
    told: dict[str, object] = {
        name: {
            "prefix": rule.prefix,
            "size": rule.size,
            "blocked": sorted(entities[name].blocked),
            "identifiers": {kind: _told(one, entities[name].identifiers[kind]) for kind, one in rule.identifiers.items()},
            **({"traits": {trait: [one.keep, *one.sources] for trait, one in rule.traits.items()}} if rule.traits else {}),
        }
        for name, rule in rules.items()
    }
    told = {"entities": told, "junk": sorted(DEFAULT_JUNK), "longest": MOST_CHARACTERS, "normalised": _normalised(entities)}
    if states:
        told["states"] = sorted(map(meaning, states), key=json.dumps)
    return blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=8).hexdigest()


def _normalised(entities: Mapping[str, EntityDeclaration]) -> dict[str, list[str]]:
    """Tell what becomes of golden values, so that a library which takes values otherwise makes other rules."""
    used = {(one.normalise or "exact", one.region) for entity in entities.values() for one in entity.identifiers.values()}
    return {f"{name} {region or ''}": made_of_golden(name, region) for name, region in used}


def _told(rule: IdentifierRule, declared: IdentifierDeclaration) -> Iterable[object]:
    hub = list(rule.hub) if rule.hub else None
    told = [rule.priority, declared.normalise or "exact", declared.region, rule.limit, hub, sorted(declared.blocked)]
    return [*told, "hashed"] if declared.hashed else told
