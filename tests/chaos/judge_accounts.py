"""Accounts: every record that was sent is in the event log as its event or among the dead letters, and nothing else is.

Pure functions over what was read. Neighbours: `judge_records` says what becomes of a record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from streams.verify import Difference
from tests.chaos.judge_read import Line, Seen
from tests.chaos.judge_records import as_written, canonical, event_of

Place = tuple[str, int, int]
"""(topic, partition, offset)."""

GOOD_COMMANDS = b"operator-"
"""The keys of commands that must be taken in begin like this; all others on the topic are none."""

ORIGINAL = "original-"


def check_accounts(
    seen: Seen, sent: Collection[bytes], names: Mapping[str, str], unacknowledged: Collection[bytes] = ()
) -> Iterator[Difference]:
    """Compare records, events and dead letters with one another and with what was sent.

    `unacknowledged` was sent too, but may be nowhere. `names` are the topics' names by word.
    """
    yield from _Accounts(seen, sent, names, unacknowledged).check()


class _Accounts:
    """One comparison."""

    def __init__(self, seen: Seen, sent: Collection[bytes], names: Mapping[str, str], unacknowledged: Collection[bytes]) -> None:
        self._topics = seen.topics
        self._names = names
        self._sent = set(sent)
        self._known = self._sent | set(unacknowledged)
        self._raw = {(line.partition, line.offset): line for line in seen.topics["raw"]}
        self._expected = {place: _expected(line) for place, line in self._raw.items()}
        self._letters: dict[Place, Line] = {}
        self._adapted: set[tuple[int, int]] = set()

    def check(self) -> Iterator[Difference]:
        yield from self._sources()
        yield from self._dead_letters()
        for line in self._topics["events"]:
            yield from self._event(line)
        yield from self._dropped()

    def _sources(self) -> Iterator[Difference]:
        """Compare what was sent with what the raw topic has: the pipeline can only answer for the latter."""
        there = {line.value for line in self._raw.values()}
        for value in self._sent - there:
            yield Difference("records.lost", _shown(value), "it was acknowledged, and is not on the raw topic")
        for line in self._raw.values():
            if line.value not in self._known:
                yield Difference("records.nowhere", _shown(line.value), f"nobody sent it, and it is at {line.place} of the raw topic")

    def _dead_letters(self) -> Iterator[Difference]:
        """Check each letter against the record that it says it is of, and remember which records have one."""
        words = {self._names[word]: word for word in ("raw", "events", "commands")}
        lines = {word: {(one.partition, one.offset): one for one in self._topics[word]} for word in words.values()}
        for letter in self._topics["dead-letters"]:
            topic, partition, offset = (letter.headers.get(f"source-{what}", b"").decode() for what in ("topic", "partition", "offset"))
            said = f"the letter at {letter.place}, of {topic}, partition {partition}, offset {offset}"
            if not letter.headers.get("error"):
                yield Difference("letters.reason", _shown(letter.value), f"{said}, gives no reason")
            place = (int(partition), int(offset)) if partition.isdecimal() and offset.isdecimal() else (-1, -1)
            record = lines[words[topic]].get(place) if topic in words else None
            if record is None and topic == self._names["commands"]:
                continue  # compaction may have taken it
            if record is None:
                yield Difference("letters.nowhere", _shown(letter.value), f"{said}: there is no such record")
            elif (record.key, record.value, dict(record.headers)) != (letter.key, letter.value, _original(letter)):
                yield Difference("letters.altered", _shown(record.value), f"{said}, has another key, value or headers")
            else:
                self._letters[topic, *place] = letter
            if topic == self._names["raw"] and letter.value not in self._known:
                yield Difference("letters.nowhere", _shown(letter.value), f"{said}: nobody sent this")

    def _event(self, line: Line) -> Iterator[Difference]:
        """Check that a record of the event log is the event that its source record must become, or a dead letter."""
        event = as_written(line.value) or {}
        origin = event.pop("origin", None)
        place = _origin(origin, self._names["raw"])
        wanted = self._expected.get(place)
        letter = self._letters.get((self._names["events"], line.partition, line.offset))
        recorded = event.pop("recorded_at", None)
        if wanted is not None and wanted == canonical(event):
            self._adapted.add(place)
            if letter is not None:
                yield Difference("letters.of_good", _shown(line.value), f"the event at {line.place} was right, and is a dead letter")
            if self._raw[place].value not in self._known:
                yield Difference("events.nowhere", _named(event), f"the event at {line.place} is of a record that nobody sent")
        elif letter is None and place in self._raw:
            what = "must be a dead letter" if wanted is None else f"must become {wanted[:400]}"
            text = f"the event at {line.place} is of {self._raw[place].place}, which {what}; found {canonical(event)[:400]}"
            yield Difference("events.altered", _named(event), text)
        elif letter is None:
            text = f"the event at {line.place} has the origin {origin} and was recorded at {recorded}: there is no such record"
            yield Difference("events.nowhere", _named(event), text)

    def _dropped(self) -> Iterator[Difference]:
        """Find records that nothing came of, and those of which the wrong thing did."""
        raw = self._names["raw"]
        for place, line in self._raw.items():
            lettered = (raw, *place) in self._letters
            if self._expected[place] is None and not lettered:
                yield Difference("records.dropped", _shown(line.value), f"bad, at {line.place} of the raw topic, and no dead letter")
            if self._expected[place] is not None and place not in self._adapted:
                yield Difference("records.dropped", _shown(line.value), f"good, at {line.place} of the raw topic, and not in the event log")
            if self._expected[place] is not None and lettered:
                reason = self._letters[raw, *place].headers["error"].decode("utf-8", "replace")
                yield Difference("letters.of_good", _shown(line.value), f"good, at raw {line.place}; its dead letter says: {reason}")
        for line in self._topics["commands"]:
            good, lettered = (
                (line.key or b"").startswith(GOOD_COMMANDS),
                (self._names["commands"], line.partition, line.offset) in self._letters,
            )
            if not good and not lettered:
                yield Difference("commands.dropped", _shown(line.value), f"bad, at {line.place} of the commands, and no dead letter")
            if good and lettered:
                yield Difference("letters.of_good", _shown(line.value), f"a good command, at {line.place}; it has a dead letter")


def _expected(line: Line) -> str | None:
    event = None if line.value is None else event_of(line.value, line.timestamp_ms)
    return None if event is None else canonical(event)


def _original(letter: Line) -> dict[str, bytes]:
    return {name.removeprefix(ORIGINAL): value for name, value in letter.headers.items() if name.startswith(ORIGINAL)}


def _origin(origin: object, topic: str) -> tuple[int, int]:
    """Read where an event says that its record lies; (-1, -1) where it does not say it."""
    match origin:
        case {"topic": str(named), "partition": int(partition), "offset": int(offset)} if named == topic:
            return partition, offset
        case _:
            return -1, -1


def _named(event: dict[str, Any]) -> str:
    return f"event {str(event.get('event_id'))[:80]}"


def _shown(value: bytes | None) -> str:
    """Show enough of a record to find it: most begin with their id."""
    return "tombstone" if value is None else repr(value[:80])[1:]
