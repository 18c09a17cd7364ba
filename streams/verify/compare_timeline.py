"""Comparing the timeline with the recomputation: told once, in order, and folding to what is true now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from streams.verify.canonical import canonical
from streams.verify.compacted import Record, read_object
from streams.verify.expected import LISTED, Expected
from streams.verify.instants import written
from streams.verify.refusals import Refusal, Refusals
from streams.verify.report import Difference
from streams.verify.sides import shorten, shortened
from streams.verify.traits import has_room
from streams.verify.traits import told as told_traits
from streams.verify.usable import founding_digest


@dataclass(slots=True)
class Life:
    """What the timeline has told of one entity so far."""

    partition: int
    version: int = 0
    identifiers: set[tuple[str, str]] = field(default_factory=set)
    traits: dict[str, bytes] = field(default_factory=dict)
    values: dict[str, set[bytes]] = field(default_factory=dict)
    """Of traits that keep all values."""

    groups: dict[str, str | None] = field(default_factory=dict)
    states: dict[str, dict[str, str | None]] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)


class Timeline:
    """The timeline topic, read record by record; the records of one partition come in the order of their offsets."""

    def __init__(self, expected: Expected) -> None:
        """Start before the first record."""
        self._expected = expected
        self._lives: dict[str, Life] = {}
        self._told: set[int] = set()
        self._refused: list[tuple[str, str, Refusal]] = []
        self._problems: list[Difference] = []
        self.highest: dict[int, int] = {}
        self.records = 0

    def add(self, record: Record) -> None:
        """Take the next record in."""
        self.records += 1
        key = (record.key or b"").decode("utf-8", "replace")
        told = read_object(record.value or b"") or {}
        version = told.get("version")
        if told.get("entity_id") != key or not isinstance(version, int) or not isinstance(told.get("data"), dict):
            self._problem("unreadable", key, f"a record that is not of the timeline: {shorten(str(told))}")
            return
        self._once(key, told)
        life = self._lives.setdefault(key, Life(record.partition))
        if life.partition != record.partition:
            self._problem("partition", key, f"it is in partitions {life.partition} and {record.partition}")
        if version < life.version:
            where = f"partition {record.partition}, offset {record.offset}"
            self._problem("version", key, f"version {version} at {where} follows {life.version}")
        life.version = max(version, life.version)
        self.highest[record.partition] = max(self.highest.get(record.partition, 0), version)
        if told.get("kind") == "state.refused":
            life.refused.append(Refusal.read(told))
            self._refused.append((key, str(told.get("entity_type")), life.refused[-1]))
        if not fold(life, str(told.get("kind")), told["data"]):
            self._problem("kind", key, f"{told.get('kind')} is nothing that happens to an entity yet")

    def differences(self) -> Iterator[Difference]:
        """Compare, after the last record."""
        yield from self._problems
        groups, refusals = self._groups(), Refusals(self._expected, self._refused)
        yield from refusals.impossible()
        for founder, entity in self._expected.entities.items():
            key = self._expected.ids[founder]
            life = self._lives.get(key)
            if life is None:
                yield Difference("timeline.missing", key, "it lives, but the timeline tells nothing of it")
                continue
            if len(entity.members) <= LISTED:
                names = (self._expected.identifiers[number] for number in entity.members)
                yield from self._identifiers(key, {(name.type, name.told) for name in names}, life.identifiers)
            traits = told_traits({name: value for name, (_, value) in entity.traits.items() if has_room(name, value)})
            gathered = life.traits | {name: b"[" + b",".join(sorted(values)) + b"]" for name, values in life.values.items() if values}
            for name in sorted(traits.keys() | gathered.keys()):
                wanted, found = (shorten(side.get(name, b"nothing").decode()) for side in (traits, gathered))
                if traits.get(name) != gathered.get(name):
                    yield Difference("timeline.trait", key, f"{name} should have become {wanted}, was told to be {found}")
            yield from self._states(founder, key, life)
            yield from refusals.missing(founder, life.refused)
            if groups.get(key, {}) != life.groups:
                text = f"it belongs to {shorten(str(groups.get(key, {})))}, was told to belong to {shorten(str(life.groups))}"
                yield Difference("timeline.membership", key, text)
        yield from self._others()

    def _states(self, founder: int, key: str, life: Life) -> Iterator[Difference]:
        """Compare histories."""
        wanted = {name: {written(at): value for at, value in held} for name, held in self._expected.histories(founder).items()}
        for name in sorted(wanted.keys() | life.states.keys()):
            expected, found = (side.get(name, {}) for side in (wanted, life.states))
            if expected != found:
                text = f"{name} should have been {shorten(str(expected))}, was told to be {shorten(str(found))}"
                yield Difference("timeline.state", key, text)

    def _identifiers(self, key: str, wanted: set[tuple[str, str]], found: set[tuple[str, str]]) -> Iterator[Difference]:
        for names, what in ((wanted - found, "were never added"), (found - wanted, "were added, and are not its own")):
            if names:
                yield Difference("timeline.identifier", key, f"{shortened([':'.join(name) for name in sorted(names)])} {what}")

    def _others(self) -> Iterator[Difference]:
        known, erased = self._expected.by_digest, self._expected.erased.former
        for key in self._lives.keys() - set(self._expected.ids.values()):
            digest = founding_digest(key)
            if digest not in known and digest not in erased:
                yield Difference("timeline.ghost", key, "the timeline tells of it, the log does not know its founding identifier")
            elif self._lives[key].groups:
                yield Difference("timeline.membership", key, f"it ended, but was told to belong to {shorten(str(self._lives[key].groups))}")

    def _groups(self) -> dict[str, dict[str, str | None]]:
        """Give what each entity belongs to, and its role there."""
        found: dict[str, dict[str, str | None]] = {}
        for (member, group), one in self._expected.memberships.items():
            if not one.ended:
                found.setdefault(self._expected.ids[member], {})[self._expected.ids[group]] = one.latest[1] or None
        return found

    def _once(self, key: str, told: dict[str, Any]) -> None:
        """Notice an id that was there before. Ids are remembered by a 64-bit hash: text would take most of the memory."""
        if told.get("recovery") is True:
            return
        mark = hash(told.get("id"))
        if mark in self._told:
            self._problem("told_twice", key, f"{told.get('id')} is there twice")
        self._told.add(mark)

    def _problem(self, kind: str, key: str, text: str) -> None:
        self._problems.append(Difference(f"timeline.{kind}", key, text))


def fold(life: Life, kind: str, data: dict[str, Any]) -> bool:
    """Let one change happen to an entity; says whether it is a kind that is known."""
    match kind:
        case "entity.created" | "entity.erased":
            life.identifiers.clear()
            life.traits.clear()
            life.values.clear()
            life.states.clear()
            life.refused.clear()
        case "identifier.added":
            life.identifiers.add((str(data.get("type")), str(data.get("value"))))
        case "identifier.removed":
            life.identifiers.discard((str(data.get("type")), str(data.get("value"))))
        case "trait.changed" if "added" in data:
            fold_values(life, data)
        case "trait.changed" if data.get("new") is None:
            life.traits.pop(str(data.get("trait")), None)
        case "trait.changed":
            life.traits[str(data.get("trait"))] = bytes(memoryview(canonical(data["new"])))
        case "membership.started" | "membership.changed":
            life.groups[str(data.get("group_id"))] = data.get("role")
        case "membership.ended":
            life.groups.pop(str(data.get("group_id")), None)
        case _:
            return fold_state(life, kind, data) or kind in {"entity.merged", "entity.split", "merge.refused"}
    return True


def fold_values(life: Life, data: dict[str, Any]) -> None:
    """Let values of a trait that keeps all come and go."""
    values = life.values.setdefault(str(data.get("trait")), set())
    values.difference_update(bytes(memoryview(canonical(one))) for one in data.get("removed") or ())
    values.update(bytes(memoryview(canonical(one))) for one in data.get("added") or ())


def fold_state(life: Life, kind: str, data: dict[str, Any]) -> bool:
    """Let a state of an entity change; says whether it is a kind that is known."""
    match kind:
        case "state.changed":
            life.states.setdefault(str(data.get("state")), {})[str(data.get("entered_at"))] = data.get("to")
        case "state.corrected":
            history = life.states.setdefault(str(data.get("state")), {})
            if data.get("old") is None:
                history.clear()
            for one in data.get("old") or ():
                history.pop(str(one.get("since")), None)
            history.update({str(one.get("since")): one.get("value") for one in data.get("new", ())})
        case _:
            return kind == "state.refused"
    return True
