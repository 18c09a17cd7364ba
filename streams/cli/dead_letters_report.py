"""What `nexus dead-letters` prints: lines for people and objects for JSON, as pure functions of what was found.

Invariant: nothing that came from outside reaches the terminal as it is: control characters are shown as their escapes.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from streams.dead_letters import ORIGINAL, readable
from streams.letters import original
from streams.letters.letter import texts
from streams.times import format_time

if TYPE_CHECKING:
    from streams.letters import Found, Letter, Report
    from streams.letters.ledger import Ledger

BYTES_SHOWN = 4 * 1024
NOT_SENT_SHOWN = 20
KINDS_SHOWN = 30
PIPED_WIDTH = 200
HEX_WIDTH = 32

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ABOUT = ("source", "adapter", "error", "error-type", "time")


def visible(text: str) -> str:
    """Show control characters, which could move the cursor or colour the terminal, as their escapes."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


def listed(ledger: Ledger, state: str, limit: int) -> Iterator[str]:
    """Write a list, and what it leaves out."""
    letters = ledger.letters()
    chosen = _in_state(ledger, letters, state)
    head = ("letter", "time", "source", "state", "reason")
    rows = [
        (str(letter.name), _time(letter.time_ms), letter.source or "-", _state(ledger, letter), letter.reason) for letter in chosen[-limit:]
    ]
    if rows:
        yield from table([head, *rows])
    yield from _left_out(ledger, letters, chosen, state)
    if len(chosen) > limit:
        yield f"these are the newest {limit:,} of {len(chosen):,}: see --limit and --summary"


def listed_json(ledger: Ledger, state: str, limit: int) -> dict[str, Any]:
    """Give a list as an object: `letters`, the newest last, and how many there are beside them."""
    letters = ledger.letters()
    chosen = _in_state(ledger, letters, state)
    return {
        "letters": [
            {
                "letter": str(letter.name),
                "time": _time(letter.time_ms),
                "source": letter.source,
                "reason": letter.reason,
                "state": _state(ledger, letter),
                "topic": letter.record.topic,
                "partition": letter.record.partition,
                "offset": letter.record.offset,
            }
            for letter in chosen[-limit:]
        ],
        **_counts(ledger, letters),
    }


def summed(ledger: Ledger, state: str, limit: int) -> Iterator[str]:
    """Write counts by source and reason, the most frequent first."""
    letters = ledger.letters()
    chosen = _in_state(ledger, letters, state)
    kinds = _kinds(chosen)
    rows = [(f"{one['letters']:,}", one["source"] or "-", one["first"], one["last"], one["reason"]) for one in kinds[:limit]]
    if rows:
        yield from table([("letters", "source", "first", "last", "reason"), *rows], right=(0,))
    yield from _left_out(ledger, letters, chosen, state)
    if len(kinds) > limit:
        yield f"these are the most frequent {limit:,} of {len(kinds):,} reasons: see --limit"


def summed_json(ledger: Ledger, state: str, limit: int) -> dict[str, Any]:
    """Give counts by source and reason as an object."""
    letters = ledger.letters()
    return {"reasons": _kinds(_in_state(ledger, letters, state))[:limit], **_counts(ledger, letters)}


def shown(found: Found) -> Iterator[str]:
    """Write everything about a letter."""
    said, came, letter = texts(found.record), original(found.record), found.letter
    if found.name != letter.name:
        yield f"{found.name} belongs to letter {letter.name}, of the same record"
    yield f"letter {letter.name}, {'replayed' if found.receipts else 'waiting'}"
    facts = [(name, said[name]) for name in _ABOUT if said.get(name)]
    facts.append(("record", f"{letter.record.topic or '-'}, partition {letter.record.partition}, offset {letter.record.offset}"))
    facts.append(("record time", _time(came.timestamp_ms)))
    facts += [(f"header {name}", _short(value)) for name, value in came.headers]
    facts.append(("key", _short(came.key)))
    facts += [("sent back", f"{receipt.time} to {receipt.to}") for receipt in found.receipts]
    width = max(len(name) for name, _ in facts)
    yield from (f"  {visible(name):<{width}}  {visible(text)}" for name, text in facts)
    yield from _value(came.value)
    if "traceback" in said:
        yield "  traceback:"
        yield from (f"    {visible(line)}" for line in said["traceback"].splitlines())


def shown_json(found: Found) -> dict[str, Any]:
    """Give everything about a letter as an object; bytes that are no text as `{"base64": ...}`."""
    came = original(found.record)
    return {
        "letter": str(found.letter.name),
        "state": "replayed" if found.receipts else "waiting",
        "headers": {name: readable(value) for name, value in found.record.headers if not name.startswith(ORIGINAL)},
        "record": {
            "topic": found.letter.record.topic,
            "partition": found.letter.record.partition,
            "offset": found.letter.record.offset,
            "timestamp": _time(came.timestamp_ms),
            "headers": [[name, readable(value)] for name, value in came.headers],
            "key": readable(came.key),
            "value": readable(came.value),
        },
        "receipts": [{"letter": str(one.letter), "time": one.time, "to": one.to} for one in found.receipts],
    }


def replayed(report: Report, *, dry_run: bool) -> Iterator[str]:
    """Write what was sent back, or would be."""
    counts, word = (report.to_send, "would be sent back") if dry_run else (report.sent, "sent back")
    yield f"{_letters(counts.total())} {word}:" if counts else f"nothing {word}"
    rows = [(f"{count:,}", source or "-", f"to {topic}", reason) for (source, reason, topic), count in counts.most_common(KINDS_SHOWN)]
    yield from (f"  {line}" for line in table(rows, right=(0,)))
    if len(counts) > KINDS_SHOWN:
        yield f"  and {len(counts) - KINDS_SHOWN:,} more reasons"
    if report.passed_over:
        yield f"{_letters(report.passed_over)} passed over, replayed already: --again sends them once more"
    if report.not_sent:
        yield f"{_letters(len(report.not_sent))} can't be sent back:"
        yield from (f"  {one.letter.name}  {visible(one.why)}" for one in report.not_sent[:NOT_SENT_SHOWN])
        if len(report.not_sent) > NOT_SENT_SHOWN:
            yield f"  and {len(report.not_sent) - NOT_SENT_SHOWN:,} more"
    if not (counts or report.passed_over or report.not_sent):
        yield _nothing(report.sources)
    yield from (f"note: {line}" for line in report.warnings)


def replayed_json(report: Report, *, dry_run: bool) -> dict[str, Any]:
    """Give what was sent back, or would be, as an object."""
    counts = report.to_send if dry_run else report.sent
    return {
        "dry_run": dry_run,
        "to_send": report.to_send.total(),
        "sent": report.sent.total(),
        "by": [
            {"source": source, "reason": reason, "topic": topic, "letters": count}
            for (source, reason, topic), count in counts.most_common()
        ],
        "passed_over": report.passed_over,
        "not_sent": [{"letter": str(one.letter.name), "why": one.why} for one in report.not_sent],
        "notes": report.warnings,
    }


def table(rows: Sequence[tuple[str, ...]], right: tuple[int, ...] = ()) -> Iterator[str]:
    """Lay out rows in columns, one line a row; the last column is cut where the terminal ends."""
    shown_rows = [tuple(visible(cell).replace("\n", " ") for cell in row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown_rows, strict=True)][:-1]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPED_WIDTH
    left = max(20, room - sum(widths) - 2 * len(widths) - 2)
    for row in shown_rows:
        cells = [cell.rjust(width) if index in right else cell.ljust(width) for index, (cell, width) in enumerate(zip(row, widths))]  # noqa: B905 - the last has no width
        last = row[-1] if len(row[-1]) <= left else row[-1][: left - 3] + "..."
        yield "  ".join([*cells, last]).rstrip()


def _in_state(ledger: Ledger, letters: Iterable[Letter], state: str) -> list[Letter]:
    return [letter for letter in letters if state in ("all", _state(ledger, letter))]


def _state(ledger: Ledger, letter: Letter) -> str:
    return "replayed" if ledger.went_back(letter) else "waiting"


def _counts(ledger: Ledger, letters: Sequence[Letter]) -> dict[str, int]:
    states = Counter(_state(ledger, letter) for letter in letters)
    return {"waiting": states["waiting"], "replayed": states["replayed"]}


def _kinds(letters: Iterable[Letter]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], list[int]] = {}
    for letter in letters:
        found.setdefault((letter.source, letter.reason), []).append(letter.time_ms)
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        {"letters": len(times), "source": source, "first": _time(min(times)), "last": _time(max(times)), "reason": reason}
        for (source, reason), times in ordered
    ]


def _left_out(ledger: Ledger, letters: Sequence[Letter], chosen: Sequence[Letter], state: str) -> Iterator[str]:
    """Say what there is where nothing is shown, and what is hidden by its state."""
    if not letters:
        yield _nothing(ledger.sources())
        return
    hidden = len(letters) - len(chosen)
    if hidden:
        other = "replayed" if state == "waiting" else "waiting"
        yield (
            f"{_letters(hidden)} {other} and not shown: see --state" if chosen else f"none {state}; {_letters(hidden)} {other}: see --state"
        )


def _nothing(sources: Mapping[str, int]) -> str:
    if not sources:
        return "there are no dead letters"
    there = ", ".join(f"{count:,} of {visible(source) or '-'}" for source, count in sources.items())
    return f"no dead letter is like that; there are {there}"


def _letters(count: int) -> str:
    return f"{count:,} letter{'' if count == 1 else 's'}"


def _time(ms: int) -> str:
    try:
        return format_time(ms) if ms >= 0 else "-"
    except ValueError:
        return "-"


def _short(content: bytes | None) -> str:
    """Write bytes as one line."""
    if content is None:
        return "none"
    plain = readable(content)
    text = plain.replace("\n", "\\n") if isinstance(plain, str) else f"hex {content.hex()}"
    return text if len(text) <= PIPED_WIDTH else text[: PIPED_WIDTH - 3] + "..."


def _value(value: bytes | None) -> Iterator[str]:
    """Write a value: as text where it is text, else as bytes in hex with what can be read of them."""
    if value is None:
        yield "  no value: the record is a tombstone"
        return
    cut = f", the first {BYTES_SHOWN:,} (--json has all)" if len(value) > BYTES_SHOWN else ""
    some = value[:BYTES_SHOWN]
    try:
        value.decode()
    except UnicodeDecodeError:
        yield f"  value, {len(value):,} bytes that are no UTF-8{cut}:"
        for start in range(0, len(some), HEX_WIDTH // 2):
            piece = some[start : start + HEX_WIDTH // 2]
            readable = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
            yield f"    {start:06x}  {piece.hex(' '):<{HEX_WIDTH // 2 * 3}} {readable}"
    else:
        yield f"  value, {len(value):,} bytes{cut}:"
        yield from (f"    {visible(line)}" for line in some.decode(errors="ignore").split("\n"))
