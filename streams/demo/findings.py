"""What came out of a demo: who there is, which source knew what, and why identifiers belong together.

Pure functions from the output topics, as `streams.dump` wrote them, to values that can be shown. The reasons come
from the timeline; where it tells several joins as one, the event log fills in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streams.events import Event, Identifier
from streams.life import states_told

Pair = tuple[str, str]
"""Identifier type and normalised value."""

Normalise = Callable[[str, Identifier], Pair | None]
"""Entity type and identifier of an event -> what it is called in the graph; None if it connects nothing."""

_TOLD_KINDS = frozenset({"identifier.added", "entity.merged"})
_EXCERPT_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class KnownIdentifier:
    """An identifier of an entity, and the sources whose events carry it, in the order in which they first did."""

    type: str
    value: str
    first_seen: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class Reason:
    """Identifiers that one event showed together: the first evidence that they are the same."""

    occurred_at: str
    source: str
    event_id: str
    event: str
    identifiers: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Belonging:
    """A membership seen from one side: the entity on the other side."""

    entity_id: str
    name: str
    role: str | None


@dataclass(frozen=True, slots=True)
class Correction:
    """What a late event changed of intervals that were told already: (value, since, until) each."""

    state: str
    source: str
    event_id: str
    old: tuple[tuple[str, str, str | None], ...]
    new: tuple[tuple[str, str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A living entity. `former_ids` were issued on the way and lead to it; `states` are by name the values, each with its beginning."""

    entity_id: str
    entity_type: str
    name: str
    first_seen: str
    last_seen: str
    identifiers: tuple[KnownIdentifier, ...]
    traits: Mapping[str, Any]
    memberships: tuple[Belonging, ...]
    reasons: tuple[Reason, ...]
    former_ids: tuple[str, ...]
    states: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    corrections: tuple[Correction, ...] = ()
    moved: int = 0
    """Memberships that came here from a former id, or went to another of the group's, with a merge."""


@dataclass(frozen=True, slots=True)
class Unheard:
    """An identifier that stays on its events and connects nothing, because its value is blocked."""

    type: str
    value: str
    sources: tuple[str, ...]
    participants: int


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: a record that gave no event, and why."""

    source: str
    reason: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that came out. Persons first, those with most identifiers before others."""

    entities: tuple[Found, ...]
    unheard: tuple[Unheard, ...]
    letters: tuple[Letter, ...]


@dataclass(frozen=True, slots=True)
class Outputs:
    """The output topics, one decoded value per line; events as they are in the log."""

    entities: Sequence[Mapping[str, Any]]
    memberships: Sequence[Mapping[str, Any]]
    timeline: Sequence[Mapping[str, Any]]
    events: Sequence[Event]
    dead_letters: Sequence[Mapping[str, Any]]


def read_findings(outputs: Outputs, normalise: Normalise, strength: Callable[[str, str], int]) -> Findings:
    """Put everything together. `strength` orders identifier types of an entity type, 1 the strongest."""
    living = {one["entity_id"]: one for one in outputs.entities if one["status"] == "active"}
    names = {entity_id: _name(one) for entity_id, one in living.items()}
    former = _former_ids(outputs.entities)
    links = list(_links(outputs.events, normalise))
    life: dict[str, list[Mapping[str, Any]]] = {}
    for line in outputs.timeline:
        life.setdefault(line["entity_id"], []).append(line)
    told = {(one["source"], one["event_id"], one["entity_id"]) for one in outputs.timeline if one["kind"] in _TOLD_KINDS}
    found = []
    for entity_id, one in living.items():
        mine = {(named["type"], named["value"]) for named in one["identifiers"]}
        ids = {entity_id, *former.get(entity_id, ())}
        seen = [reason for entity_type, reason in links if entity_type == one["entity_type"] and mine.intersection(reason.identifiers)]
        first = [reason for reason in seen if any((reason.source, reason.event_id, each) in told for each in ids)]
        found.append(
            Found(
                entity_id,
                one["entity_type"],
                names[entity_id],
                one["first_seen"],
                one["last_seen"],
                _known(one, seen, strength),
                one["traits"],
                tuple(_belongings(outputs.memberships, entity_id, names)),
                spanning(first, seen),
                tuple(sorted(former.get(entity_id, ()))),
                _states(life.get(entity_id, ())),
                tuple(_corrections(life.get(entity_id, ()))),
                sum(line["kind"] == "membership.ended" and bool(line["data"].get("moved")) for each in ids for line in life.get(each, ())),
            )
        )
    found.sort(key=lambda one: (one.entity_type != "person", -len(one.identifiers), one.first_seen, one.entity_id))
    return Findings(tuple(found), tuple(_unheard(outputs.events, normalise)), tuple(_letters(outputs.dead_letters)))


def _states(lines: Iterable[Mapping[str, Any]]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Replay what the timeline tells of an entity's states, in the order in which it was told."""
    return {
        name: tuple((value, since) for since, value in sorted(history.items()) if value is not None)
        for name, history in sorted(states_told(lines).items())
        if history
    }


def _corrections(lines: Iterable[Mapping[str, Any]]) -> Iterator[Correction]:
    """Give what late events corrected, but for what only began earlier, with its entity."""
    for line in lines:
        data = line.get("data", {})
        if line["kind"] == "state.corrected" and data["old"] is not None and line["event_id"]:
            old, new = (tuple((one["value"], one["since"], one["until"]) for one in data[side]) for side in ("old", "new"))
            if [one[::2] for one in old] != [one[::2] for one in new]:
                yield Correction(data["state"], line["source"], line["event_id"], old, new)


def spanning(told: Iterable[Reason], seen: Iterable[Reason]) -> tuple[Reason, ...]:
    """Choose the evidence that connects, earliest first, what was told before what was only seen; leave out the rest."""
    group: dict[Pair, set[Pair]] = {}
    chosen = []
    for reason in [*sorted(told), *sorted(seen)]:
        parts = [group.setdefault(pair, {pair}) for pair in reason.identifiers]
        if len({id(part) for part in parts}) > 1:
            chosen.append(reason)
            joined = set().union(*parts)
            group.update(dict.fromkeys(joined, joined))
    return tuple(sorted(chosen))


def _links(events: Iterable[Event], normalise: Normalise) -> Iterator[tuple[str, Reason]]:
    for event in events:
        for participant in event.participants:
            pairs = [pair for one in participant.identifiers if (pair := normalise(participant.entity, one)) is not None]
            if pairs:
                identifiers = tuple(dict.fromkeys(pairs))
                yield participant.entity, Reason(event.occurred_at, event.source, event.event_id, event.name, identifiers)


def _known(one: Mapping[str, Any], seen: Sequence[Reason], strength: Callable[[str, str], int]) -> tuple[KnownIdentifier, ...]:
    sources: dict[Pair, dict[str, None]] = {}
    for reason in sorted(seen):
        for pair in reason.identifiers:
            sources.setdefault(pair, {})[reason.source] = None
    listed = [
        KnownIdentifier(named["type"], named["value"], named["first_seen"], tuple(sources.get((named["type"], named["value"]), ())))
        for named in one["identifiers"]
    ]
    return tuple(sorted(listed, key=lambda named: (strength(one["entity_type"], named.type), named.first_seen, named.value)))


def _name(one: Mapping[str, Any]) -> str:
    return str(one["traits"].get("name") or one["identifiers"][0]["value"])


def _former_ids(entities: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """Gather the ids that ended, by the living id that they lead to."""
    ended = {one["entity_id"]: one["merged_into"] for one in entities if one["status"] == "merged"}
    found: dict[str, set[str]] = {}
    for entity_id in ended:
        at = entity_id
        while at in ended:
            at = ended[at]
        found.setdefault(at, set()).add(entity_id)
    return found


def _belongings(memberships: Iterable[Mapping[str, Any]], entity_id: str, names: Mapping[str, str]) -> Iterator[Belonging]:
    for one in sorted(memberships, key=lambda each: (each["since"], each["person_id"])):
        for mine, other in (("person_id", "group_id"), ("group_id", "person_id")):
            if one[mine] == entity_id and not one["until"]:
                yield Belonging(one[other], names.get(one[other], one[other]), one["role"])


def _unheard(events: Iterable[Event], normalise: Normalise) -> Iterator[Unheard]:
    found: dict[Pair, list[str]] = {}
    for event in events:
        for participant in event.participants:
            for one in participant.identifiers:
                if normalise(participant.entity, one) is None:
                    found.setdefault((one.type, one.value), []).append(event.source)
    for (kind, value), sources in sorted(found.items(), key=lambda each: (-len(each[1]), each[0])):
        yield Unheard(kind, value, tuple(dict.fromkeys(sources)), len(sources))


def _letters(dead_letters: Iterable[Mapping[str, Any]]) -> Iterator[Letter]:
    for one in sorted(dead_letters, key=lambda each: (each["headers"]["source"], each["headers"]["error"])):
        value = one["value"] if isinstance(one["value"], str) else "(no text)"
        yield Letter(one["headers"]["source"], one["headers"]["error"], value[:_EXCERPT_CHARACTERS])
