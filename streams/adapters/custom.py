"""A user's own adapter: a function named `package.module:function`, and what it may give back.

The function takes a key, a value and headers, or one SourceRecord, and gives an Event, a dictionary in the canonical form, or
an iterable of those. It may raise Rejected with a reason; any other exception of its own passes through unchanged.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from resolvers.errors import Rejected, SettingsError, Why
from streams.adapters.decode import as_object, parse_json
from streams.events import Event, Identifier, Membership, Participant
from streams.record import SourceRecord
from streams.times import format_time, parse_time

CustomAdapter = Callable[[SourceRecord], object]
"""A user's function, called with a record: see the module's docstring for what it gives."""

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def load_function(path: str, where: str) -> CustomAdapter:
    """Import the function that `package.module:function` names. `where` is the settings key. Raises SettingsError.

    A function of three parameters is called with key, value and headers: bytes or None twice, and a list of pairs of str and bytes.
    """
    module_name, _, function_name = path.partition(":")
    try:  # importing runs the user's code, which may raise anything
        function = getattr(importlib.import_module(module_name), function_name)
    except Exception as error:
        raise SettingsError(
            f"{where}: {path!r} cannot be imported: {type(error).__name__}: {error}; "
            "the module must be on PYTHONPATH or installed beside nexus-streams"
        ) from error
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise SettingsError(f"{where}: {path!r} is not a plain function that takes a record and gives events")
    match _parameters(function):
        case 1:
            return function  # type: ignore[no-any-return]
        case 3:
            return lambda record: function(record.key, record.value, list(record.headers))
        case _:
            raise SettingsError(f"{where}: {path!r} takes neither one record nor three parameters: key, value and headers")


def _parameters(function: Callable[..., object]) -> int | None:
    """Say how many arguments to call a function with: one, or three where it names three; None where neither works."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # some functions that are written in C do not tell
        return None
    named = sum(one.kind in _POSITIONAL for one in signature.parameters.values())
    for count in (1, 3) if named == 3 else (1,):
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        return count
    return None


def read_events(result: object) -> list[Event]:
    """Turn what a custom adapter gave into events of its own copy. Raises Rejected for a wrong shape."""
    if result is None:
        return []
    if isinstance(result, Event | Mapping):
        return [_event(result, 0)]
    if isinstance(result, str | bytes) or not isinstance(result, Iterable):
        raise Rejected(f"the adapter gave {type(result).__name__}: it should give an event, a dictionary, or an iterable of those")
    return [_event(item, index) for index, item in enumerate(result)]


def _event(item: object, index: int) -> Event:
    if not isinstance(item, Event | Mapping):
        raise Rejected(f"event {index} of the adapter is {type(item).__name__}: it should be an event or a dictionary")
    what = f"event {index} of the adapter"
    try:
        encoded = msgspec.json.encode(dict(item) if isinstance(item, Mapping) else item)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise Rejected(f"{what} cannot be written as JSON: {error}") from error
    fields: dict[str, Any] = as_object(parse_json(encoded, what), what)
    _refuse_unknown(fields, what)
    for name in ("event_id", "source", "occurred_at"):
        fields[name] = "" if fields.get(name) is None else fields[name]
    if not isinstance(fields["occurred_at"], str):
        fields["occurred_at"] = _written(fields["occurred_at"], what)
    try:
        return msgspec.convert(fields, Event)
    except msgspec.ValidationError as error:
        raise Rejected(f"{what} is not in the canonical form: {error}") from error


def _written(time: object, what: str) -> str:
    try:
        return format_time(parse_time(time))
    except ValueError as error:
        raise Rejected(f"{what}: occurred_at: {error}", Why.TIME) from error


def _refuse_unknown(fields: dict[str, Any], what: str) -> None:
    """Raise Rejected for a misspelt key, which would otherwise be lost without a word."""
    _refuse_keys(fields, Event, what)
    for participant in _objects(fields.get("participants")):
        _refuse_keys(participant, Participant, f"{what}, in a participant")
        for identifier in _objects(participant.get("identifiers")):
            _refuse_keys(identifier, Identifier, f"{what}, in an identifier")
    for membership in _objects(fields.get("memberships")):
        _refuse_keys(membership, Membership, f"{what}, in a membership")


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _refuse_keys(fields: dict[str, Any], struct: type[msgspec.Struct], what: str) -> None:
    unknown = sorted(set(fields) - set(struct.__struct_fields__))
    if unknown:
        raise Rejected(f"{what} has the unknown key {unknown[0]!r}; allowed: {', '.join(struct.__struct_fields__)}")
