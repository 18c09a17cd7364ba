from __future__ import annotations

from itertools import islice

import orjson

from streams.adapters import Adapter, build_adapter
from streams.bench.stream import RECORDS_PER_PERSON, SETTINGS, product_records, segment_records
from streams.events import Event
from streams.record import SourceRecord
from streams.settings import settings_from

ARRIVED_MS = 1_990_000_000_000


def adapter(source: str) -> Adapter:
    settings = settings_from(SETTINGS)
    return build_adapter(source, settings.sources[source], settings.times)


def adapted(source: str, value: bytes) -> list[Event]:
    return adapter(source)(SourceRecord("raw", 0, 0, None, value, ARRIVED_MS, ()))


def users(events: list[Event]) -> set[str]:
    return {one.value for event in events for one in event.participants[0].identifiers if one.type == "user_id"}


def test_the_same_records_come_every_time() -> None:
    assert list(product_records(100)) == list(product_records(100))


def test_records_are_as_long_as_a_product_s_events() -> None:
    lengths = [len(record) for record in product_records(2_000)]
    assert min(lengths) >= 300
    assert max(lengths) <= 520


def test_every_record_is_one_event_of_a_person_who_can_be_found_again() -> None:
    events = [adapted("product", record) for record in product_records(200)]
    assert {len(one) for one in events} == {1}
    assert all(event.participants[0].identifiers for (event,) in events)


def test_some_events_name_a_company_and_the_person_s_part_in_it() -> None:
    (event,) = next(told for record in product_records(100) if (told := adapted("product", record))[0].memberships)
    person, company = event.participants
    assert (person.entity, company.entity) == ("person", "group")
    assert company.identifiers[0].type == "domain"
    assert event.memberships[0].role in {"admin", "member"}


def test_both_sources_tell_of_the_same_people() -> None:
    products = [event for record in product_records(300) for event in adapted("product", record)]
    calls = [event for record in segment_records(300) for event in adapted("segment", record)]
    assert users(products) == users(calls)
    assert [event.event_id for event in products] == [event.event_id for event in calls]


def test_people_arrive_at_a_constant_rate() -> None:
    devices = [orjson.loads(record)["device"].split("-")[0] for record in product_records(8_000)]
    half = len(set(devices[:4_000]))
    assert 0.9 < (len(set(devices)) - half) / half < 1.1
    assert len(set(devices)) <= 8_000 / RECORDS_PER_PERSON + 1


def test_a_later_part_of_the_stream_has_other_ids() -> None:
    first, later = ({orjson.loads(record)["id"] for record in islice(product_records(50, at), 50)} for at in (0, 50))
    assert first.isdisjoint(later)
