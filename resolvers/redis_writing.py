"""Writing: evidence, commands and guards as the scripts in Redis read them.

Invariant: pure; times become those since the year 1, identifier types their codes. Neighbours: `redis_graph` packs what is written here,
`redis_rows` reads what comes back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from resolvers.correction import Correction, Kind
from resolvers.erasure import Erasure
from resolvers.identifier import later_digest
from resolvers.instant import hour_of
from resolvers.redis_rows import BIAS_HOURS, BIAS_MS
from resolvers.rules import Rules
from resolvers.sighting import Evidence, Sighting

Codes = Mapping[tuple[str, str], int]
"""By entity type and identifier type, the code that the space gave it."""

_KINDS = {Kind.BLOCK: "b", Kind.FORBID: "f", Kind.LINK: "l"}


def evidence_row(codes: Codes, one: Evidence) -> list[Any]:
    """Write one event's evidence, as `lua/apply.lua` says."""
    sightings = [_sighting(codes, seen) for seen in one.sightings]
    memberships = [[m.member, m.group, m.role or "", int(m.ended)] for m in one.memberships]
    return [one.occurred_at + BIAS_MS, hour_of(one.occurred_at) + BIAS_HOURS, one.source, one.event_id, sightings, memberships]


def _sighting(codes: Codes, seen: Sighting) -> list[Any]:
    named: list[tuple[bytes, int, str]] = []
    for usable in seen.identifiers:
        identifier = usable.identifier
        named.append((usable.digest, codes[identifier.entity_type, identifier.type], identifier.value))
    traits = [one if one[2] is not None else one[:2] for one in seen.traits]
    return [seen.link, seen.index, named, traits, seen.states]


def correction_row(codes: Codes, key: bytes, one: Correction | Erasure) -> list[Any]:
    """Write one correction or erasure, as `lua/correct.lua` says. `key` is the identity key, which the digests since an erasure need."""
    if isinstance(one, Erasure):
        named = [(each.digest, codes[each.identifier.entity_type, each.identifier.type]) for each in one.covered]
        return ["e", [[digest, code, later_digest(key, digest, one.cutoff)] for digest, code in named], one.cutoff + BIAS_MS]
    kind, digests = one.subject
    return [_KINDS[kind], list(digests), one.issued_at + BIAS_MS, one.command_id, int(one.holds)]


def guard_rows(codes: Codes, rules: Rules) -> Iterator[list[int]]:
    """Write the guards of every identifier type."""
    for entity, rule in rules.entities.items():
        for kind, one in rule.identifiers.items():
            counted, over = (codes[entity, one.hub[0]], one.hub[1]) if one.hub else (0, 0)
            yield [codes[entity, kind], counted, over, one.limit or 0, rule.size, one.priority]
