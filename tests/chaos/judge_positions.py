"""Positions and rounds: what Redis says is done agrees with the logs, with the groups and with the versions told.

Pure functions over what was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from zlib import crc32

from streams.verify import Difference
from streams.verify.compacted import read_object
from tests.chaos.judge_read import Ends, Line, Seen

VERSIONED = ("entities", "identifiers", "memberships", "timeline")


def check_positions(seen: Seen) -> Iterator[Difference]:
    """Compare the positions of both logs with their ends, their records and what is committed."""
    for log, stage in (("events", "resolve"), ("commands", "commands")):
        lines = _last_before(seen.topics[log], {one: offset for (name, one), (offset, _) in seen.positions.items() if name == log})
        for partition in sorted({one for word, one in seen.ends if word == log} | {one for name, one in seen.positions if name == log}):
            name, end = f"{log}/{partition}", seen.ends.get((log, partition), 0)
            offset, checksum = seen.positions.get((log, partition), (0, 0))
            if offset > end:
                yield Difference("position.beyond", name, f"Redis is at {offset}, the log ends at {end}")
            last = lines.get(partition)
            if last is not None and crc32(last.value or b"") != checksum:
                text = f"Redis is at {offset} and keeps {checksum}; the record before it, at {last.place}, has {crc32(last.value or b'')}"
                yield Difference("position.checksum", name, text)
            committed = seen.committed.get((stage, partition), 0)
            if committed > offset:
                yield Difference("position.committed", name, f"Kafka has {committed} committed, Redis is at {offset}")
    for (stage, partition), committed in sorted(seen.committed.items()):
        if stage == "adapt" and committed > seen.ends.get(("raw", partition), 0):
            text = f"Kafka has {committed} committed, the log ends at {seen.ends.get(('raw', partition), 0)}"
            yield Difference("position.beyond", f"raw/{partition}", text)


def _last_before(lines: list[Line], offsets: Mapping[int, int]) -> dict[int, Line]:
    """Find the last record of each partition before an offset."""
    found: dict[int, Line] = {}
    for line in lines:
        if line.offset < offsets.get(line.partition, 0):
            found[line.partition] = line
    return found


def check_rounds(seen: Seen) -> Iterator[Difference]:
    """Compare the number of each shard's last round in Redis, as committed, and as the versions say it."""
    for (stage, shard), committed in sorted(seen.committed.items()):
        if stage == "rounds" and committed > seen.rounds.get(shard, 0):
            yield Difference(
                "rounds.redis", f"shard {shard}", f"Kafka has round {committed} committed, Redis is at {seen.rounds.get(shard, 0)}"
            )
    for word in VERSIONED:
        versions = [(version, line) for line in seen.topics[word] if (version := version_of(line)) is not None]
        yield from _rising(word, versions)
        yield from _committed(word, versions, seen)


def _rising(word: str, versions: list[tuple[int, Line]]) -> Iterator[Difference]:
    """Check that rounds come one after the other, whatever keys they tell: a partition has one writer at a time."""
    highest: dict[int, tuple[int, Line]] = {}
    for version, line in versions:
        before, earlier = highest.get(line.partition, (0, line))
        if version < before:
            text = f"version {version} at {line.place} comes after version {before} at offset {earlier.offset}"
            yield Difference("rounds.order", f"{word}, {_key(line)}", text)
        else:
            highest[line.partition] = version, line


def _committed(word: str, versions: list[tuple[int, Line]], seen: Seen) -> Iterator[Difference]:
    """Check that no version is above the round that is committed; each such version is named once."""
    reported = set()
    for version, line in versions:
        committed = seen.committed.get(("rounds", line.partition), 0)
        if version > committed and (line.partition, version) not in reported:
            reported.add((line.partition, version))
            text = f"version {version} at {line.place}, but the last round that Kafka has committed is {committed}"
            yield Difference("rounds.committed", f"{word}, {_key(line)}", text)


def check_open(ends: Ends) -> Iterator[Difference]:
    """Name the transactions that never ended."""
    for (topic, partition), (stable, end) in sorted(ends.items()):
        text = f"a transaction is open from offset {stable} on, the partition ends at {end}, and its time is over"
        yield Difference("transaction.open", f"{topic}/{partition}", text)


def version_of(line: Line) -> int | None:
    """Read the version that a record carries; a tombstone has none."""
    version = (read_object(line.value) or {}).get("version") if line.value is not None else None
    return version if isinstance(version, int) and not isinstance(version, bool) else None


def _key(line: Line) -> str:
    return (line.key or b"").decode("utf-8", "replace")
