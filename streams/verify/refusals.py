"""Refusals, recomputed: which values of states the timeline must have told to be refused, and which it may have.

Each of an entity's is told while it lives, and all of them anew when it lives again, or on after an erasure. What was told once stays
told, though its evidence went away or to another entity since, and though states may be declared otherwise since a promotion; so only
what is refused today and no event of the log could ever have brought is wrong, whatever reason was given.
Neighbours: `expected` has what was observed, `compare_timeline` what was told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from streams.verify.expected import Expected, Moment
from streams.verify.instants import written
from streams.verify.report import Difference
from streams.verify.sides import shorten
from streams.verify.states import FOLLOWS


@dataclass(frozen=True, slots=True)
class Refusal:
    """One `state.refused`, as it was told."""

    state: str
    value: str
    reason: str
    occurred_at: str | None
    source: str | None
    event_id: str | None

    @classmethod
    def read(cls, told: dict[str, Any]) -> Refusal:
        """Read a record of the timeline."""
        data = told["data"]
        state, value, reason = (str(data.get(name)) for name in ("state", "value", "reason"))
        return cls(state, value, reason, told.get("occurred_at"), told.get("source"), told.get("event_id"))

    def __str__(self) -> str:
        by = f"event {self.source}:{self.event_id} at {self.occurred_at}" if self.event_id else "no event"
        return f"{self.state}: {shorten(self.value)} by {by}"


Told = list[tuple[str, str, Refusal]]
"""(entity id, entity type, what was told), all that there ever was."""


class Refusals:
    """What was told, compared with what the log says."""

    def __init__(self, expected: Expected, told: Told) -> None:
        """Take both sides; neither is changed."""
        self._expected = expected
        self._told = told

    def missing(self, founder: int, told: list[Refusal]) -> Iterator[Difference]:
        """Name what must be told of a living entity since it began to live, and is not."""
        key, expected = self._expected.ids[founder], self._expected
        entity_type = expected.identifiers[founder].entity_type
        wanted = Counter(
            Refusal(state, value, "", written(at), source, event_id)
            for state, (at, source, event_id), _, value in expected.observed_of(founder)
            if expected.states.refuses(entity_type, state, value)
        )
        for one, count in sorted((wanted - Counter(replace(one, reason="") for one in told)).items(), key=str):
            yield Difference("timeline.refusal_missing", key, f"{one} is refused, and {count} times this was not told")
        followed = {(one.state, one.value, one.occurred_at if one.event_id else None) for one in told}
        unbrought = expected.unbrought(founder)
        for state, at, value in expected.refused_following(founder):
            if not {(state, value, written(at)), (state, value, None if at in unbrought else written(at))} & followed:
                text = f"{state}: {shorten(value)} follows from {written(at)} on and is refused, which was not told"
                yield Difference("timeline.refusal_missing", key, text)

    def impossible(self) -> Iterator[Difference]:
        """Name what was told, and no event of the log could ever have brought."""
        for key, entity_type, one in self._told:
            if text := self._wrong(entity_type, one):
                yield Difference("timeline.refusal", key, f"{one}: {one.reason}, it says; {text}")

    def _wrong(self, entity_type: str, one: Refusal) -> str | None:
        shown = self._shown.get((entity_type, one.source or "", one.event_id or ""), set()) if one.event_id else set()
        if (one.state, one.occurred_at, one.value) in shown:
            return None
        refused = self._expected.states.refuses(entity_type, one.state, one.value)
        if refused is None:  # states were declared otherwise when it was told
            return None
        if refused != FOLLOWS:
            return "no event of the log says so"
        sources = self._expected.states.follows_from(entity_type, one.state)
        if not one.event_id or not sources or any(state in sources and str(at) <= (one.occurred_at or "") for state, at, _ in shown):
            return None
        return "that event says nothing of what it follows from"

    @cached_property
    def _shown(self) -> dict[tuple[str, str, str], set[tuple[str, str, str]]]:
        """Gather what the events that are named ever showed, erased or not: (state, time, value) by (entity type, source, event id)."""
        named = {(entity_type, one.source, one.event_id) for _, entity_type, one in self._told}
        found: dict[tuple[str, str, str], set[tuple[str, str, str]]] = {}

        def note(entity_type: str, state: str, moment: Moment, value: str) -> None:
            at, source, event_id = moment
            if (place := (entity_type, source, event_id)) in named:
                found.setdefault(place, set()).add((state, written(at), value))

        for identifiers, link in self._expected.links.items() if named else ():
            for state, moment, _, value in link.states or ():
                note(self._expected.identifiers[identifiers[0]].entity_type, state, moment, value)
        for one in self._expected.erased.shown if named else ():
            note(*one)
        return found
