"""Google Calendar: one revision of a meeting -> one event, whose organizer and attendees are different persons.

The rule for name and time looks at nothing but the record, so that a replay agrees:

- a cancelled meeting is `meeting cancelled`, at the time of the revision (`updated`, else `created`);
- a meeting that starts after its revision is `meeting scheduled`, at the time of the revision: its start is still to
  come and may lie outside the window for times;
- every other meeting is `meeting held`, at its start.

Rooms and shared calendars are no persons.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from resolvers.errors import Rejected, Why
from streams.adapters.cast import Cast
from streams.adapters.decode import Document
from streams.adapters.fields import field, read_time, text
from streams.events import Event
from streams.record import SourceRecord

if TYPE_CHECKING:
    from streams.settings import SourceSettings

_CALENDAR_DOMAINS = ("@calendar.google.com", ".calendar.google.com")
_SHOWN = 60
_LOCAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?", re.ASCII)


def build(name: str, source: SourceSettings) -> Callable[[Document, SourceRecord], list[Event]]:  # noqa: ARG001 - all are built alike
    """Build the adapter of one source; it has no options."""

    def adapt(document: Document, _record: SourceRecord) -> list[Event]:
        return [_meeting(name, document.body)]

    return adapt


def _meeting(source: str, body: dict[str, Any]) -> Event:
    kind = text(body, "kind")
    if kind is not None and kind != "calendar#event":
        raise Rejected(f"`kind` is {kind[:_SHOWN]!r}, and should be 'calendar#event': send each event as a record of its own")
    if kind is None and text(body, "status") is None and field(body, "start") is None:
        raise Rejected("none of `kind`, `status` and `start`: this is no event of Google Calendar")
    name, occurred_at = _name_and_time(body)
    cast = Cast()
    for role, email, display_name in _people(body):
        cast.person(role, email, name=display_name)
    revision = [part for part in (text(body, "id"), text(body, "updated")) if part]
    return Event(
        event_id=":".join(revision) if text(body, "id") else "",
        source=source,
        name=name,
        occurred_at=occurred_at,
        type="meeting",
        description=text(body, "summary"),
        participants=cast.participants(),
        memberships=cast.memberships(),
    )


def _name_and_time(body: dict[str, Any]) -> tuple[str, str]:
    """Apply the rule at the top of this module. Times of the canonical form compare as texts."""
    revised = read_time(body.get("updated"), "`updated`") or read_time(body.get("created"), "`created`")
    if text(body, "status") == "cancelled":
        return "meeting cancelled", revised
    start = _start(body)
    if revised and start > revised:
        return "meeting scheduled", revised
    return ("meeting held", start) if start else ("meeting scheduled", revised)


def _start(body: dict[str, Any]) -> str:
    """Read the start: a time with its offset, a time in a named zone, or a day, which starts at midnight UTC."""
    moment, zone = field(body, "start", "dateTime"), text(body, "start", "timeZone")
    if moment is None:
        return read_time(field(body, "start", "date"), "`start.date`")
    if not isinstance(moment, str) or zone is None or _LOCAL.fullmatch(moment) is None:
        return read_time(moment, "`start.dateTime`")
    try:
        moment = datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(zone)).isoformat()
    except (ZoneInfoNotFoundError, ValueError, OSError, OverflowError) as error:
        raise Rejected(
            f"`start` is {moment!r} in {zone[:_SHOWN]!r}, which is no day or no time zone that is known here", Why.TIME
        ) from error
    return read_time(moment, "`start.dateTime`")


def _people(body: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    """Give each address once, with its strongest role (organizer, attendee, creator) and the first name beside it."""
    attendees = body.get("attendees")
    listed: list[object] = attendees if isinstance(attendees, list) else []
    persons = [person for person in listed if field(person, "resource") is not True]
    mentions = [
        *(("organizer", person) for person in persons if field(person, "organizer") is True),
        ("organizer", body.get("organizer")),
        *(("attendee", person) for person in persons),
        ("creator", body.get("creator")),
    ]
    found: dict[str, tuple[str, str, str | None]] = {}
    for role, person in mentions:
        email = text(person, "email")
        if email is None or email.casefold().endswith(_CALENDAR_DOMAINS):
            continue
        role, email, name = found.get(email.casefold(), (role, email, None))  # noqa: PLW2901 - the first role stays
        found[email.casefold()] = (role, email, name or text(person, "displayName"))
    return list(found.values())
