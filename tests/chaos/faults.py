"""The faults: every kind that can strike, by name.

Invariant: a name here is what seeds, reports and `--kinds` know a fault by, so it stays. Neighbours: `schedule` deals
them out over rounds, `rounds` lets them strike.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.chaos import on_network, on_records, on_servers, on_workers
from tests.chaos.scene import Kind

FAULTS: Mapping[str, Kind] = {
    "kill-one": Kind("workers", on_workers.kill_one),
    "kill-several": Kind("workers", on_workers.kill_several),
    "freeze": Kind("workers", on_workers.freeze),
    "freeze-in-slow-network": Kind("workers", on_workers.freeze_in_slow_network),
    "terminate": Kind("workers", on_workers.terminate),
    "worker-added-and-removed": Kind("workers", on_workers.worker_added_removed),
    "kafka-killed": Kind("kafka", on_servers.kafka_killed),
    # Even a Redis that comes back with its own file may lack what it had not yet written to it.
    "redis-killed": Kind("redis", on_servers.redis_killed, loses_writes=True),
    "redis-lost-seconds": Kind("redis", on_servers.redis_lost_seconds, loses_writes=True),
    "redis-old-snapshot": Kind("redis", on_servers.redis_old_snapshot, loses_writes=True, needs_copy=True),
    "redis-empty": Kind("redis", on_servers.redis_empty, loses_writes=True),
    "redis-full": Kind("redis", on_servers.redis_full),
    "net-cut": Kind("network", on_network.cut),
    "net-delay": Kind("network", on_network.delay),
    "net-half-open": Kind("network", on_network.half_open),
    "late-commit": Kind("network", on_network.late_commit),
    "poison": Kind("records", on_records.poison),
}
