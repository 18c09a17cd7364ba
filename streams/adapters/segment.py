"""The `segment` adapter: calls of the Segment specification, also as RudderStack and Jitsu send them.

identify, track, page, screen, alias and group, alone or in a `batch`. One person takes part in each call; a `group`
call, and `context.groupId` on any other, adds a group and the person's membership in it.

Source: the Segment specification, https://segment.com/docs/connections/spec/.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from resolvers.errors import Rejected
from streams.adapters.decode import Document
from streams.adapters.participants import number_of, text_of, traits_of
from streams.adapters.segment_fields import any_id, message_time, section
from streams.adapters.segment_person import person_identifiers, person_traits, previous_identifier
from streams.events import Event, Identifier, Membership, Participant
from streams.record import SourceRecord
from streams.settings import SourceSettings

KINDS = ("identify", "track", "page", "screen", "alias", "group")
"""The calls that are read."""

_JITSU_KINDS = {"pageview": "page", "user_identify": "identify"}
_EVENT_ID = (("messageId",), ("message_id",), ("event_id",), ("eventn_ctx", "event_id"), ("eventn_ctx_event_id",))
_KIND_FIELDS = ("type", "event_type", "action")
_VALUE_FIELDS = ("revenue", "value", "total")
_DOMAIN_FIELDS = ("website", "domain")
_SHARED_IN_BATCH = ("context", "sentAt", "receivedAt")
_MEMBERSHIP_BEGINS = "account added user"
_MEMBERSHIP_ENDS = "account removed user"


def build(name: str, source: SourceSettings) -> Callable[[Document, SourceRecord], list[Event]]:  # noqa: ARG001 - nothing to set
    """Give the reader of Segment calls."""

    def read(document: Document, record: SourceRecord) -> list[Event]:  # noqa: ARG001 - every reader takes the record too
        body = document.body
        if "batch" not in body:
            return [_event(body, name)]
        return _batch(body, name)

    return read


def _batch(body: dict[str, Any], source: str) -> list[Event]:
    messages = body["batch"]
    if not isinstance(messages, list) or not messages:
        raise Rejected("the batch is not a list of at least one call")
    shared = {key: body[key] for key in _SHARED_IN_BATCH if key in body}
    events = []
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise Rejected(f"call {index} of the batch is not an object")
        try:
            events.append(_event({**shared, **message}, source))
        except Rejected as error:
            raise Rejected(f"call {index} of the batch: {error}", error.why) from error
    return events


def _event(message: dict[str, Any], source: str) -> Event:
    if not isinstance(message.get("user", {}), dict):
        message = {key: value for key, value in message.items() if key != "user"}  # only Jitsu's `user` means something
    kind, called = _kind(message)
    properties = section(message, "properties")
    event = Event(
        event_id=any_id(message, *_EVENT_ID) or "",
        source=source,
        name=_name(kind, called, message),
        occurred_at=message_time(message),
        type=kind,
        participants=[_person(kind, message)],
    )
    if kind in {"page", "screen"}:
        event.description = text_of(message.get("name")) or text_of(properties.get("title")) or text_of(properties.get("url"))
    if kind == "track":
        _add_value(event, properties)
    _add_group(event, kind, message, properties)
    return event


def _kind(message: dict[str, Any]) -> tuple[str, str]:
    """Give the kind of call, and the word that the message has for it.

    Older Segment libraries write `action`. Jitsu writes the event's own name into `event_type`, beside a `user`.
    """
    called = any_id(message, *((field,) for field in _KIND_FIELDS))
    if called is None:
        raise Rejected(f"the call has no `type`; it should be one of {', '.join(KINDS)}")
    kind = _JITSU_KINDS.get(called.lower(), called.lower())
    if kind in KINDS:
        return kind, called
    if section(message, "user") and called == message.get("event_type"):
        return "track", called
    raise Rejected(f"the call's type {called!r} is not known; allowed: {', '.join(KINDS)}")


def _name(kind: str, called: str, message: dict[str, Any]) -> str:
    if kind != "track":
        return kind
    name = text_of(message.get("event")) or (called if called.lower() != "track" else None)
    if name is None:
        raise Rejected("the track call has no `event`, which is the event's name")
    return name


def _person(kind: str, message: dict[str, Any]) -> Participant:
    traits = person_traits(message, kind)
    identifiers = person_identifiers(message, traits)
    if kind == "alias":
        identifiers.append(previous_identifier(message))
    return Participant("person", "user", identifiers, traits)


def _add_value(event: Event, properties: dict[str, Any]) -> None:
    """Take the first amount that is a number; without one the currency says nothing."""
    amounts = (number_of(properties.get(field)) for field in _VALUE_FIELDS)
    event.value = next((amount for amount in amounts if amount is not None), None)
    if event.value is not None:
        event.value_unit = text_of(properties.get("currency"))


def _add_group(event: Event, kind: str, message: dict[str, Any], properties: dict[str, Any]) -> None:
    traits: dict[str, Any] = {}
    group_id = any_id(message, ("groupId",), ("group_id",), ("context", "groupId"), ("context", "group_id"))
    if kind == "group":
        traits = traits_of(section(message, "traits"))
        if group_id is None:
            raise Rejected("the group call has no `groupId`")
    if group_id is None:
        return
    domains = [text_of(traits.get(field)) for field in _DOMAIN_FIELDS]
    identifiers = [Identifier("group_id", group_id), *(Identifier("domain", domain) for domain in domains if domain is not None)]
    event.participants.append(Participant("group", "group", identifiers, traits))
    named = event.name.lower()
    role = text_of(properties.get("role")) if named == _MEMBERSHIP_BEGINS else None
    event.memberships.append(Membership(0, 1, role, ended=named == _MEMBERSHIP_ENDS))
