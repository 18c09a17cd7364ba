"""From an event to its evidence: who was seen together, with which traits and states, and who belongs to whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from resolvers.errors import Rejected, Why
from resolvers.expressions import cut
from resolvers.instant import read_instant
from resolvers.rules import Rules
from resolvers.sighting import Evidence, MembershipSighting, Sighting, Usable
from resolvers.trait_rules import LATEST, OF_VALUE, split


class IdentifierLike(Protocol):
    """An identifier as the source wrote it."""

    type: str
    value: str


class ParticipantLike(Protocol):
    """One entity's part in an event."""

    entity: str
    role: str

    @property
    def identifiers(self) -> Sequence[IdentifierLike]: ...
    @property
    def traits(self) -> Mapping[str, Any]: ...
    @property
    def states(self) -> Mapping[str, str]: ...


class MembershipLike(Protocol):
    """Participant `member` belongs to participant `group`."""

    member: int
    group: int
    role: str | None
    ended: bool


class EventLike(Protocol):
    """An event in the canonical form."""

    event_id: str
    source: str
    occurred_at: str

    @property
    def participants(self) -> Sequence[ParticipantLike]: ...
    @property
    def memberships(self) -> Sequence[MembershipLike]: ...


_canonical = msgspec.json.Encoder(order="deterministic").encode  # unlike orjson, keeps all digits of long integers

MOST_IDENTIFIERS = 200
MOST_TRAITS = 500
MOST_NAME_CHARACTERS = 256
MOST_LEVELS = 100
"""A participant with more identifiers or traits, with a longer name of a trait or state, or with a deeper value than
these is a mistake of its source; what follows it in the flow would not be bounded."""


def evidence_of(rules: Rules, event: EventLike) -> Evidence:
    """Read an event under the rules. A participant without a usable identifier says nothing and is left out.

    Raises Rejected for a time or a trait that can't be read, and for a participant with too many identifiers.
    """
    try:
        occurred_at = read_instant(event.occurred_at)
    except ValueError as error:
        raise Rejected(f"occurred_at {event.occurred_at!r} is not an RFC 3339 time: {error}", Why.TIME) from error
    said = rules.states.of_event(event)
    sightings: list[Sighting] = []
    places: dict[int, int] = {}
    for index, participant in enumerate(event.participants):
        check_bounds(index, participant)
        if usable := _usable(rules, participant):
            places[index] = len(sightings)
            traits = _traits(rules, participant, event.source, occurred_at)
            sightings.append(Sighting(index, participant.entity, usable, traits, _states(rules, participant, said)))
    memberships = tuple(
        MembershipSighting(places[one.member], places[one.group], cut(one.role or "") or None, one.ended)
        for one in event.memberships
        if one.member in places and one.group in places
    )
    return Evidence(event.source, event.event_id, occurred_at, tuple(sightings), memberships)


def canonical_json(value: object) -> bytes:
    """Write a trait's value so that equal values are equal bytes: keys sorted, no spaces. Raises Rejected."""
    if isinstance(value, dict | list) and _deeper(value, MOST_LEVELS):
        raise Rejected(f"a trait's value is nested deeper than {MOST_LEVELS} levels", Why.TOO_LARGE)
    try:
        return _canonical(value)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise Rejected(f"a trait's value can't be written as JSON: {error}") from error


def check_bounds(index: int, participant: ParticipantLike) -> None:
    """Reject a participant that carries more than the flow behind it is bounded for. Raises Rejected."""
    for what, count, most in (
        ("identifiers", len(participant.identifiers), MOST_IDENTIFIERS),
        ("traits", len(participant.traits), MOST_TRAITS),
        ("states", len(participant.states), MOST_TRAITS),
    ):
        if count > most:
            raise Rejected(f"participant {index} has {count:,} {what}, at most {most:,} are read", Why.TOO_LARGE)
    for name in participant.traits:
        if OF_VALUE in name:
            raise Rejected(f"participant {index} has a trait with a NUL in its name")
    for name in (*participant.traits, *participant.states):
        if len(name) > MOST_NAME_CHARACTERS:
            text = f"has a trait or state with a name of {len(name):,} characters, at most {MOST_NAME_CHARACTERS:,} are read"
            raise Rejected(f"participant {index} {text}: {name[:40]!r}...", Why.TOO_LARGE)


def _deeper(value: object, levels: int) -> bool:
    """Say whether a value is nested deeper than so many levels."""
    if isinstance(value, dict):
        return levels == 0 or any(_deeper(one, levels - 1) for one in value.values())
    if isinstance(value, list):
        return levels == 0 or any(_deeper(one, levels - 1) for one in value)
    return False


def _usable(rules: Rules, participant: ParticipantLike) -> tuple[Usable, ...]:
    found = {usable.digest: usable for one in participant.identifiers if (usable := rules.usable(participant.entity, one.type, one.value))}
    if len(found) < 2:
        return tuple(found.values())
    return tuple(sorted(found.values(), key=lambda usable: (usable.priority, usable.digest)))


def _states(rules: Rules, participant: ParticipantLike, said: Sequence[tuple[str, str | None, str, str]]) -> tuple[tuple[str, str], ...]:
    """Give what is observed of a participant's states: by what it carries, and by what was said of the event."""
    if not participant.states and not said:
        return ()
    found = set(rules.states.of_participant(participant.entity, participant.states))
    found |= {(state, value) for entity, role, state, value in said if entity == participant.entity and role in {None, participant.role}}
    return tuple(sorted((state, cut(value)) for state, value in found))


def _traits(rules: Rules, participant: ParticipantLike, source: str, occurred_at: int) -> tuple[tuple[str, bytes, int | None], ...]:
    chosen = rules.entities[participant.entity].traits
    if not chosen:
        return tuple((name, canonical_json(value), None) for name, value in participant.traits.items() if value is not None)
    found: dict[str, tuple[str, bytes, int | None]] = {}
    for trait, given in participant.traits.items():
        rule = chosen.get(trait, LATEST)
        for name, value in split(rule, trait, given):
            if value is not None:
                written = canonical_json(value)
                key = name + written.decode() if name.endswith(OF_VALUE) else name
                found[key] = (key, written, rule.order(occurred_at, source, written))
    if len(found) > MOST_TRAITS:
        raise Rejected(f"a participant has {len(found):,} values of traits, at most {MOST_TRAITS:,} are read", Why.TOO_LARGE)
    return tuple(found.values())
