from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from streams.counters import Counters
from streams.metrics.exposition import Exposition, Gauge
from streams.metrics.table import METRICS

CLOSED = {"source": frozenset({"crm"}), "entity": frozenset({"person"}), "topic": frozenset({"raw.crm"})}


def told(counters: Counters, gauges: Mapping[str, Gauge] | None = None) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Read what is written as Prometheus does."""
    text = Exposition(counters, gauges or {}, CLOSED).text().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_counts_are_written_with_their_labels_and_begin_at_zero() -> None:
    counters = Counters()
    counters.add("dead_letters", "crm", "time", count=3)
    read = told(counters)
    assert read[key("nexus_dead_letters_total", source="crm", reason="time")] == 3
    assert read[key("nexus_dead_letters_total", source="crm", reason="failure")] == 0
    assert read[key("nexus_events_read_total")] == 0


def test_a_label_that_is_not_of_its_closed_set_is_not_told() -> None:
    counters = Counters()
    counters.add("records_read", "ann@quill.example")
    counters.add("records_read", "bob@quill.example")
    counters.peak("largest_entity_identifiers", "ann", value=3)
    counters.observe("script_seconds", "ann", value=0.1)
    read = told(counters, {"lag_records": lambda: [(("adapt", "ann", "0"), 1.0)]})
    assert read[key("nexus_records_read_total", source="other")] == 2
    assert read[key("nexus_largest_entity_identifiers", entity="other")] == 3
    assert read[key("nexus_lag_records", stage="adapt", topic="other", partition="0")] == 1
    assert not [labels for _, labels in read if "ann" in str(labels)]


def test_a_histogram_adds_up() -> None:
    counters = Counters()
    for value in (0.004, 0.005, 0.3, 99.0):
        counters.observe("stage_seconds", "adapt", value=value)
    read = told(counters)
    buckets = [read[key("nexus_stage_seconds_bucket", stage="adapt", le=bound)] for bound in ("0.005", "0.25", "0.5", "30.0", "+Inf")]
    assert buckets == [2, 2, 3, 3, 4]
    assert read[key("nexus_stage_seconds_count", stage="adapt")] == 4
    assert read[key("nexus_stage_seconds_sum", stage="adapt")] == 99.309


def test_the_highest_value_stays() -> None:
    counters = Counters()
    for value in (3, 7, 5):
        counters.peak("largest_entity_identifiers", "person", value=value)
    assert told(counters)[key("nexus_largest_entity_identifiers", entity="person")] == 7


def test_a_count_that_another_keeps_is_only_asked() -> None:
    assert key("nexus_redis_evicted_keys_total") not in told(Counters(), {"redis_evicted_keys": list})
    assert told(Counters(), {"redis_evicted_keys": lambda: [((), 4.0)]})[key("nexus_redis_evicted_keys_total")] == 4


def test_each_metric_is_written_with_its_kind() -> None:
    text = Exposition(Counters(), {}, CLOSED).text().decode()
    for metric in METRICS:
        assert f"# TYPE {metric.exposed} {metric.kind.value}\n" in text
