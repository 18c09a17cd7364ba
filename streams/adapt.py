"""The adapt stage: source records in, events and dead letters out.

Invariant: every record becomes at least one event or exactly one dead letter, acknowledged before its offset is
committed. Neighbours: `adapters` before, the event log and `resolve` after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog
from aiokafka.structs import ConsumerRecord

from resolvers.errors import Rejected, SettingsError, Why, why
from streams.adapters import Adapter
from streams.batch import Outcome, SourceBatch
from streams.counters import Counters
from streams.dead_letters import dead_letter
from streams.events import Event, encode_event
from streams.record import SourceRecord
from streams.redaction import words
from streams.sender import Outgoing, Sender, refusal, send_all
from streams.tracing.stages import AdaptBatch, AdaptTraces

log = structlog.get_logger(__name__)

Priorities = Mapping[str, Mapping[str, int]]
"""Entity type -> identifier type -> priority, 1 the strongest."""


class EntityLike(Protocol):
    """The part of an entity's settings that says how strong its identifiers are."""

    @property
    def identifiers(self) -> Mapping[str, IdentifierLike]:
        """Give the declared identifier types."""


class IdentifierLike(Protocol):
    """The part of an identifier's settings that says how strong it is."""

    @property
    def priority(self) -> int | None:
        """Give the strength, 1 the strongest. The settings fill it in where the file does not say it."""


@dataclass(frozen=True, slots=True)
class RawSource:
    """One source: its name in the settings, its adapter's name, and the adapter."""

    name: str
    adapter_name: str
    adapter: Adapter


class AdaptStage:
    """Handles batches of source records. One instance serves every topic and partition of a worker."""

    def __init__(
        self,
        sources: Mapping[str, RawSource],
        priorities: Priorities,
        sender: Sender,
        counters: Counters,
        clock: Callable[[], int],
        *,
        events_topic: str,
        dead_letters_topic: str,
        largest_bytes: int,
        traces: AdaptTraces | None = None,
    ) -> None:
        """Keep the parts. `sources` are keyed by raw topic; `clock` gives epoch milliseconds.

        A record with an event of more than `largest_bytes`, its key included, is rejected before any event is written.
        """
        self._sources = sources
        self._priorities = priorities
        self._sender = sender
        self._counters = counters
        self._clock = clock
        self._events_topic = events_topic
        self._dead_letters_topic = dead_letters_topic
        self._largest_bytes = largest_bytes
        self._traces = traces or AdaptTraces()

    async def __call__(self, batch: SourceBatch) -> Outcome:
        """Adapt a batch and wait until all that came of it is acknowledged."""
        source = self._sources[batch.place.topic]
        self._counters.add("records_read", source.name, count=len(batch.records))
        outgoing: list[Outgoing] = []
        owners: dict[int, ConsumerRecord] = {}
        traces = self._traces.batch(source.name)
        for record in batch.records:
            for written in self._adapt(source, record, traces):
                owners[id(written)] = record
                outgoing.append(written)
        refused = await self._sender.send(outgoing)
        if refused:
            await self._give_back(source, refused, owners, traces)
        traces.end()
        return Outcome.DONE

    async def _give_back(
        self, source: RawSource, refused: Sequence[Outgoing], owners: Mapping[int, ConsumerRecord], traces: AdaptBatch
    ) -> None:
        """Dead-letter the records whose events Kafka does not take though they should fit, each once.

        It happens only where someone else gave the topic a lower limit; other events of the same record are in the log by then.
        """
        records = {owners[id(written)].offset: (owners[id(written)], written) for written in refused}
        letters = [self._too_large(source, record, written) for record, written in records.values()]
        for record, _ in records.values():
            traces.rejected(record, Why.TOO_LARGE.value)
        await send_all(self._sender, letters)

    def _adapt(self, source: RawSource, record: ConsumerRecord, traces: AdaptBatch) -> list[Outgoing]:
        headers = traces.begin(record)
        try:
            events = source.adapter(source_record(record))
            written = [Outgoing(self._events_topic, event_key(event, self._priorities), encode_event(event), headers) for event in events]
            self._check_sizes(written)
        except Rejected as error:
            traces.rejected(record, why(error).value)
            return [self._dead_letter(source, record, error)]
        except Exception as error:  # noqa: BLE001 - a user's function may raise anything, and the stage goes on
            log.warning("an adapter failed", source=source.name, adapter=source.adapter_name, offset=record.offset, error=words(error))
            traces.rejected(record, why(error).value)
            return [self._dead_letter(source, record, error, with_traceback=True)]
        if headers:
            traces.made(record, events)
        self._counters.add("events_written", source.name, count=len(written))
        return written

    def _check_sizes(self, written: Sequence[Outgoing]) -> None:
        largest = max((len(one.key or b"") + len(one.value or b"") for one in written), default=0)
        if largest > self._largest_bytes:
            raise Rejected(
                f"an event of this record has {largest:,} bytes, at most {self._largest_bytes:,} go into {self._events_topic}: "
                "write less into it, or see topics.config and max.message.bytes",
                Why.TOO_LARGE,
            )

    def _dead_letter(self, source: RawSource, record: ConsumerRecord, error: Exception, *, with_traceback: bool = False) -> Outgoing:
        self._counters.add("records_rejected", source.name)
        self._counters.add("dead_letters", source.name, why(error).value)
        return dead_letter(
            self._dead_letters_topic,
            record,
            error,
            self._clock(),
            source=source.name,
            adapter=source.adapter_name,
            with_traceback=with_traceback,
        )

    def _too_large(self, source: RawSource, record: ConsumerRecord, written: Outgoing) -> Outgoing:
        size = len(written.value or b"")
        if written.topic == self._dead_letters_topic:
            raise SettingsError(refusal([written]))
        reason = f"its event of {size} bytes is larger than {written.topic} takes: see max.message.bytes"
        return self._dead_letter(source, record, Rejected(reason, Why.TOO_LARGE))


def priorities_of(entities: Mapping[str, EntityLike]) -> Priorities:
    """Read how strong each identifier type is from the settings' entities."""
    return {
        name: {kind: one.priority for kind, one in entity.identifiers.items() if one.priority is not None}
        for name, entity in entities.items()
    }


def event_key(event: Event, priorities: Priorities) -> bytes:
    """Give the strongest declared identifier of the first participant as `entity:type:value`, else the event's id.

    It only spreads events over partitions; who is who does not depend on it.
    """
    if event.participants:
        first = event.participants[0]
        declared = priorities.get(first.entity, {})
        strength = [(declared[one.type], one.type, one.value) for one in first.identifiers if one.type in declared]
        if strength:
            _, kind, value = min(strength)
            return f"{first.entity}:{kind}:{value}".encode("utf-8", "surrogatepass")
    return event.event_id.encode("utf-8", "surrogatepass")


def source_record(record: ConsumerRecord) -> SourceRecord:
    """Take from Kafka's record what an adapter may see."""
    return SourceRecord(
        record.topic, record.partition, record.offset, record.key, record.value, record.timestamp, tuple(record.headers or ())
    )
