from __future__ import annotations

from aiokafka.structs import TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from resolvers.errors import RedisUnavailable
from resolvers.port import Backlog
from streams.counters import Counters
from streams.heads import Head
from streams.health import Health
from streams.metrics.exposition import Exposition
from streams.metrics.gauges import Gauges, closed_by
from streams.metrics.redis_memory import RedisMemory
from streams.metrics.table import METRICS, Kind
from streams.settings import settings_from

EVENTS = TopicPartition("nexus.events", 2)
SETTINGS = settings_from({"space": "blue"})


def gauges(health: Health | None = None) -> Gauges:
    health = health or Health(lambda: 0.0, 60)
    return Gauges(SETTINGS, "f1", health, RedisMemory("redis://127.0.0.1:1/0"), lambda: 50_000)


def values(made: Gauges, name: str) -> dict[tuple[str, ...], float]:
    return dict(made.all()[name]())


def test_each_gauge_that_nobody_counts_can_be_asked() -> None:
    asked = {metric.name for metric in METRICS if metric.kind is Kind.GAUGE} - {"largest_entity_identifiers"}
    assert gauges().all().keys() == asked | {"redis_evicted_keys"}


def test_a_stage_is_behind_by_the_age_of_its_last_record_where_more_wait() -> None:
    made = gauges()
    heads = [Head(EVENTS, 7, 20_000, 9)]
    made.reading("resolve", lambda: heads)
    key = ("resolve", "nexus.events", "2")
    assert (values(made, "position"), values(made, "lag_records"), values(made, "behind_seconds")) == ({key: 7}, {key: 2}, {key: 30})
    heads[0] = Head(EVENTS, 9, 20_000, 9)
    assert (values(made, "lag_records"), values(made, "behind_seconds")) == ({key: 0}, {key: 0})
    heads[0] = Head(EVENTS, 9, 20_000)
    assert (values(made, "position"), values(made, "lag_records"), values(made, "behind_seconds")) == ({key: 9}, {}, {})


def test_the_outbox_is_told_as_it_was_last_counted() -> None:
    made = gauges()
    assert values(made, "outbox") == {}
    made.backlog(Backlog(5, 4, 3, 2, 1, 6))
    said = {"dirty": 5, "in_flight": 4, "sweeps": 3, "recovering": 2, "cases": 1, "rereads": 6}
    assert values(made, "outbox") == {(name,): number for name, number in said.items()}


def test_health_is_told_as_numbers() -> None:
    health = Health(lambda: 0.0, 60)
    made = gauges(health)
    assert (values(made, "ready"), values(made, "live"), values(made, "calls_failing")) == ({(): 0}, {(): 1}, {(): 0})
    health.started()
    health.stage("adapt")
    health.holding("adapt", lambda: [1, 2])
    assert (values(made, "ready"), values(made, "partitions_held"), values(made, "stuck_seconds")) == (
        {(): 1},
        {("adapt",): 2},
        {("adapt",): 0},
    )
    health.fails(object(), "opening", RedisUnavailable("gone"))
    assert (values(made, "ready"), values(made, "calls_failing")) == ({(): 0}, {(): 1})


def test_all_of_it_can_be_written() -> None:
    text = Exposition(Counters(), gauges().all(), closed_by(SETTINGS)).text().decode()
    found = {sample.name: sample for family in text_string_to_metric_families(text) for sample in family.samples}
    assert found["nexus_rules_info"].labels == {"space": "blue", "fingerprint": "f1"}
    assert found["nexus_entity_size_limit"].value == 1000
    assert found["nexus_build_info"].value == 1
