"""Adapters: pure functions from a source record to events, or a rejection with a reason.

One module for each built-in format, with `build(name, source)`; the frame here does what all of them need. All
or nothing: either every event of a record is right or the record is rejected. The adapt stage calls what
`build_adapter` gives.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec

from resolvers.errors import SettingsError
from streams.adapters.complete import Window, complete
from streams.adapters.custom import load_function, read_events
from streams.adapters.decode import Document, Payload, check_size, compile_payload, decode
from streams.adapters.judge import Judge
from streams.events import Event
from streams.record import SourceRecord
from streams.settings import SourceSettings, TimeSettings

Adapter = Callable[[SourceRecord], list[Event]]
"""Gives at least one complete event, or raises Rejected. A user's own function may raise anything else too."""

Reader = Callable[[Document, SourceRecord], list[Event]]
"""What a built-in module's `build` gives: the events of one document, not yet completed. Raises Rejected.

An event with an empty `event_id` gets a digest of the record, one with an empty `occurred_at` the record's timestamp.
"""

BUILT_IN = ("gmail", "google_calendar", "mapping", "segment", "shopify", "stripe")
"""The names of the built-in adapters: each is a module of this package."""


def build_adapter(name: str, source: SourceSettings, times: TimeSettings, own_domains: Sequence[str] = ()) -> Adapter:
    """Build the adapter of the source called `name`, once at start. Raises SettingsError naming the key."""
    judge = Judge(source.significance, own_domains)
    window = Window.of(times.earliest, times.ahead_seconds)
    payload = compile_payload(source.payload, f"sources.{name}.payload")
    if source.adapter in BUILT_IN:
        read = _built_in(name, source, payload)
    elif ":" in source.adapter:
        read = _custom(name, source, payload)
    else:
        raise SettingsError(
            f"sources.{name}.adapter: {source.adapter!r} is not an adapter; "
            f"allowed: {', '.join(BUILT_IN)}, or your own as 'package.module:function'"
        )

    def adapt(record: SourceRecord) -> list[Event]:
        return [judge.judge(event) for event in complete(read(record), name, record, window)]

    return adapt


def _built_in(name: str, source: SourceSettings, payload: Payload | None) -> Adapter:
    module = importlib.import_module(f"{__name__}.{source.adapter}")
    reader: Reader = module.build(name, source)

    def read(record: SourceRecord) -> list[Event]:
        return reader(decode(record, payload), record)

    return read


def _custom(name: str, source: SourceSettings, payload: Payload | None) -> Adapter:
    """Hand over the record as it came; with a `payload` setting, its value is the payload's JSON instead."""
    function = load_function(source.adapter, f"sources.{name}.adapter")

    def read(record: SourceRecord) -> list[Event]:
        check_size(record)
        if payload is not None:
            record = replace(record, value=msgspec.json.encode(decode(record, payload).body))
        return read_events(function(record))

    return read
