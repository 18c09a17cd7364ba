"""The `mapping` adapter: any JSON or CSV record, told by expressions in the settings.

All expressions are compiled once. An event's declared `name` and `occurred_at` must give something in every record;
everything else that is null or empty is left out. An event without an id gets a digest of its record.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from resolvers.errors import Rejected, SettingsError, Why
from streams.adapters.decode import Document
from streams.adapters.expression import Expression, compile_expression
from streams.adapters.participants import identifier_values, is_empty, number_of, text_of
from streams.events import Event, Identifier, Membership, Participant
from streams.record import SourceRecord
from streams.settings import SourceSettings
from streams.times import format_time, parse_time

EVENT_FIELDS = ("id", "name", "type", "description", "value", "value_unit", "significance", "occurred_at")
"""The keys that `event` of a mapping source takes."""

_FALSE = frozenset({"", "false", "f", "no", "n", "0"})


@dataclass(frozen=True, slots=True)
class _Participant:
    """A compiled participant mapping: pairs of name and expression."""

    index: int
    entity: str
    role: str
    identifiers: tuple[tuple[str, Expression], ...]
    traits: tuple[tuple[str, Expression], ...]
    states: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class _Membership:
    """A compiled membership mapping."""

    member: int
    group: int
    role: Expression | None
    ended: Expression | None


def build(name: str, source: SourceSettings) -> Callable[[Document, SourceRecord], list[Event]]:
    """Compile a source's mapping. Raises SettingsError naming the source and the key."""
    where = f"sources.{name}"
    fields = _event_fields(source.event, f"{where}.event")
    participants = _participants(source, where)
    memberships = _memberships(source, where)

    def read(document: Document, record: SourceRecord) -> list[Event]:  # noqa: ARG001 - every reader takes the record too
        body = document.body
        event = _event(fields, body, name)
        event.participants = [_participant(mapped, body) for mapped in participants]
        event.memberships = [_membership(mapped, body) for mapped in memberships]
        return [event]

    return read


def _event_fields(declared: dict[str, str], where: str) -> dict[str, Expression]:
    for key in declared:
        if key not in EVENT_FIELDS:
            raise SettingsError(f"{where}.{key}: unknown key; allowed: {', '.join(EVENT_FIELDS)}")
    return {key: compile_expression(text, f"{where}.{key}") for key, text in declared.items()}


def _participants(source: SourceSettings, where: str) -> list[_Participant]:
    if not source.participants:
        raise SettingsError(f"{where}.participants: a mapping needs at least one participant")
    return [
        _Participant(
            index,
            mapped.entity,
            mapped.role,
            _compiled(mapped.identifiers, f"{where}.participants[{index}].identifiers"),
            _compiled(mapped.traits, f"{where}.participants[{index}].traits"),
            _compiled(mapped.states, f"{where}.participants[{index}].states"),
        )
        for index, mapped in enumerate(source.participants)
    ]


def _memberships(source: SourceSettings, where: str) -> list[_Membership]:
    compiled = []
    for index, mapped in enumerate(source.memberships):
        key = f"{where}.memberships[{index}]"
        for side in (mapped.member, mapped.group):
            if not 0 <= side < len(source.participants):
                raise SettingsError(f"{key}: there is no participant {side}; allowed: 0 to {len(source.participants) - 1}")
        role = None if mapped.role is None else compile_expression(mapped.role, f"{key}.role")
        ended = None if mapped.ended is None else compile_expression(mapped.ended, f"{key}.ended")
        compiled.append(_Membership(mapped.member, mapped.group, role, ended))
    return compiled


def _compiled(expressions: dict[str, str], where: str) -> tuple[tuple[str, Expression], ...]:
    return tuple((name, compile_expression(text, f"{where}.{name}")) for name, text in expressions.items())


def _event(fields: dict[str, Expression], body: dict[str, Any], source: str) -> Event:
    found = {key: expression(body) for key, expression in fields.items()}
    return Event(
        event_id=_text("id", found) or "",
        source=source,
        name=_name(found, source),
        occurred_at=_time(found),
        type=_text("type", found),
        description=_text("description", found),
        value=_number("value", found),
        value_unit=_text("value_unit", found),
        significance=_whole_number("significance", found),
    )


def _name(found: dict[str, Any], default: str) -> str:
    if "name" not in found:
        return default
    text = _text("name", found)
    if text is None:
        raise Rejected("the event's name is missing: the source declares an expression for it, which gives nothing here")
    return text


def _text(key: str, found: dict[str, Any]) -> str | None:
    value = found.get(key)
    if value is None:
        return None
    if isinstance(value, dict | list):
        raise Rejected(f"the event's {key} is {_named(value)}; it should be text or a number")
    return text_of(value)


def _time(found: dict[str, Any]) -> str:
    if "occurred_at" not in found:
        return ""
    value = found["occurred_at"]
    if is_empty(value):
        raise Rejected("the event's occurred_at is missing: the source declares an expression for it, which gives nothing here", Why.TIME)
    if isinstance(value, str):
        return value  # it is read once, when the event is completed
    try:
        return format_time(parse_time(value))
    except ValueError as error:
        raise Rejected(f"occurred_at: {error}", Why.TIME) from error


def _number(key: str, found: dict[str, Any]) -> float | None:
    value = found.get(key)
    if value is None or is_empty(value):
        return None
    number = number_of(value)
    if number is None:
        raise Rejected(f"the event's {key} is {_named(value)}; it should be a number or the text of one")
    return number


def _whole_number(key: str, found: dict[str, Any]) -> int | None:
    number = _number(key, found)
    if number is None:
        return None
    if not number.is_integer() or abs(number) >= 1 << 53:
        raise Rejected(f"the event's {key} is {number}; it should be a whole number")
    return int(number)


def _participant(mapped: _Participant, body: dict[str, Any]) -> Participant:
    identifiers = []
    for kind, expression in mapped.identifiers:
        value = expression(body)
        if type(value) is str:
            identifiers.append(Identifier(kind, value))
        elif value is not None:
            what = f"the identifier {kind!r} of participant {mapped.index}"
            identifiers.extend(Identifier(kind, each) for each in identifier_values(value, what))
    return Participant(mapped.entity, mapped.role, identifiers, _traits(mapped, body), _states(mapped, body))


def _traits(mapped: _Participant, body: dict[str, Any]) -> dict[str, Any]:
    traits = {}
    for name, expression in mapped.traits:
        value = expression(body)
        if not is_empty(value):
            traits[name] = value
    return traits


def _states(mapped: _Participant, body: dict[str, Any]) -> dict[str, str]:
    states = {}
    for name, expression in mapped.states:
        value = expression(body)
        text = msgspec.json.encode(value).decode() if isinstance(value, dict | list) and value else text_of(value)
        if text is not None:
            states[name] = text
    return states


def _membership(mapped: _Membership, body: dict[str, Any]) -> Membership:
    role = None if mapped.role is None else mapped.role(body)
    if isinstance(role, dict | list):
        raise Rejected(f"the membership's role is {_named(role)}; it should be text")
    return Membership(mapped.member, mapped.group, text_of(role), mapped.ended is not None and _is_true(mapped.ended(body)))


def _is_true(value: object) -> bool:
    """Read JSON's truth, and the words that a CSV row has for it."""
    return value.strip().lower() not in _FALSE if isinstance(value, str) else bool(value)


def _named(value: object) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            text = repr(value)
            return text if len(text) <= 60 else text[:60] + "..."
