from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest

from resolvers.errors import Rejected, SettingsError
from resolvers.evidence import MOST_IDENTIFIERS, MOST_NAME_CHARACTERS, MOST_TRAITS
from streams.adapters import BUILT_IN, Adapter, build_adapter
from streams.events import Event, Identifier, Membership, Origin, Participant
from streams.record import SourceRecord
from streams.settings import SourceSettings, TimeSettings

RECORD_MS = 1_704_164_645_678
RECORD_TIME = "2024-01-02T03:04:05.678Z"
DAY_MS = 86_400_000

ADA = Participant("person", "author", [Identifier("email", "ada@x.example")])


def record(value: bytes | None = b"{}", timestamp_ms: int = RECORD_MS) -> SourceRecord:
    return SourceRecord("raw.own", 2, 41, b"key", value, timestamp_ms)


def giving(monkeypatch: pytest.MonkeyPatch, result: Any, **source: Any) -> Adapter:
    module = ModuleType("own_adapters")
    module.__dict__["adapt"] = result if callable(result) else lambda _: result
    monkeypatch.setitem(sys.modules, "own_adapters", module)
    return build_adapter("own", SourceSettings(topic="raw.own", adapter="own_adapters:adapt", **source), TimeSettings())


def test_an_event_is_completed_from_its_record(monkeypatch: pytest.MonkeyPatch) -> None:
    event = Event("e1", "", "note written", "2024-01-01 10:00:00+02:00", participants=[ADA])
    assert giving(monkeypatch, event)(record()) == [
        Event(
            event_id="e1",
            source="own",
            name="note written",
            occurred_at="2024-01-01T08:00:00.000Z",
            recorded_at=RECORD_TIME,
            origin=Origin("raw.own", 2, 41),
            participants=[ADA],
        )
    ]


def test_an_event_without_id_and_time_gets_a_digest_and_the_records_time(monkeypatch: pytest.MonkeyPatch) -> None:
    (event,) = giving(monkeypatch, {"name": "note"})(record(b'{"a":1}'))
    assert event.event_id == hashlib.blake2b(b'{"a":1}', digest_size=16).hexdigest()
    assert event.occurred_at == RECORD_TIME


def test_several_events_without_ids_are_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    events = giving(monkeypatch, [{"name": "a"}, {"name": "b", "event_id": "own"}, {"name": "c"}])(record())
    digest = hashlib.blake2b(b"{}", digest_size=16).hexdigest()
    assert [event.event_id for event in events] == [f"{digest}-0", "own", f"{digest}-2"]


def test_the_result_may_be_a_generator_and_mix_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    def adapt(given: SourceRecord) -> Any:
        yield {"name": "as a dictionary", "occurred_at": 1_704_000_000}
        yield Event("2", "", f"{given.topic} at {given.offset}", "")

    events = giving(monkeypatch, adapt)(record())
    assert [(event.name, event.occurred_at) for event in events] == [
        ("as a dictionary", "2023-12-31T05:20:00.000Z"),
        ("raw.own at 41", RECORD_TIME),
    ]


@pytest.mark.parametrize("result", [None, [], ()])
def test_no_events_is_a_rejection(monkeypatch: pytest.MonkeyPatch, result: Any) -> None:
    with pytest.raises(Rejected, match="gave no events"):
        giving(monkeypatch, result)(record())


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ("text", "the adapter gave str"),
        (7, "the adapter gave int"),
        ([7], "event 0 of the adapter is int"),
        ({"name": 7}, r"event 0 of the adapter is not in the canonical form: Expected `str`, got `int` - at `\$.name`"),
        ({}, "missing required field `name`"),
        ({"name": " "}, "the event has no name"),
        ({"name": "n", "participant": []}, "unknown key 'participant'; allowed: event_id, source, name"),
        ({"name": "n", "participants": [{"entity": "person", "ids": []}]}, "in a participant has the unknown key 'ids'"),
        ({"name": "n", "participants": [{"entity": ""}]}, "a participant has no entity type"),
        ({"name": "n", "participants": [{"entity": "person", "identifiers": [{"type": "", "value": "x"}]}]}, "an identifier has no type"),
        ({"name": "n", "participants": [{"entity": "person", "identifiers": {"email": "x"}}]}, r"Expected `array`, got `object`"),
        ({"name": "n", "memberships": [{"member": 0, "group": 1}]}, "names participant 0, and the event has 0"),
        ({"name": "n", "value": {1, 2, object()}}, "cannot be written as JSON"),
        ({"name": "\ud800"}, "cannot be written as JSON"),
        ({"name": "n", "occurred_at": "soon"}, "occurred_at: 'soon' is not a time"),
        ({"name": "n", "occurred_at": True}, "occurred_at: bool is not a time"),
    ],
)
def test_a_wrong_shape_is_a_rejection_that_says_where(monkeypatch: pytest.MonkeyPatch, result: Any, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        giving(monkeypatch, result)(record())


def test_traits_that_are_nested_without_end_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    endless: dict[str, Any] = {}
    endless["self"] = endless
    with pytest.raises(Rejected, match="cannot be written as JSON"):
        giving(monkeypatch, {"name": "n", "participants": [{"entity": "person", "traits": endless}]})(record())


def test_one_bad_event_rejects_the_whole_record(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Rejected, match="event 1 of the adapter"):
        giving(monkeypatch, [{"name": "good"}, {"name": 5}])(record())


def test_a_function_may_reject_and_its_other_exceptions_pass_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def rejects(_: SourceRecord) -> None:
        raise Rejected("a draft")

    def fails(_: SourceRecord) -> None:
        raise KeyError("absent")

    with pytest.raises(Rejected, match="a draft"):
        giving(monkeypatch, rejects)(record())
    with pytest.raises(KeyError, match="absent"):
        giving(monkeypatch, fails)(record())


def test_a_function_keeps_no_hold_on_the_events_it_gave(monkeypatch: pytest.MonkeyPatch) -> None:
    event = Event("", "", "kept", "")
    giving(monkeypatch, event)(record())
    assert event == Event("", "", "kept", "")


def test_identifiers_are_trimmed_and_repeats_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    identifiers = [{"type": "email", "value": value} for value in (" a@x.example", "", "  ", "a@x.example", "A@x.example")]
    (event,) = giving(monkeypatch, {"name": "n", "participants": [{"entity": "person", "identifiers": identifiers}]})(record())
    assert event.participants[0].identifiers == [Identifier("email", "a@x.example"), Identifier("email", "A@x.example")]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"identifiers": [{"type": "email", "value": f"{n}@x.example"} for n in range(MOST_IDENTIFIERS + 1)]},
            "participant 0 has 201 identif",
        ),
        ({"traits": {str(n): n for n in range(MOST_TRAITS + 1)}}, "participant 0 has 501 traits, at most 500 are read"),
        ({"states": {str(n): "on" for n in range(MOST_TRAITS + 1)}}, "participant 0 has 501 states, at most 500 are read"),
        ({"traits": {"n" * (MOST_NAME_CHARACTERS + 1): 1}}, "a name of 257 characters, at most 256 are read"),
        ({"states": {"n" * (MOST_NAME_CHARACTERS + 1): "on"}}, "a name of 257 characters, at most 256 are read"),
    ],
)
def test_what_the_resolver_would_not_take_is_rejected_here(monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        giving(monkeypatch, {"name": "n", "participants": [{"entity": "person", **fields}]})(record())


def test_what_the_resolver_just_takes_is_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {
        "identifiers": [{"type": "email", "value": f"{n}@x.example"} for n in range(MOST_IDENTIFIERS)],
        "traits": {"n" * MOST_NAME_CHARACTERS: 1, **{str(n): n for n in range(MOST_TRAITS - 1)}},
    }
    assert len(giving(monkeypatch, {"name": "n", "participants": [{"entity": "person", **fields}]})(record())) == 1


def test_a_membership_of_somebody_without_identifiers_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = Participant("person")
    group = Participant("group", "", [Identifier("domain", "x.example")])
    event = Event("", "", "n", "", participants=[nobody, group, ADA], memberships=[Membership(0, 1), Membership(2, 1, "owner")])
    (completed,) = giving(monkeypatch, event)(record())
    assert completed.participants[0] == nobody
    assert completed.memberships == [Membership(2, 1, "owner")]


@pytest.mark.parametrize(
    ("occurred_ms", "reason"),
    [
        (-1, "occurred_at 1969-12-31T23:59:59.999Z lies before 1970-01-01T00:00:00.000Z"),
        (RECORD_MS + DAY_MS + 1, "lies more than 86400 seconds after the record's own time 2024-01-02T03:04:05.678Z"),
    ],
)
def test_times_outside_the_window_are_rejected(monkeypatch: pytest.MonkeyPatch, occurred_ms: int, reason: str) -> None:
    time = f"{occurred_ms / 1000:.3f}" if occurred_ms < 0 else str(occurred_ms)
    with pytest.raises(Rejected, match=reason):
        giving(monkeypatch, {"name": "n", "occurred_at": time})(record())


@pytest.mark.parametrize("occurred_ms", [0, RECORD_MS, RECORD_MS + DAY_MS])
def test_the_window_includes_its_ends(monkeypatch: pytest.MonkeyPatch, occurred_ms: int) -> None:
    assert giving(monkeypatch, {"name": "n", "occurred_at": occurred_ms})(record())


def test_a_record_without_a_timestamp_sets_no_upper_end(monkeypatch: pytest.MonkeyPatch) -> None:
    (event,) = giving(monkeypatch, {"name": "n", "occurred_at": "2999-01-01"})(record(timestamp_ms=-1))
    assert event.recorded_at is None
    with pytest.raises(Rejected, match="the event has no time, and neither has its record"):
        giving(monkeypatch, {"name": "n"})(record(timestamp_ms=-1))


def test_a_payload_setting_gives_the_function_the_payload(monkeypatch: pytest.MonkeyPatch) -> None:
    def adapt(given: SourceRecord) -> Any:
        assert given.value == b'{"b":2}'
        return {"name": "n"}

    assert giving(monkeypatch, adapt, payload="record")(record(b'{"record": "{\\"b\\": 2}"}'))


def test_a_function_of_three_parameters_gets_key_value_and_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def adapt(key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> Any:
        seen.append((key, value, headers))
        return {"name": "n"}

    given = SourceRecord("raw.own", 0, 0, b"key", b'{"a": {"b": 2}}', RECORD_MS, (("h", b"1"),))
    assert giving(monkeypatch, adapt)(given)
    assert giving(monkeypatch, adapt, payload="a")(given)
    assert seen == [(b"key", b'{"a": {"b": 2}}', [("h", b"1")]), (b"key", b'{"b":2}', [("h", b"1")])]


def test_a_function_may_have_parameters_of_its_own_that_nobody_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    def optional(given: SourceRecord, kind: str = "note", *, strict: bool = False) -> Any:
        return {"name": f"{kind} {given.offset} {strict}"}

    def two_optional(given: SourceRecord, kind: str = "note", zone: str = "UTC") -> Any:
        return {"name": f"{kind} {given.offset} {zone}"}

    def without_headers(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()) -> Any:
        return {"name": f"{key!r} {value!r} {len(headers)}"}

    def any_number(*given: SourceRecord) -> Any:
        return {"name": f"{len(given)}"}

    named = [giving(monkeypatch, one)(record())[0].name for one in (optional, two_optional, without_headers, any_number)]
    assert named == ["note 41 False", "note 41 UTC", "b'key' b'{}' 0", "1"]


@pytest.mark.parametrize("function", [lambda: None, lambda _key, _value: None, lambda _a, _b, _c, _d: None, lambda _, *, needed: needed])
def test_a_function_of_other_parameters_is_a_settings_error(monkeypatch: pytest.MonkeyPatch, function: Any) -> None:
    said = "sources.own.adapter: 'own_adapters:adapt' takes neither one record nor three parameters: key, value and headers"
    with pytest.raises(SettingsError, match=re.escape(said)):
        giving(monkeypatch, function)


@pytest.mark.parametrize(("value", "reason"), [(None, "no value"), (b"x" * (1 << 20) + b"x", "1,048,577 bytes")])
def test_own_functions_see_neither_tombstones_nor_giants(monkeypatch: pytest.MonkeyPatch, value: bytes | None, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        giving(monkeypatch, {"name": "n"})(record(value))


@pytest.mark.parametrize(
    ("adapter", "reason"),
    [
        ("nowhere.at_all:adapt", "sources.own.adapter: 'nowhere.at_all:adapt' cannot be imported: ModuleNotFoundError"),
        ("json:no_such_function", "cannot be imported: AttributeError"),
        ("json:decoder", "is not a plain function"),
        ("asyncio:sleep", "is not a plain function"),
        ("segmnt", "sources.own.adapter: 'segmnt' is not an adapter; allowed: gmail, google_calendar, mapping"),
    ],
)
def test_an_adapter_that_cannot_be_had_is_a_settings_error(adapter: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        build_adapter("own", SourceSettings(topic="raw.own", adapter=adapter), TimeSettings())


def test_a_window_that_is_no_time_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match=r"times\.earliest: 'ever' is not a time"):
        build_adapter("own", SourceSettings(topic="raw.own", adapter="segment"), TimeSettings(earliest="ever"))


def test_every_built_in_adapter_is_there() -> None:
    assert BUILT_IN == ("gmail", "google_calendar", "mapping", "segment", "shopify", "stripe")
