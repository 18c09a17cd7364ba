"""What the guards do to real and made-up records: pairs of records joined rightly and wrongly, guards on and off.

Run with `python benchmarks/guards.py RECORDS TRUTH --config FILE --source NAME [--entity person] [--curve N ...]`. RECORDS is a file as
`nexus publish` takes it; TRUTH has a line `{"record_id", "entity_id"}` for each record. Precision is the share of the pairs
joined that belong together, recall the share of the pairs that belong together that are joined. Nothing is started: the records go
through the source's adapter and the pure function of the guards.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from resolvers.edge import Together, centre_of
from resolvers.errors import Rejected
from resolvers.evidence import evidence_of
from resolvers.parts import Parts, parts_of
from resolvers.rules import EntityRule, Rules
from resolvers.sighting import Usable
from streams.adapters import build_adapter
from streams.adapters.preview import Adapted, preview
from streams.graph import rules_of
from streams.records_file import read_records
from streams.settings import Settings, load_settings

AT_MS = 1_900_000_000_000
"""When the records count as written: later than any of them."""

NO_SIZE = 1_000_000_000


def observed(settings: Settings, rules: Rules, source: str, path: Path, entity: str) -> dict[str, Together]:
    """Read for each record, by its event id, who was seen together on it and when; those without a usable identifier are left out."""
    adapter = build_adapter(source, settings.sources[source], settings.times)
    found: dict[str, Together] = {}
    for outcome in preview(adapter, read_records(path), settings.sources[source].topic, AT_MS):
        if not isinstance(outcome, Adapted):
            continue
        for event in outcome.events:
            try:
                evidence = evidence_of(rules, event)
            except Rejected:
                continue
            for seen in evidence.sightings:
                if seen.entity_type == entity:
                    found[event.event_id] = Together(seen.identifiers, evidence.occurred_at)
    return found


def distinct(seen: Iterable[Together]) -> list[Together]:
    """Join equal sets of identifiers into one link with its first time."""
    links: dict[tuple[Usable, ...], int] = {}
    for one in seen:
        links[one.identifiers] = min(one.first, links.get(one.identifiers, one.first))
    return [Together(identifiers, first) for identifiers, first in links.items()]


def without_guards(rule: EntityRule) -> EntityRule:
    """Take every guard but blocked values off."""
    return replace(rule, size=NO_SIZE, identifiers={name: replace(one, limit=None, hub=None) for name, one in rule.identifiers.items()})


def pairs(groups: Iterable[Hashable]) -> int:
    """Count the pairs of records with the same group."""
    return sum(count * (count - 1) // 2 for count in Counter(groups).values())


def scored(found: Parts, seen: Mapping[str, Together], truth: Mapping[str, str]) -> dict[str, object]:
    """Compare parts with the truth, record by record; a record that nothing was seen on is alone."""
    part_of = {digest: at for at, part in enumerate(found.parts) for digest in part}

    def group(record: str) -> Hashable:
        centre = centre_of(seen[record], found.off) if record in seen else None
        return record if centre is None else part_of[centre.digest]

    groups = {record: group(record) for record in truth}
    right = pairs((groups[record], truth[record]) for record in truth)
    joined, true = pairs(groups.values()), pairs(truth.values())
    true_of_seen = pairs(person for record, person in truth.items() if record in seen)
    return {
        "precision": round(right / joined, 5) if joined else 1.0,
        "recall": round(right / true, 5) if true else 1.0,
        "recall_of_seen": round(right / true_of_seen, 5) if true_of_seen else 1.0,
        "parts": len(found.parts),
        "off": len(found.off),
        "refused": len(found.refused),
        "largest": max(map(len, found.parts), default=0),
    }


def curve(rule: EntityRule, overs: Sequence[int]) -> dict[str, EntityRule]:
    """Give the rule with hubs over each of several numbers, for every type that has a hub rule."""
    kinds = rule.identifiers

    def over(count: int) -> EntityRule:
        changed = {name: replace(one, hub=one.hub and (one.hub[0], count)) for name, one in kinds.items()}
        return replace(rule, identifiers=changed)

    return {f"hub over {count}": over(count) for count in overs}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("records", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--entity", default="person")
    parser.add_argument("--curve", type=int, nargs="*", default=[], help="also with hubs over each of these numbers")
    options = parser.parse_args()
    settings = load_settings(options.config)
    rules = rules_of(settings)
    seen = observed(settings, rules, options.source, options.records, options.entity)
    truth = {row["record_id"]: row["entity_id"] for row in map(json.loads, read_records(options.truth))}
    rule, links = rules.entities[options.entity], distinct(seen.values())
    tried = {"guards on": rule, "guards off": without_guards(rule), **curve(rule, options.curve)}
    for name, one in tried.items():
        print(json.dumps({"guards": name, **scored(parts_of(links, one), seen, truth)}))


if __name__ == "__main__":
    main()
