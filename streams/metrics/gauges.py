"""Gauges: what is true of a worker now, asked when Prometheus asks.

Invariant: nothing here waits, or asks Kafka or Redis; it reads what others know. Neighbours: `app` makes it, `exposition` asks it.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version

from resolvers.port import Backlog
from streams.heads import Head
from streams.health import Health
from streams.metrics.exposition import Gauge, Values
from streams.metrics.redis_memory import RedisMemory
from streams.settings import Settings

Heads = Callable[[], list[Head]]


class Gauges:
    """The gauges of one worker. Stages that hold partitions are added as they are put together."""

    def __init__(self, settings: Settings, fingerprint: str, health: Health, memory: RedisMemory, clock: Callable[[], int]) -> None:
        """`clock` gives epoch milliseconds."""
        self._settings = settings
        self._fingerprint = fingerprint
        self._health = health
        self._memory = memory
        self._clock = clock
        self._heads: dict[str, Heads] = {}
        self._backlog: Backlog | None = None

    def reading(self, stage: str, heads: Heads) -> None:
        """Know how to ask how far a stage is on each of its partitions."""
        self._heads[stage] = heads

    def backlog(self, backlog: Backlog) -> None:
        """Note what is applied and not yet told."""
        self._backlog = backlog

    def all(self) -> Mapping[str, Gauge]:
        """Give what can be asked, by the names of the table."""
        health, memory = self._health, self._memory
        return {
            "position": lambda: self._places(lambda head: head.position),
            "lag_records": lambda: self._places(lambda head: head.lag),
            "behind_seconds": lambda: self._places(self._behind),
            "partitions_held": lambda: [((stage,), float(count)) for stage, count in health.held().items()],
            "stuck_seconds": lambda: [((stage,), seconds) for stage, seconds in health.stuck().items()],
            "live": lambda: [((), float(health.live().ok))],
            "ready": lambda: [((), float(health.ready().ok))],
            "calls_failing": lambda: [((), float(health.failing()))],
            "outbox": self._outbox,
            "entity_size_limit": lambda: [((name,), float(entity.size)) for name, entity in self._settings.entities.items()],
            "redis_used_memory_bytes": lambda: memory.value("used_memory"),
            "redis_maxmemory_bytes": lambda: memory.value("maxmemory"),
            "redis_evicted_keys": lambda: memory.value("evicted_keys"),
            "build_info": lambda: [((version("nexus-streams"), platform.python_version()), 1.0)],
            "rules_info": lambda: [((self._settings.space, self._fingerprint), 1.0)],
        }

    def _places(self, number: Callable[[Head], float | None]) -> Iterator[tuple[tuple[str, ...], float]]:
        for stage, heads in self._heads.items():
            for head in heads():
                value = number(head)
                if value is not None:
                    yield (stage, head.place.topic, str(head.place.partition)), value

    def _behind(self, head: Head) -> float | None:
        if head.lag is None:
            return None
        return max(0.0, (self._clock() - head.handled_ms) / 1000) if head.lag else 0.0

    def _outbox(self) -> Values:
        if self._backlog is None:
            return
        for name in ("dirty", "in_flight", "sweeps", "cases", "rereads", "recovering"):
            yield (name,), float(getattr(self._backlog, name))


def closed_by(settings: Settings) -> Mapping[str, frozenset[str]]:
    """Give the values of labels that the settings close."""
    return {
        "source": frozenset({*settings.sources, "events", "commands"}),
        "entity": frozenset(settings.entities),
        "topic": frozenset({*(source.topic for source in settings.sources.values()), settings.topic("events"), settings.topic("commands")}),
    }
