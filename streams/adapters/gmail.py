"""Gmail: one message -> one event, `email sent`, whose sender and recipients are different persons.

Two forms are read: the message resource of the Gmail API (`payload.headers`), and the flat form of connectors
(`sender`, `recipients`, `cc`, `bcc`, `subject`, `date`). Persons of a message are related by the event and never
merged by it. The time is Gmail's own (`internalDate`), else the message's date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from email.errors import MessageError
from email.header import decode_header, make_header
from email.utils import parseaddr, parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from resolvers.errors import Rejected, Why
from streams.adapters.cast import Cast
from streams.adapters.decode import Document
from streams.adapters.fields import field, read_time, text
from streams.events import Event
from streams.record import SourceRecord
from streams.times import format_time

if TYPE_CHECKING:
    from streams.settings import SourceSettings

_ROLES: dict[str, tuple[str, ...]] = {
    "sender": ("from", "sender"),
    "recipient": ("recipients", "to"),
    "cc": ("cc",),
    "bcc": ("bcc",),
}
"""The role of a participant, and the fields or headers that name such people: the first that names anyone counts.

So the `Sender` of a mail header, a machine that sent it for the author, is nobody beside a `From`.
"""

_BRACKETED = re.compile(r"<([^<>]*@[^<>]*)>?")
_ADDRESS = re.compile(r"[^\s@<>,;:\"]+@[^\s@<>,;:\"]+")
_SEPARATOR = re.compile(r'(?<!\\)"|[,;]')
_ENCODED = re.compile(r"=\?[^?\s]+\?[bqBQ]\?[^?]*\?=")
_MAIL_DATE = re.compile(r"\s*(?:[A-Za-z]{3},?\s+)?\d{1,2}[\s-][A-Za-z]{3}[\s-].*", re.ASCII | re.DOTALL)
# The standard library's parser goes one call deeper with every parenthesis of a comment.
_DEEPEST_COMMENT = 10
_LONGEST_ENCODED = 20_000
_MILLISECONDS = re.compile(r"\d{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address as it was written, and the name beside it, if there is one."""

    address: str
    name: str | None = None


def build(name: str, source: SourceSettings) -> Callable[[Document, SourceRecord], list[Event]]:  # noqa: ARG001 - all are built alike
    """Build the adapter of one source; it has no options."""

    def adapt(document: Document, _record: SourceRecord) -> list[Event]:
        return [_message(name, document.body)]

    return adapt


def _message(source: str, body: dict[str, Any]) -> Event:
    written = _headers(body) if field(body, "payload", "headers") is not None else _fields(body)
    cast = Cast()
    for role, names in _ROLES.items():
        for mailbox in next((found for name in names if (found := _distinct(written.get(name)))), []):
            cast.person(role, mailbox.address, name=mailbox.name)
    if not cast.participants():
        raise Rejected("no address can be read: a message has `payload.headers`, or `sender` and `recipients`")
    return Event(
        event_id=text(body, "id") or "",
        source=source,
        name="email drafted" if _is_draft(body) else "email sent",
        occurred_at=_occurred_at(body, written.get("date")),
        type="email",
        description=_plain(text(written, "subject") or "") or None,
        participants=cast.participants(),
        memberships=cast.memberships(),
    )


def _fields(body: dict[str, Any]) -> dict[str, object]:
    return {name.lower(): value for name, value in body.items()}


def _headers(body: dict[str, Any]) -> dict[str, object]:
    """Give the values of each header; one that is there several times, as a list."""
    headers = field(body, "payload", "headers")
    found: dict[str, list[str]] = {}
    for header in headers if isinstance(headers, list) else []:
        name, value = text(header, "name"), text(header, "value")
        if name is not None and value is not None:
            found.setdefault(name.lower(), []).append(value)
    return {name: values if len(values) > 1 else values[0] for name, values in found.items()}


def _is_draft(body: dict[str, Any]) -> bool:
    labels = body.get("labelIds")
    return isinstance(labels, list) and "DRAFT" in labels


def _occurred_at(body: dict[str, Any], date: object) -> str:
    internal = text(body, "internalDate")
    if internal is not None and _MILLISECONDS.fullmatch(internal) is not None:
        # Always milliseconds here, so that a message of 1971 is not taken for seconds.
        try:
            return format_time(int(internal))
        except ValueError as error:
            raise Rejected(f"`internalDate`: {error}", Why.TIME) from error
    if internal is not None:
        return read_time(internal, "`internalDate`")
    if isinstance(date, list):
        date = date[0] if date else None
    return _mail_date(date) or read_time(date, "the date")


def _mail_date(date: object) -> str | None:
    """Read a date as mail headers write it, `Tue, 02 Jan 2024 03:04:05 +0100`; None for another form."""
    if not isinstance(date, str) or _MAIL_DATE.fullmatch(date) is None:
        return None
    try:
        moment = parsedate_to_datetime(date)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return format_time(int(moment.timestamp() * 1000))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _distinct(value: object) -> list[Mailbox]:
    """Give each address once; the first name that stands beside it counts."""
    found: dict[str, Mailbox] = {}
    for mailbox in _mailboxes(value):
        known = found.get(mailbox.address.casefold())
        if known is None or (known.name is None and mailbox.name is not None):
            found[mailbox.address.casefold()] = Mailbox((known or mailbox).address, mailbox.name)
    return list(found.values())


def _mailboxes(value: object) -> Iterator[Mailbox]:
    """Read one text of addresses, an object `{email, name}`, or a list of those."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str):
            yield from (mailbox for part in _split(item) if (mailbox := _mailbox(part)) is not None)
        elif isinstance(item, dict):
            parsed = _mailbox(text(item, "email") or text(item, "address") or "")
            if parsed is not None:
                yield Mailbox(parsed.address, text(item, "name") or parsed.name)


def _split(line: str) -> list[str]:
    """Split at the commas and semicolons that stand outside quotes; a quote that is never closed is a character."""
    marks = [match.start() for match in _SEPARATOR.finditer(line)]
    closed = sum(line[at] == '"' for at in marks) % 2 == 0
    parts: list[str] = []
    start, quoted = 0, False
    for at in marks:
        if line[at] == '"':
            quoted = closed and not quoted
        elif not quoted:
            parts.append(line[start:at])
            start = at + 1
    return [*parts, line[start:]]


def _mailbox(part: str) -> Mailbox | None:
    """Read `Name <a@b>` or `a@b`. Where both sides hold an address, the one in brackets counts."""
    bracketed = list(_BRACKETED.finditer(part))
    if not bracketed and part.count("(") > _DEEPEST_COMMENT:
        return None
    name, inner = (part[: bracketed[-1].start()], bracketed[-1][1]) if bracketed else parseaddr(part)
    address = inner.strip().removeprefix("mailto:")
    if _ADDRESS.fullmatch(address) is None:
        return None
    return Mailbox(address, _plain(name.strip().strip("\"'").replace('\\"', '"')) or None)


def _plain(value: str) -> str:
    """Unfold a header's text and decode its encoded words; what can't be decoded stays as it is."""
    if len(value) <= _LONGEST_ENCODED and _ENCODED.search(value) is not None:
        with suppress(MessageError, LookupError, ValueError):
            value = str(make_header(decode_header(value)))
    return " ".join(value.split())
