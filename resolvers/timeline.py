"""The timeline: what changed between two consecutive published states of an entity, as a pure function.

Invariant: folding an entity's records in version order gives its document's identifiers, traits and states.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from resolvers.change import NOBODY, Change
from resolvers.entity import LISTED_IDENTIFIERS, MOST_SUCCESSORS, EntityView, Fact, MembershipView
from resolvers.identifier import founder_of
from resolvers.instant import write_instant
from resolvers.state_changes import refusals, state_changes
from resolvers.trait_changes import one_by_one, set_changes


@dataclass(frozen=True, slots=True)
class Merge:
    """An id that this entity absorbed, and the link that joined them: its first event and its identifiers."""

    absorbed_id: str
    event: Fact
    identifiers: tuple[tuple[str, str], ...] = ()


def changes(old: EntityView | None, new: EntityView, merges: Sequence[Merge] = (), *, erased: bool = False) -> Iterator[Change]:
    """Tell how an entity came from `old` (None: it was not living) to `new`, in a fixed order.

    Of one from which something was `erased` what was is not told again: all that is left of it is.
    """
    if erased and old is not None:
        yield Change("entity.erased", NOBODY, {"lives_on": True})
        old = replace(new, identifiers=(), traits={}, states={}, refused=(), whole=True)
    elif old is None:
        yield Change("entity.created", new.founder.event, {"founder": _named(new.founder.identifier.type, new.founder.identifier.value)})
    yield from joinings(merges)
    yield from _identifier_changes(old, new)
    yield from _trait_changes(old, new)
    yield from state_changes(
        old.states if old else {}, new.states, whole=old.whole if old else True, late=new.late, founding=new.founder.event
    )
    yield from refusals(old.refused if old else (), new.refused)


def untold(old: EntityView | None, merges: Sequence[Merge]) -> list[Merge]:
    """Leave out an id whose founding identifier the entity was told to have: it came and went between two rounds."""
    had = {seen.digest for seen in old.identifiers} if old else set()
    return [merge for merge in merges if founder_of(merge.absorbed_id) not in had]


def joinings(merges: Sequence[Merge]) -> Iterator[Change]:
    """Tell which ids an entity absorbed, and by which links; also of one that was absorbed itself before it was told.

    An id that came and went meanwhile is told once, with the link that joined it last.
    """
    for merge in {merge.absorbed_id: merge for merge in merges}.values():
        link = [_named(kind, value) for kind, value in merge.identifiers]
        yield Change("entity.merged", merge.event, {"absorbed_id": merge.absorbed_id, "link": link})


def ending(merged_into: str, event: Fact = NOBODY) -> Change:
    """Tell that an id ended by a merge into an older entity."""
    return Change("entity.merged", event, {"merged_into": merged_into})


def parting(parts: Iterable[str], *, ended: bool = False) -> Change:
    """Tell which entities came of one that guards or an operator took apart; `ended` says that it does not live on."""
    return Change("entity.split", NOBODY, {"parts": sorted(set(parts))} | ({"ended": True} if ended else {}))


def partings(new: EntityView, parts: Iterable[str]) -> list[Change]:
    """Tell which entities came of one that lives on, but for those that have become one with it again."""
    own = {seen.digest for seen in new.identifiers}
    gone = sorted({part for part in parts if founder_of(part) not in own})
    return [parting(gone[:MOST_SUCCESSORS])] if gone else []


def taken_over(old: EntityView | None, owner: Mapping[bytes, str]) -> set[str]:
    """Give the entities that have what a topic says that one had: in a recovery, and where a space was promoted, nobody noted a split.

    Whoever was seen again after an erasure has another digest, and came of nobody.
    """
    return {owner[seen.digest] for seen in old.identifiers if seen.digest in owner} if old else set()


def refusal(guard: str, event: Fact, identifiers: Iterable[tuple[str, str]]) -> Change:
    """Tell that a guard kept apart what a link showed together; `identifiers` are the link's."""
    return Change("merge.refused", event, {"guard": guard, "identifiers": [_named(kind, value) for kind, value in identifiers]})


def ended(document: Mapping[str, Any], event: Fact = NOBODY) -> Change:
    """Tell how an id ended: `document` is what the entities topic says of it, `event` what merged it."""
    if document["status"] == "erased":
        return Change("entity.erased", NOBODY, {"lives_on": False})
    return parting(document["successors"], ended=True) if document["status"] == "split" else ending(document["merged_into"], event)


def membership_changes(old: MembershipView | None, new: MembershipView | None, *, erased: bool = False) -> Iterator[Change]:
    """Tell how a membership started, changed its role, or ended; also when it went to another key with a merge.

    Of one that ended as who it names was `erased`, only that is told.
    """
    if new is None:
        if old is not None and not old.ended:
            yield Change("membership.ended", NOBODY, {"group_id": old.group_id, "role": None if erased else _role(old), "moved": True})
        return
    data, event = (
        {"group_id": new.group_id, "role": _role(new)},
        NOBODY if old and _goes_back(new.latest, old.latest) else new.latest,
    )
    was_on, is_on = old is not None and not old.ended, not new.ended
    if is_on and not was_on:
        yield Change("membership.started", event, data)
    elif was_on and not is_on:
        yield Change("membership.ended", event, data)
    elif is_on and old is not None and _role(old) != _role(new):
        yield Change("membership.changed", event, data | {"old_role": _role(old)})


def _role(view: MembershipView) -> str | None:
    return view.latest.value.decode() or None


def timeline_record(entity_id: str, entity_type: str, change: Change) -> dict[str, Any]:
    """Write a change as a record; the round adds its id, version and the time of recording, which stands in where no event brought it."""
    return {
        "entity_id": entity_id,
        "entity_type": entity_type,
        "kind": change.kind,
        "occurred_at": None if change.event == NOBODY else write_instant(change.event.time),
        "event_id": change.event.event_id or None,
        "source": change.event.source or None,
        "data": change.data,
    }


def _identifier_changes(old: EntityView | None, new: EntityView) -> Iterator[Change]:
    before = {seen.identifier for seen in old.identifiers} if old else set()
    after = {seen.identifier for seen in new.identifiers}
    for seen in new.identifiers:
        if seen.identifier not in before:
            data = _named(seen.identifier.type, seen.identifier.value) | {"first_seen": write_instant(seen.first)}
            yield Change("identifier.added", seen.event, data)
    if new.count <= LISTED_IDENTIFIERS:
        for gone in sorted(before - after):
            yield Change("identifier.removed", NOBODY, _named(gone.type, gone.value))


def _trait_changes(old: EntityView | None, new: EntityView) -> Iterator[Change]:
    before, after = one_by_one(old.traits) if old else {}, one_by_one(new.traits)
    for name in sorted(after.keys() | before.keys()):
        was, now = before.get(name), after.get(name)
        if was != now:
            data = {"trait": name, **{side: msgspec.json.decode(value) if value else None for side, value in (("old", was), ("new", now))}}
            yield Change("trait.changed", _bringing(old.traits.get(name) if old else None, new.traits.get(name)), data)
    yield from set_changes(old.traits if old else {}, new.traits)


def _bringing(told: Fact | None, now: Fact | None) -> Fact:
    """Give the fact that changed a trait; where evidence went away, nobody's."""
    return NOBODY if now is None or now == told or (told is not None and _goes_back(now, told)) else now


def _goes_back(fact: Fact, told: Fact) -> bool:
    """Say whether what decided against a fact went away. Of what a topic says no event is known."""
    return bool(told.event_id) and fact < told


def _named(kind: str, value: str) -> dict[str, Any]:
    return {"type": kind, "value": value}
