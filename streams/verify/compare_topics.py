"""Comparing the output topics with the recomputation.

Pure functions and folds over records. Neighbours: `compacted` folds a topic, `compare_timeline` the timeline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from streams.verify.canonical import canonical
from streams.verify.compacted import Compacted, Record, read_object
from streams.verify.compare_timeline import Timeline
from streams.verify.expected import Expected, Part
from streams.verify.instants import milliseconds
from streams.verify.report import Difference
from streams.verify.sides import shorten
from streams.verify.usable import founding_digest

COMPACTED = ("entities", "identifiers", "memberships")


class Topics:
    """All output topics of a space, fed record by record in the order entities, identifiers, memberships, participants, timeline."""

    def __init__(self, expected: Expected, *, tombstones: bool = False, recovered: bool = False) -> None:
        """`tombstones` says that an id that ended is a tombstone, `recovered` that Redis has lost writes once."""
        self._expected = expected
        self._tombstones = tombstones
        self.compacted = {word: Compacted(word) for word in COMPACTED}
        self.participants = Participants(expected, self.leads_to, recovered=recovered)
        self.timeline = Timeline(expected)

    def reader(self, word: str) -> Callable[[Record], None]:
        """Give what takes the records of a topic."""
        if word in self.compacted:
            return self.compacted[word].add
        return self.participants.add if word == "participants" else self.timeline.add

    @property
    def records(self) -> int:
        """Count the records of all topics."""
        return sum(one.records for one in self.compacted.values()) + self.participants.records + self.timeline.records

    def leads_to(self, entity_id: str) -> str | None:
        """Follow what the entities topic says of an id to a living one; None where that leads nowhere."""
        passed: set[str] = set()
        while entity_id not in passed:
            passed.add(entity_id)
            document = self.compacted["entities"].document(entity_id)
            if document is None:
                known = entity_id in self.compacted["entities"].last
                return self._expected.living(entity_id) if known and self._tombstones else None
            if document.get("status") == "active":
                return entity_id
            entity_id = str(document.get("merged_into"))
        return None

    def differences(self, shards: int) -> Iterator[Difference]:
        """Compare, after the last record."""
        living = dict(self._expected.entity_documents())
        yield from self._documents("entities", living.items(), shards, self._ended)
        yield from self._documents("identifiers", self._expected.identifier_documents(), shards, self._ghost)
        yield from self._documents("memberships", self._expected.membership_documents(), shards, self._ghost)
        yield from self.participants.differences()
        yield from self.timeline.differences()

    def _documents(
        self,
        word: str,
        wanted: Iterable[tuple[str, dict[str, Any]]],
        shards: int,
        of_others: Callable[[str, str], Iterator[Difference]],
    ) -> Iterator[Difference]:
        topic, known = self.compacted[word], set()
        yield from topic.problems
        for key, document in wanted:
            known.add(key)
            found = topic.document(key)
            if found is None:
                what = "the topic has only a tombstone for it" if key in topic.last else "the log has it, the topic has not"
                yield Difference(f"{word}.missing", key, what)
                continue
            yield from compare_documents(word, key, document, found)
            shard = self._shard(word, document, shards)
            if topic.last[key].partition != shard:
                yield Difference(f"{word}.shard", key, f"it belongs in partition {shard}, and is in {topic.last[key].partition}")
        for key in topic.last.keys() - known:
            yield from of_others(word, key)

    def _shard(self, word: str, document: dict[str, Any], shards: int) -> int:
        if word == "identifiers":
            digest = self._expected.usable.told_digest(document["entity_type"], document["type"], document["value"])
        else:
            digest = founding_digest(document["entity_id" if word == "entities" else "person_id"]) or b""
        return int.from_bytes(digest[:4], "big") % shards

    def _ghost(self, word: str, key: str) -> Iterator[Difference]:
        if self.compacted[word].last[key].value is not None:
            yield Difference(f"{word}.ghost", key, "the topic has it, the log has not")

    def _ended(self, word: str, key: str) -> Iterator[Difference]:
        """Check an id that is not living: it must lead to the living entity of its founding identifier."""
        number = self._expected.by_digest.get(founding_digest(key) or b"")
        if number is None and founding_digest(key) in self._expected.erased.former:
            yield from self._erased(word, key)
            return
        if number is None or self._expected.usable.entity_id(self._expected.identifiers[number]) != key:
            yield from self._ghost(word, key)
            return
        if number in self._expected.off:
            yield from self._split(word, key, number)
            return
        name, living = self._expected.identifiers[number], self._expected.ids[self._expected.seen[number].founder]
        document = self.compacted[word].document(key)
        if document is None:
            if not self._tombstones:
                yield Difference(f"{word}.tombstone", key, f"it ended and should say so; {name.key} belongs to {living} now")
        elif document.get("status") == "active":
            yield Difference(f"{word}.ghost", key, f"it is said to be active, but {name.key} belongs to {living} now")
        elif document | {"merged_into": ""} != {"entity_id": key, "entity_type": name.entity_type, "status": "merged", "merged_into": ""}:
            yield Difference(f"{word}.ended", key, f"it should say that it was merged; found {shorten(str(document))}")
        elif self.leads_to(key) != living:
            yield Difference(f"{word}.redirect", key, f"it leads to {self.leads_to(key)}, but {name.key} belongs to {living} now")

    def _erased(self, word: str, key: str) -> Iterator[Difference]:
        """Check an id of which an erasure left nothing; a recovery may have retired it."""
        document = self.compacted[word].document(key)
        if document is not None and document | {"entity_type": ""} != {"entity_id": key, "entity_type": "", "status": "erased"}:
            yield Difference(f"{word}.erased", key, f"nothing of it should be left but that it was erased; found {shorten(str(document))}")

    def _split(self, word: str, key: str, number: int) -> Iterator[Difference]:
        """Check an id whose founding identifier connects nothing: whom it names, if anybody, was once joined with it."""
        name, successors = self._expected.identifiers[number], self._expected.successors[number]
        document = self.compacted[word].document(key)
        if document is None:
            if not self._tombstones:
                yield Difference(f"{word}.tombstone", key, f"it ended and should say so; {name.key} connects nothing")
            return
        frame = {"entity_id": key, "entity_type": name.entity_type, "status": "split", "successors": []}
        named = document.get("successors")
        if document | {"successors": []} != frame or not isinstance(named, list) or named != sorted({str(one) for one in named}):
            yield Difference(f"{word}.ended", key, f"it should say that it was split; found {shorten(str(document))}")
        elif any(not self._expected.once_joined(str(one), number) for one in named):
            text = f"it names {shorten(str(named))}, but what {name.key} was seen with belongs to {shorten(str(sorted(successors)))}"
            yield Difference(f"{word}.successors", key, text)


class Participants:
    """The participants topic: each record's entity must lead to the one that its identifiers belong to now.

    Or to one of which guards have parted it since: who is connected by links, of whatever is off and refused too, was one for a while.
    """

    def __init__(self, expected: Expected, leads_to: Callable[[str], str | None], *, recovered: bool = False) -> None:
        """`leads_to` follows an id to a living one; it is asked from the first record on.

        Where Redis has `recovered`, a record may name an id that Redis forgot before it was told and that the replay never
        issued. The replay wrote another record for the same key, and only the last one counts.
        """
        self._expected = expected
        self._leads_to = leads_to
        self._recovered = recovered
        self._nowhere: dict[bytes, str] = {}
        self._living: dict[str, str | None] = {}
        self._partitions: dict[bytes, int] = {}
        self._problems: list[Difference] = []
        self.records = 0

    def add(self, record: Record) -> None:
        """Take the next record in."""
        self.records += 1
        key = record.key or b""
        parts = self._expected.participants.get(key)
        if self._partitions.setdefault(key, record.partition) != record.partition:
            self._problem("partition", key, f"it is in partitions {self._partitions[key]} and {record.partition}")
        if key in self._expected.erased.participants:
            return
        if parts is None:
            if record.value is not None:
                self._problem("ghost", key, "the topic has it, the log has not")
            return
        document = read_object(record.value) if record.value is not None else None
        if document is None:
            self._problem("unreadable", key, "its record is no JSON object")
            return
        wrong = [self._wrong(key, one, document) for one in (parts if isinstance(parts, set) else {parts})]
        self._nowhere.pop(key, None)
        if all(wrong):
            kind, text = str(wrong[0]).split(": ", 1)
            if self._recovered and kind == "entity" and self._leads_to(str(document.get("entity_id"))) is None:
                self._nowhere[key] = text
            else:
                self._problem(kind, key, text)

    def differences(self) -> Iterator[Difference]:
        """Give what was wrong, and what is missing."""
        for key, text in self._nowhere.items():
            self._problem("entity", key, text)
        yield from self._problems
        for key in self._expected.participants.keys() - self._partitions.keys():
            parts = self._expected.participants[key]
            if key in self._expected.erased.participants:
                continue
            if any(self._expected.owner(one[0]) < 0 for one in (parts if isinstance(parts, set) else {parts})):
                continue
            yield Difference("participants.missing", key.decode("utf-8", "replace"), "the log has it, the topic has not")

    def _wrong(self, key: bytes, part: Part, document: dict[str, Any]) -> str:
        identifiers, role, at = part
        centre = identifiers[0]
        named = ":".join(str(document.get(name)) for name in ("source", "event_id", "index")).encode()
        if named != key or document.get("role") != role or milliseconds(str(document.get("occurred_at"))) != at:
            return f"document: its event has role {role!r} there; found {shorten(str(document))}"
        if document.get("entity_type") != self._expected.identifiers[centre].entity_type:
            return f"document: it is a {self._expected.identifiers[centre].entity_type}; found {document.get('entity_type')}"
        said = str(document.get("entity_id"))
        if said not in self._living:
            self._living[said] = self._leads_to(said)
        wanted = self._expected.ids.get(self._expected.owner(identifiers))
        if self._living[said] != wanted and not self._expected.once_joined(said, centre):
            return f"entity: {said} leads to {self._living[said]}, but {self._expected.identifiers[centre].key} belongs to {wanted}"
        return ""

    def _problem(self, kind: str, key: bytes, text: str) -> None:
        self._problems.append(Difference(f"participants.{kind}", key.decode("utf-8", "replace"), text))


def compare_topics(
    expected: Expected, topics: Mapping[str, Iterable[Record]], shards: int, *, tombstones: bool = False, recovered: bool = False
) -> list[Difference]:
    """Compare all topics, given by their words (`entities` ...); a topic that is not given is empty."""
    found = Topics(expected, tombstones=tombstones, recovered=recovered)
    for word in (*COMPACTED, "participants", "timeline"):
        read = found.reader(word)
        for record in topics.get(word, ()):
            read(record)
    return list(found.differences(shards))


def compare_documents(word: str, key: str, wanted: dict[str, Any], found: dict[str, Any]) -> Iterator[Difference]:
    """Compare two documents field by field, and traits name by name. Equal is what is equal as JSON: 1 is not 1.0."""
    if _canonical(wanted) == _canonical(found):
        return
    for name in sorted(wanted.keys() | found.keys()):
        if name == "traits" and isinstance(found.get(name), dict):
            yield from _fields(f"{word}.trait", key, wanted[name], found[name])
        else:
            yield from _field(f"{word}.{name}", key, name, wanted, found)


def _fields(kind: str, key: str, wanted: dict[str, Any], found: dict[str, Any]) -> Iterator[Difference]:
    for name in sorted(wanted.keys() | found.keys()):
        yield from _field(kind, key, name, wanted, found)


def _field(kind: str, key: str, name: str, wanted: dict[str, Any], found: dict[str, Any]) -> Iterator[Difference]:
    here, there = (_canonical(side[name]).decode() if name in side else "nothing" for side in (wanted, found))
    if here != there:
        yield Difference(kind, key, f"{name} should be {shorten(here)}, found {shorten(there)}")


def _canonical(value: object) -> bytes:
    return canonical(value)
