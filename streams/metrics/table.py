"""The table of all metrics: name, kind, unit, meaning and labels, each said once.

Invariant: what is counted, shown, alerted on and documented has its row here. Neighbours: `counters` takes these names,
`exposition` writes them, docs/reference/metrics.md is made of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

PREFIX = "nexus_"
OTHER = "other"
"""What a label says for a value that is not of its closed set."""


class Kind(Enum):
    """What kind of number a metric is, in Prometheus's words."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One row. `name` is what the code calls it; `bounds` are a histogram's, ascending."""

    name: str
    kind: Kind
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()

    @property
    def exposed(self) -> str:
        """Give the name that Prometheus knows; a histogram's has `_bucket`, `_sum` and `_count` behind it."""
        return f"{PREFIX}{self.name}{'_total' if self.kind is Kind.COUNTER else ''}"


_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_SLOW = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_AGES = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0, 86400.0)
_SIZES = (1.0, 5.0, 10.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 5000.0)

_COUNTERS = (
    ("records_read", "records", "Source records read from raw topics.", ("source",)),
    ("events_written", "events", "Events that became of them, acknowledged by Kafka or about to be.", ("source",)),
    ("records_rejected", "records", "Source records that became a dead letter instead.", ("source",)),
    ("events_read", "events", "Events read from the event log.", ()),
    ("events_resolved", "events", "Events joined into the identity graph.", ("source",)),
    (
        "events_without_usable_identifier",
        "events",
        "Events that name nobody: all their identifiers are blocked or not declared.",
        ("source",),
    ),
    ("events_rejected", "events", "Records of the event log that became a dead letter.", ()),
    ("events_read_again", "events", "Events applied once more for an erasure.", ()),
    ("commands_read", "commands", "Commands read.", ()),
    ("commands_applied", "commands", "Commands taken into the graph.", ()),
    ("commands_rejected", "commands", "Commands that became a dead letter.", ()),
    ("dead_letters", "records", "Dead letters written, by where the record came from and the class of the reason.", ("source", "reason")),
    ("participants_written", "records", "Records of the participants topic, acknowledged by Kafka.", ()),
    ("rounds_told", "rounds", "Rounds written: transactions on the output topics, and those that turned out to be empty.", ()),
    ("records_told", "records", "Records of rounds, by output topic.", ("output",)),
    ("entities_created", "entities", "Ids that came to life.", ("again",)),
    ("merges", "entities", "Ids that another entity absorbed.", ("again",)),
    ("splits", "entities", "Entities taken apart by a guard or a command.", ("again",)),
    ("merges_refused", "merges", "Merges that a guard refused, by guard.", ("guard", "again")),
    ("rebalances", "rebalances", "Times that partitions were handed to this worker anew.", ("stage",)),
    ("recoveries", "recoveries", "Recoveries that this worker began since Redis had lost writes.", ()),
    ("overtaken", "batches", "Batches dropped since another worker went ahead, or Redis lost writes; they are read again.", ("stage",)),
    ("redis_evicted_keys", "keys", "Keys that Redis has dropped to make room, since it started: each is lost.", ()),
)

_HISTOGRAMS = (
    ("batch_records", "records", "Records of a batch.", ("stage",), _SIZES),
    ("round_records", "records", "Records of a round.", (), _SIZES),
    ("stage_seconds", "seconds", "What a stage takes for a batch; publish: for a round that told something.", ("stage",), _SLOW),
    ("script_seconds", "seconds", "What a call of a script of Redis takes, as the worker sees it.", ("script",), _FAST),
    ("record_age_seconds", "seconds", "Age of the last record of a batch when it is done, by its Kafka timestamp.", ("stage",), _AGES),
)

_PLACE = ("stage", "topic", "partition")
_GAUGES = (
    ("position", "offset", "Where the next batch of a partition that this worker holds begins.", _PLACE),
    (
        "lag_records",
        "records",
        "Records between there and the end of the partition, as Kafka said last; transaction markers count.",
        _PLACE,
    ),
    (
        "behind_seconds",
        "seconds",
        "Age of the last record handled, where more wait; else 0. Before the first one, the time since the partition was taken over.",
        _PLACE,
    ),
    ("partitions_held", "partitions", "Partitions that this worker holds.", ("stage",)),
    ("stuck_seconds", "seconds", "For how long a stage has had work and finished none of it.", ("stage",)),
    ("live", "", "1 if /livez says yes, else 0.", ()),
    ("ready", "", "1 if /readyz says yes, else 0.", ()),
    ("calls_failing", "calls", "Calls to Kafka or Redis that fail and are tried again.", ()),
    ("outbox", "keys", "What is applied and not yet told, of the whole space: every worker that publishes says the same.", ("waiting",)),
    ("largest_entity_identifiers", "identifiers", "The most identifiers of any entity told since this worker started.", ("entity",)),
    ("entity_size_limit", "identifiers", "The most identifiers that the settings allow in one entity.", ("entity",)),
    ("redis_used_memory_bytes", "bytes", "What Redis uses.", ()),
    ("redis_maxmemory_bytes", "bytes", "What Redis may use; 0 for no limit.", ()),
    ("build_info", "", "Always 1; what runs here.", ("version", "python")),
    (
        "rules_info",
        "",
        "Always 1; the fingerprint of the rules of who is who, which all workers of a space share.",
        ("space", "fingerprint"),
    ),
)

METRICS: tuple[Metric, ...] = (
    *(Metric(name, Kind.COUNTER, unit, meaning, labels) for name, unit, meaning, labels in _COUNTERS),
    *(Metric(name, Kind.HISTOGRAM, unit, meaning, labels, bounds) for name, unit, meaning, labels, bounds in _HISTOGRAMS),
    *(Metric(name, Kind.GAUGE, unit, meaning, labels) for name, unit, meaning, labels in _GAUGES),
)

BY_NAME = {metric.name: metric for metric in METRICS}
