from __future__ import annotations

import pytest

from streams.adapters import build_adapter
from streams.adapters.preview import Adapted, Refused, preview
from streams.demo.samples import FILES, Arrival, arrivals, records_of, sample_settings
from streams.graph import rules_of

PUBLISHED_MS = 1_743_500_000_000
REASONS = {
    "calendar": "the record is not valid JSON, it is malformed",
    "crm": "'last Tuesday' is not a time",
    "stripe": "the event type 'payout.paid' is not read",
}
"""The samples that end in the dead letters, one of a source."""


@pytest.mark.parametrize("source", FILES)
def test_every_sample_is_accepted_but_the_one_that_is_meant_to_fail(source: str) -> None:
    settings = sample_settings({})
    adapter = build_adapter(source, settings.sources[source], settings.times)
    outcomes = list(preview(adapter, records_of(source), settings.sources[source].topic, PUBLISHED_MS))
    refused = [outcome.reason for outcome in outcomes if isinstance(outcome, Refused)]
    assert [REASONS[source] in reason for reason in refused] == ([True] if source in REASONS else [])
    assert all(outcome.events for outcome in outcomes if isinstance(outcome, Adapted))


def test_every_accepted_sample_has_somebody_or_a_blocked_value() -> None:
    settings = sample_settings({})
    rules = rules_of(settings)
    for source in FILES:
        adapter = build_adapter(source, settings.sources[source], settings.times)
        for outcome in preview(adapter, records_of(source), settings.sources[source].topic, PUBLISHED_MS):
            if isinstance(outcome, Adapted):
                people = [one for event in outcome.events for one in event.participants]
                assert any(rules.usable(person.entity, one.type, one.value) for person in people for one in person.identifiers)


def test_all_sources_arrive_from_the_first_to_the_last_and_each_in_its_order() -> None:
    sequence = arrivals()
    assert {arrival.source for arrival in sequence[:12]} == set(FILES)
    for source in FILES:
        assert [arrival for arrival in sequence if arrival.source == source] == [Arrival(source, value) for value in records_of(source)]


def test_the_samples_have_records_that_were_sent_twice() -> None:
    assert {source: len(records_of(source)) - len(set(records_of(source))) for source in FILES} == {
        "website": 1,
        "stripe": 1,
        "gmail": 1,
        "calendar": 0,
        "shopify": 1,
        "crm": 0,
    }


def test_addresses_of_the_environment_lie_over_the_samples_settings() -> None:
    assert sample_settings({"NEXUS__REDIS__URL": "redis://elsewhere:1/0"}).redis.url == "redis://elsewhere:1/0"
    assert "url" not in sample_settings({}).redis.model_fields_set
