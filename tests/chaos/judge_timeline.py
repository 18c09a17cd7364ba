"""The timeline in detail: every line says something new, given what was told before it.

A pure fold, stricter than that of `nexus verify`, which looks at the end of it. Invariant: lines marked as recovery may
repeat what was told, others never; there are none without a loss.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from streams.verify import Difference
from streams.verify.canonical import canonical
from streams.verify.compacted import read_object
from tests.chaos.judge_read import Line


@dataclass(slots=True)
class Life:
    """What was told of one id so far."""

    alive: bool = False
    merged_into: str | None = None
    erased: bool = False
    identifiers: set[tuple[str, str]] = field(default_factory=set)
    traits: dict[str, bytes] = field(default_factory=dict)
    values: dict[str, set[bytes]] = field(default_factory=dict)
    """Of traits that keep all values."""

    groups: dict[str, str | None] = field(default_factory=dict)
    states: dict[str, dict[str, str | None]] = field(default_factory=dict)
    """By state, its value from each time on."""
    absorbed_at: int = 0
    """The version of the last line about an id that it absorbed."""


def check_timeline(lines: Iterable[Line], documents: Mapping[str, dict[str, Any]], *, redis_lost_writes: bool) -> Iterator[Difference]:
    """Fold the timeline line by line, and compare what ids ended as with their documents.

    `documents` are the last ones of the entities topic, by id.
    """
    lives: dict[str, Life] = {}
    merges = Merges()
    for line in lines:
        told = read_object(line.value or b"") or {}
        key, kind = (line.key or b"").decode("utf-8", "replace"), str(told.get("kind"))
        where = f"{kind} of version {told.get('version')} at {line.place}"
        recovery = told.get("recovery") is True
        if recovery and not redis_lost_writes:
            yield Difference("timeline.recovery", key, f"{where} is marked as recovery, and Redis lost nothing")
        wrong = list(_step(lives.setdefault(key, Life()), kind, told))
        merges.add(key, told, where, recovery=recovery)
        if not recovery:
            yield from (Difference(f"timeline.{what}", key, f"{where}: {text}") for what, text in wrong)
    yield from merges.repeated()
    yield from _endings(lives, documents)


class Merges:
    """Merges that were told twice with the same content.

    That is right where the one that was absorbed had become the founder again in between, for which it must have
    absorbed another: late events can move the founder to and fro within a round; or where guards or an operator had set it free. So
    a repeat counts as wrong only if an id was absorbed more often than it can have been free.
    """

    def __init__(self) -> None:
        self._told: dict[str, set[bytes]] = {}
        self._absorbed: Counter[str] = Counter()
        self._absorbing: Counter[str] = Counter()
        self._freed: Counter[str] = Counter()
        self._created: Counter[str] = Counter()
        self._first: dict[tuple[str, bool], str] = {}
        """When an id was first told to live (True), and to have been absorbed."""

        self._repeats: list[tuple[str, Difference]] = []

    def add(self, key: str, told: Mapping[str, Any], where: str, *, recovery: bool) -> None:
        """Take a line in, of any kind. One that is marked as recovery may repeat what was told, and sets ids free as any other."""
        data = told["data"] if isinstance(told.get("data"), dict) else {}
        if told.get("kind") == "entity.created":
            self._created[key] += 1
            self._first.setdefault((key, True), str(told.get("recorded_at")))
            self._freed[key] += recovery  # whatever its end was before, of a life of which perhaps nothing was told
        if told.get("kind") == "entity.erased":
            self._freed[key] += 1
            self._told.pop(key, None)  # what is left of it is told anew
        if told.get("kind") == "entity.split":
            self._freed.update(str(one) for one in data.get("parts", ()))
        if recovery or told.get("kind") != "entity.merged" or "absorbed_id" not in data:
            return
        other = str(data["absorbed_id"])
        self._absorbed[other] += 1
        self._first.setdefault((other, False), str(told.get("recorded_at")))
        self._absorbing[key] += 1
        mark, before = (
            bytes(canonical([told.get(name) for name in ("data", "event_id", "source", "occurred_at")])),
            self._told.setdefault(key, set()),
        )
        if mark in before:
            self._repeats.append((other, Difference("timeline.merged_again", key, f"{where}: this was told already: {data}")))
        before.add(mark)

    def repeated(self) -> Iterator[Difference]:
        """Name the wrong ones, after the last line."""
        for other, one in self._repeats:
            untold = self._first[other, False] < self._first.get((other, True), "")  # it was absorbed before it was told to live
            lives = max(self._created[other] + untold, 1 + self._freed[other])  # of which it may have been told, or they came and went
            if self._absorbed[other] > lives + self._absorbing[other]:
                yield one


Wrong = tuple[str, str]
"""(what kind of mistake, what was told)."""


def _step(life: Life, kind: str, told: Mapping[str, Any]) -> Iterator[Wrong]:
    """Take a line in, and say what is wrong with it."""
    data = told["data"] if isinstance(told.get("data"), dict) else {}
    if kind in {"identifier.added", "identifier.removed", "trait.changed"} and not life.alive:
        yield "not_living", "it is told of an id that does not live"
    if kind in FOLDED:
        yield from FOLDED[kind](life, kind, data)
        return
    match kind:
        case "entity.created":
            yield from _created(life)
        case "entity.merged" if "merged_into" in data:
            yield from _ended(life, str(data["merged_into"]), told)
        case "entity.erased":
            yield from _erased(life, lives_on=data.get("lives_on") is True)
        case "entity.split" | "merge.refused":
            _split(life, ended=data.get("ended") is True)
        case "entity.merged":
            life.absorbed_at = told["version"] if isinstance(told.get("version"), int) else 0
        case _:
            yield "unknown", "nothing of this kind happens"


def _split(life: Life, *, ended: bool) -> None:
    if ended:
        life.alive, life.merged_into, life.erased = False, None, False


def _erased(life: Life, *, lives_on: bool) -> Iterator[Wrong]:
    """Begin a life anew with what is left of it, or end it; an id that ended before may be erased too, once."""
    if lives_on and not life.alive:
        yield "not_living", "something of it was erased, it says, but it does not live"
    if not lives_on and life.erased:
        yield "erased_again", "it was erased already"
    life.alive, life.merged_into, life.erased = lives_on, None, not lives_on
    life.identifiers.clear()
    life.traits.clear()
    life.values.clear()
    life.states.clear()


def _created(life: Life) -> Iterator[Wrong]:
    if life.alive:
        yield "created_again", "it lives already"
    life.alive, life.merged_into, life.erased = True, None, False
    life.identifiers.clear()
    life.traits.clear()
    life.values.clear()
    life.states.clear()


def _ended(life: Life, merged_into: str, told: Mapping[str, Any]) -> Iterator[Wrong]:
    """End a life. An id that never lived ends too, in the round in which it is told to have absorbed another."""
    if not life.alive and life.merged_into == merged_into and life.absorbed_at != told.get("version"):
        yield "merged_again", f"it was merged into {merged_into} already"
    life.alive, life.merged_into, life.erased = False, merged_into, False


def _identifier(life: Life, kind: str, data: Mapping[str, Any]) -> Iterator[Wrong]:
    name = (str(data.get("type")), str(data.get("value")))
    there = name in life.identifiers
    if kind == "identifier.added":
        life.identifiers.add(name)
        if there:
            yield "added_again", f"{':'.join(name)} is its own already"
    else:
        life.identifiers.discard(name)
        if not there:
            yield "removed_again", f"{':'.join(name)} is not its own"


def _values(life: Life, data: Mapping[str, Any]) -> Iterator[Wrong]:
    """Let values of a trait that keeps all come and go: none comes that is there, none goes that is not."""
    name = str(data.get("trait"))
    values = life.values.setdefault(name, set())
    added, removed = ([bytes(memoryview(canonical(one))) for one in data.get(side) or ()] for side in ("added", "removed"))
    if not added and not removed:
        yield "trait_again", f"{name} has the values that it had"
    for one in removed:
        if one not in values:
            yield "trait_old", f"{_read(one)} was of {name}, it says; that was not told"
        values.discard(one)
    for one in added:
        if one in values:
            yield "trait_again", f"{_read(one)} is of {name} already"
        values.add(one)


def _trait(life: Life, _: str, data: Mapping[str, Any]) -> Iterator[Wrong]:
    if "added" in data:
        yield from _values(life, data)
        return
    name = str(data.get("trait"))
    old, new = (None if data.get(side) is None else bytes(canonical(data[side])) for side in ("old", "new"))
    before = life.traits.get(name)
    if old != before:
        yield "trait_old", f"{name} was {_read(old)} before, it says; told was {_read(before)}"
    elif old == new:
        yield "trait_again", f"{name} is {_read(new)} already"
    if new is None:
        life.traits.pop(name, None)
    else:
        life.traits[name] = new


def _state(life: Life, kind: str, data: Mapping[str, Any]) -> Iterator[Wrong]:
    """Go on with a state's history, or correct it."""
    history = life.states.setdefault(str(data.get("state")), {})
    name, last = data.get("state"), max(history, default="")
    if kind == "state.changed":
        at, old, new = str(data.get("entered_at")), data.get("from"), data.get("to")
        if old != history.get(last) or at <= last:
            yield "state_old", f"{name} was {old} before {at}, it says; told was {history.get(last)} from {last} on"
        elif old == new:
            yield "state_again", f"{name} is {new} already"
        history[at] = new
    elif kind == "state.corrected":
        if data.get("old") is None:  # after a recovery all is told anew
            history.clear()
        until = dict(pairwise([*sorted(history), None]))
        wrong = [one for one in data.get("old") or () if until.get(str(one.get("since")), "") != one.get("until")]
        wrong += [one for one in data.get("old") or () if history.pop(str(one.get("since")), "") != one.get("value")]
        if wrong or data.get("old") == data.get("new"):
            yield "state_old", f"{name} is corrected where it was not told: {wrong[:1]}"
        history.update({str(one.get("since")): one.get("value") for one in data.get("new", ())})


def _read(value: bytes | None) -> str:
    return "nothing" if value is None else value.decode("utf-8", "replace")[:80]


def _membership(life: Life, kind: str, data: Mapping[str, Any]) -> Iterator[Wrong]:
    group, role = str(data.get("group_id")), data.get("role")
    on, was = group in life.groups, life.groups.get(group)
    if kind == "membership.started" and on:
        yield "started_again", f"it belongs to {group} already"
    elif kind != "membership.started" and not on:
        yield "membership_off", f"it does not belong to {group}"
    elif kind == "membership.changed" and (role == was or data.get("old_role") != was):
        yield "role_again", f"from {data.get('old_role')} to {role} in {group}; told was {was}"
    if kind == "membership.ended":
        life.groups.pop(group, None)
    else:
        life.groups[group] = role


FOLDED = {
    **dict.fromkeys(("identifier.added", "identifier.removed"), _identifier),
    "trait.changed": _trait,
    **dict.fromkeys(("membership.started", "membership.changed", "membership.ended"), _membership),
    **dict.fromkeys(("state.changed", "state.corrected", "state.refused"), _state),
}


def _endings(lives: Mapping[str, Life], documents: Mapping[str, dict[str, Any]]) -> Iterator[Difference]:
    """Compare whether ids live, and what they ended as, with their documents."""
    for key, life in lives.items():
        document = documents.get(key)
        if document is None:
            yield Difference("timeline.ghost", key, "the timeline tells of it, the entities topic has no document of it")
            continue
        if (document.get("status") == "active") != life.alive:
            told = "living" if life.alive else f"merged into {life.merged_into}"
            yield Difference("timeline.ending", key, f"its document says {document.get('status')}, the timeline ends with it {told}")
        elif not life.alive and _living(life.merged_into, documents) != _living(key, documents):
            text = f"its document leads to {_living(key, documents)}, the timeline says that it was merged into {life.merged_into}"
            yield Difference("timeline.ending", key, text)
    for key in documents.keys() - lives.keys():
        yield Difference("timeline.missing", key, "the entities topic has a document of it, the timeline tells nothing")


def _living(entity_id: str | None, documents: Mapping[str, dict[str, Any]]) -> str | None:
    """Follow an id to one that lives; None where that leads nowhere."""
    passed: set[str] = set()
    while entity_id is not None and entity_id not in passed:
        passed.add(entity_id)
        document = documents.get(entity_id)
        if document is None:
            return None
        if document.get("status") == "active":
            return entity_id
        merged_into = document.get("merged_into")
        entity_id = merged_into if isinstance(merged_into, str) else None
    return None
