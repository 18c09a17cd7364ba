"""What `nexus demo` prints at the end: everybody with their identifiers and reasons, what was refused, how fast it went."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from streams.cli.layout import grid, tidy

if TYPE_CHECKING:
    from rich.console import Console

    from streams.demo import Correction, Findings, Found, Letter, Outcome, Reason, Unheard

_STORY = (
    "Mara came by laptop and by phone, pays by card, orders by telephone number and has a new address: one person.",
    "Jonas had two accounts until an alias joined them, with everything that each had gathered.",
    "info@northmill.example stands in the mails and bills of three people, and joins nobody.",
    "Mara's first visit arrived last, five weeks late. Her id became that of the visit; the former ones still lead to her.",
    "Jonas tried, paid, fell behind and left; that he had paid at all arrived last, and corrected his lifecycle.",
    "His account's place at Fernhollow Studio moved to the id that an alias gave him.",
    "An old row of the CRM came after the new one, and changed nothing. What was sent twice counts once.",
)
"""What to look for; tests/integration/test_demo.py keeps every line true."""

_NEXT = (
    ("nexus up", "a Kafka and a Redis that stay"),
    ("nexus adapt FILE --source NAME", "what an adapter makes of your own records, without Kafka"),
    ("nexus run --help", "your own files in, entities as files out"),
    ("docs/tutorial/first-entities.md", "the same by hand, in ten minutes"),
    ("make test", "any order, duplicates, several workers, restarts: the same answer"),
)


def report(console: Console, outcome: Outcome, seconds: float) -> None:
    """Print the whole report; `seconds` is how long all of it took."""
    with tidy(console):
        _everybody(console, outcome.findings)
        _title(console, "Connected nobody: junk and shared mailboxes")
        console.print(grid(_unheard(one) for one in outcome.findings.unheard))
        _title(console, "Dead letters: kept as they came, each with its reason")
        for letter in outcome.findings.letters:
            _letter(console, letter)
        _title(console, "How it went")
        console.print(grid((f"[dim]{name}[/]", told) for name, told in _numbers(outcome, seconds)))
        _title(console, "What to try next")
        console.print(grid((f"[bold]{escape(command)}[/]", why) for command, why in _NEXT))


def _everybody(console: Console, findings: Findings) -> None:
    persons = [one for one in findings.entities if one.entity_type == "person"]
    groups = [one for one in findings.entities if one.entity_type != "person"]
    _title(console, f"Who came out: {len(persons)} persons, {len(groups)} companies")
    console.print(grid(("-", escape(line)) for line in _STORY))
    for found in (*persons, *groups):
        _entity(console, found)


def _title(console: Console, text: str) -> None:
    console.print()
    console.print(f"[bold reverse] {text} [/]" if console.is_terminal else f"== {text} ==")


def _entity(console: Console, found: Found) -> None:
    console.print()
    console.print(f"[bold green]{escape(found.name)}[/]  [dim]{found.entity_id}[/]")
    rows = [(f"[dim]{one.type}[/]", escape(one.value), f"[cyan]{', '.join(one.sources)}[/]") for one in found.identifiers]
    console.print(grid(rows))
    console.print(grid((f"[dim]{name}[/]", escape(told)) for name, told in _facts(found)))
    if found.states:
        console.print(grid((f"[dim]{name}[/]", escape(_history(history))) for name, history in found.states.items()))
    for correction in found.corrections:
        console.print(grid([("[yellow]corrected[/]", escape(_corrected(correction)))]))
    if found.reasons:
        console.print(f"  [yellow]{'one person' if found.entity_type == 'person' else 'one company'}, because[/]")
        console.print(grid((_reason(reason) for reason in found.reasons), 4))


def _facts(found: Found) -> Iterator[tuple[str, str]]:
    known = {"name", *(one.type for one in found.identifiers)}
    if traits := ", ".join(f"{name} {value}" for name, value in found.traits.items() if name not in known):
        yield "traits", traits
    if members := ", ".join(one.name + (f" ({one.role})" if one.role else "") for one in found.memberships):
        yield ("belongs to" if found.entity_type == "person" else "members"), members
    yield "seen", f"{_day(found.first_seen)} to {_day(found.last_seen)}"
    if found.former_ids:
        yield "former ids", f"{', '.join(found.former_ids)}: still lead here"


def _history(history: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{value} {_short(since)}" for value, since in history)


def _corrected(one: Correction) -> str:
    """Say what a late event changed."""
    old, new = (
        ", ".join(f"{value} {_short(since)} to {_short(until) if until else 'now'}" for value, since, until in side) or "nothing"
        for side in (one.old, one.new)
    )
    return f"{one.state}: {old} became {new}, by {one.source} {one.event_id}, which came late"


def _reason(reason: Reason) -> tuple[str, ...]:
    values = " [yellow]=[/] ".join(escape(value) for _, value in reason.identifiers)
    return f"[dim]{_minute(reason.occurred_at)}[/]", f"[cyan]{reason.source}[/]", escape(reason.event), values


def _unheard(one: Unheard) -> tuple[str, ...]:
    return f"[dim]{one.type}[/]", escape(one.value), f"{one.participants} times", f"[cyan]{', '.join(one.sources)}[/]"


def _letter(console: Console, letter: Letter) -> None:
    console.print(grid([(f"[cyan]{letter.source:<8}[/]", f"[red]{escape(letter.reason)}[/]")]))
    excerpt = Text(letter.excerpt, style="dim", no_wrap=True, overflow="ellipsis")
    console.print(Padding(excerpt, (0, 0, 0, 12), expand=False))


def _numbers(outcome: Outcome, seconds: float) -> Iterator[tuple[str, str]]:
    yield "records", f"{outcome.records}, {outcome.records_per_second:.0f} a second, slowed down so that they could be watched (--pace)"
    yield "events", f"{outcome.events}; what they changed is told by {outcome.timeline} records of the timeline"
    if outcome.first_entity is not None:
        yield "first entity", f"{outcome.first_entity:.2f} s after the first record"
    yield "settled", f"{outcome.settled:.2f} s after the last record"
    if outcome.differences:
        yield "[red]verified[/]", escape("\n".join(outcome.differences))
    else:
        yield "verified", "recomputed from the event log by other means: no difference"
    yield "in all", f"{seconds:.0f} s, with starting and stopping Kafka, Redis and the worker"


def _day(instant: str) -> str:
    return datetime.fromisoformat(instant).strftime("%d %b %Y")


def _short(instant: str) -> str:
    return datetime.fromisoformat(instant).strftime("%d %b")


def _minute(instant: str) -> str:
    return datetime.fromisoformat(instant).strftime("%d %b %H:%M")
