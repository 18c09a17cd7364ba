"""The stream keeps its promises, and what the judge expects of its records is what the adapter makes of them."""

from __future__ import annotations

import json
from collections import Counter

import orjson
import pytest

from resolvers.errors import Rejected
from streams.adapters import build_adapter
from streams.events import encode_event
from streams.record import SourceRecord
from streams.settings import settings_from
from streams.verify.instants import milliseconds
from streams.verify.recompute import recompute
from tests.chaos.judge_records import canonical, event_of
from tests.chaos.poison import SORTS
from tests.chaos.stream import HOUR_MS, START_MS, STEP_MS, Stream

COUNT = 6_000
NOW_MS = 1_767_225_600_000
SETTINGS = settings_from(Stream(1).settings_parts())


def test_a_seed_gives_the_same_records_however_they_are_asked_for() -> None:
    pieces = Stream(7)
    assert [*pieces.next(10), *pieces.next(0), *pieces.next(290)] == Stream(7).next(300)
    assert Stream(8).next(300) != Stream(7).next(300)


def test_poison_leaves_the_stream_as_it_is() -> None:
    poisoned = Stream(7)
    first = poisoned.next(100)
    assert poisoned.poison(50) == Stream(7).poison(50)
    assert [*first, *poisoned.next(100)] == Stream(7).next(200)


def test_about_fifteen_in_a_hundred_are_repeats_fifteen_late_and_one_bad() -> None:
    records = Stream(1).next(COUNT)
    events = {record: event_of(record, NOW_MS) for record in records}
    good = [event for event in events.values() if event is not None]
    late = [event for event in good if event["event_id"].startswith("r") and is_late(event)]  # others had no id, and are digests
    assert 0.12 < 1 - len(events) / COUNT < 0.17
    assert 0.12 < len(late) / COUNT < 0.17
    assert 0.005 < sum(event is None for event in events.values()) / COUNT < 0.02


def is_late(event: dict[str, str]) -> bool:
    return (milliseconds(event["occurred_at"]) or 0) <= START_MS + int(event["event_id"][1:]) * STEP_MS - HOUR_MS


def test_every_good_record_has_an_id_of_its_own() -> None:
    stream = Stream(1)
    records = {*stream.next(COUNT), *stream.poison(10 * len(SORTS))}
    ids = Counter(event["event_id"] for event in (event_of(record, NOW_MS) for record in records) if event is not None)
    assert ids.most_common(1)[0][1] == 1


def test_entities_merge_all_the_time_and_none_grows_for_ever() -> None:
    events = [event for event in (event_of(record, NOW_MS) for record in Stream(1).next(COUNT)) if event is not None]
    half, whole = (recompute([orjson.dumps(event) for event in part], SETTINGS) for part in (events[: COUNT // 2], events))
    first_ids = {key for key, _ in half.entity_documents()}
    still = {key for key, _ in whole.entity_documents()}
    assert len(first_ids - still) > len(first_ids) / 10
    assert 10 < max(len(entity.members) for entity in whole.entities.values()) <= 14  # what guards let
    assert len(whole.off) > 10
    assert max(Counter(group for _, group in whole.memberships).values()) > 50
    assert whole.counts.rejected == 0


@pytest.mark.parametrize("records", [Stream(2).next(3_000), Stream(2).poison(3 * len(SORTS))], ids=["stream", "poison"])
def test_the_judge_expects_what_the_adapter_makes(records: list[bytes]) -> None:
    adapt = build_adapter("crowd", SETTINGS.sources["crowd"], SETTINGS.times)
    for offset, value in enumerate(records):
        try:
            [event] = adapt(SourceRecord("raw.crowd", 0, offset, None, value, NOW_MS))
            written = json.loads(encode_event(event))
            made = canonical({name: one for name, one in written.items() if name not in {"origin", "recorded_at"}})
        except Rejected:
            made = None
        wanted = event_of(value, NOW_MS)
        assert (value[:200], wanted and canonical(wanted)) == (value[:200], made)


def test_poison_is_of_both_kinds() -> None:
    kinds = Counter(event_of(record, NOW_MS) is None for record in Stream(4).poison(len(SORTS)))
    assert kinds[True] > 40
    assert kinds[False] > 10
