"""What each stage does for traces: carry the context on, and make spans where they are recorded.

Invariant: without spans a stage only looks whether a record has headers, and carries a context that is there. With them, a span is made
only of a record that is sampled. Neighbours: `adapt`, `resolve` and `publish` call this once per record, batch or round.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence

from aiokafka.structs import ConsumerRecord, TopicPartition

from resolvers.port import OutputRecord, Round
from resolvers.sighting import Evidence
from streams.dead_letters import now_ms
from streams.events import Event
from streams.tracing.context import NO_HEADERS, Headers, TraceContext, carried, context_of
from streams.tracing.shared import Shared
from streams.tracing.spans import Attributes, Kind, Span, Spans
from streams.tracing.trail import Trail, event_key

OLD_MS = 24 * 3600 * 1000
"""An event that was written so long ago is read again, for a rebuild or after a loss: its trace is over."""

MOST_LEFT = 5_000
"""Most names that one call leaves on the trail."""


class AdaptTraces:
    """Makes the traces of batches of source records."""

    def __init__(self, spans: Spans | None = None, ratio: float = 0.0, chance: Callable[[], float] = random.random) -> None:
        """Without `spans` contexts are carried on. Of records without a context, `ratio` of them begin a trace."""
        self._spans = spans
        self._ratio = ratio
        self._chance = chance

    def batch(self, source: str) -> AdaptBatch:
        """Begin a batch of a source."""
        return AdaptBatch() if self._spans is None else AdaptSpans(self._spans, source, self._ratio, self._chance)


class AdaptBatch:
    """The traces of one batch of source records, carried on."""

    def begin(self, record: ConsumerRecord) -> Headers:
        """Begin with a record; gives the headers of its events."""
        return carried(record.headers) if record.headers else NO_HEADERS

    def made(self, record: ConsumerRecord, events: Sequence[Event]) -> None:
        """Note what came of a record that has headers."""

    def rejected(self, record: ConsumerRecord, reason: str) -> None:
        """Note that it became a dead letter."""

    def end(self) -> None:
        """Say that all of it is acknowledged."""


class AdaptSpans(AdaptBatch):
    """The same, with a span of each record that is sampled."""

    def __init__(self, spans: Spans, source: str, ratio: float, chance: Callable[[], float]) -> None:
        self._spans = spans
        self._source = source
        self._ratio = ratio
        self._chance = chance
        self._open: dict[int, Span] = {}

    def begin(self, record: ConsumerRecord) -> Headers:
        """Begin a span where the record is sampled."""
        context = context_of(record.headers) if record.headers else None
        if context is None:
            if self._chance() >= self._ratio:
                return NO_HEADERS
        elif not context.sampled:
            return context.headers
        span = self._spans.begin("adapt", Kind.READS, context, {**_place(record), "nexus.source": self._source})
        if span is None:
            return context.headers if context is not None else NO_HEADERS
        self._open[record.offset] = span
        return span.context.headers

    def made(self, record: ConsumerRecord, events: Sequence[Event]) -> None:
        """Name the events."""
        if span := self._open.get(record.offset):
            span.say({"nexus.event_ids": [event.event_id for event in events[:20]]})

    def rejected(self, record: ConsumerRecord, reason: str) -> None:
        """Say why there is none, by the class of the reason."""
        if span := self._open.get(record.offset):
            span.fail(reason)

    def end(self) -> None:
        """End the spans."""
        for span in self._open.values():
            span.end()


class ResolveTraces:
    """Makes the traces of batches of events."""

    def __init__(self, spans: Spans | None = None, trail: Trail | None = None, clock: Callable[[], int] = now_ms) -> None:
        """Without `spans` contexts are carried on to participants; with them, by the `trail`, to all that is published.

        `clock` gives epoch milliseconds.
        """
        self._spans = spans
        self._trail = trail
        self._clock = clock

    def batch(self, place: TopicPartition, records: Sequence[ConsumerRecord]) -> ResolveBatch:
        """Begin a batch of the events that are resolved."""
        if self._spans is not None and self._trail is not None:
            since = self._clock() - OLD_MS
            new = ((at, context_of(one.headers)) for at, one in enumerate(records) if one.headers and one.timestamp > since)
            if contexts := {at: found for at, found in new if found is not None and found.sampled}:
                return ResolveSpans(self._spans, self._trail, place, records, contexts)
        return ResolveBatch(records)


class ResolveBatch:
    """The traces of one batch of events, carried on."""

    def __init__(self, records: Sequence[ConsumerRecord]) -> None:
        self._records = records

    def headers(self, index: int) -> Headers:
        """Give the headers of the participants of an event, by its place in the batch."""
        headers = self._records[index].headers
        return carried(headers) if headers else NO_HEADERS

    async def applied(self, portion: Sequence[tuple[int, Evidence]], entity_ids: Sequence[tuple[str | None, ...]]) -> None:
        """Note who the participants of some events are."""

    def end(self) -> None:
        """Say that all of it is acknowledged."""


class ResolveSpans(ResolveBatch):
    """The same, with spans of the events that are sampled; their contexts are left on the trail."""

    def __init__(
        self,
        spans: Spans,
        trail: Trail,
        place: TopicPartition,
        records: Sequence[ConsumerRecord],
        contexts: dict[int, TraceContext],
    ) -> None:
        super().__init__(records)
        self._trail = trail
        self._contexts = contexts
        said: Attributes = {**_partition(place), "messaging.batch.message_count": len(records)}
        self._shared = Shared(spans, "resolve", Kind.READS, list(contexts.values()), said)

    def headers(self, index: int) -> Headers:
        """Give the context of the event's span, or what it has."""
        context = self._contexts.get(index)
        return super().headers(index) if context is None else self._shared.context(context).headers

    async def applied(self, portion: Sequence[tuple[int, Evidence]], entity_ids: Sequence[tuple[str | None, ...]]) -> None:
        """Leave on the trail which output keys the events may have changed."""
        left: dict[tuple[str, str], TraceContext] = {}
        for (index, evidence), ids in zip(portion, entity_ids, strict=True):
            context = self._contexts.get(index)
            if context is None:
                continue
            self._shared.name(context, "nexus.event_ids", evidence.event_id)
            for entity in filter(None, ids):
                self._shared.name(context, "nexus.entity_ids", entity)
            if len(left) < MOST_LEFT:
                left |= dict.fromkeys(_keys_of(evidence, ids), self._shared.context(context))
        if left:
            await self._trail.leave(left)

    def end(self) -> None:
        """End the spans."""
        self._shared.end()


def _keys_of(evidence: Evidence, ids: tuple[str | None, ...]) -> Iterator[tuple[str, str]]:
    """Name what an event may change: itself as the timeline names it, its entities, identifiers and memberships."""
    yield event_key(evidence.source, evidence.event_id)
    for seen, entity in zip(evidence.sightings, ids, strict=True):
        if entity is not None:
            yield "entities", entity
        for usable in seen.identifiers:
            yield "identifiers", str(usable.identifier)
    for one in evidence.memberships:
        member, group = ids[one.member], ids[one.group]
        if member is not None and group is not None:
            yield "memberships", f"{member}:{group}"


class PublishTraces:
    """Makes the traces of rounds."""

    def __init__(self, spans: Spans | None = None, trail: Trail | None = None) -> None:
        """Without `spans` rounds are told without contexts."""
        self._spans = spans
        self._trail = trail

    async def round(self, taken: Round) -> RoundTraces:
        """Begin to tell a round whose bytes are kept."""
        if self._spans is None or self._trail is None:
            return UNTRACED
        names = [_name_of(record) for record in taken.records]
        found = await self._trail.follow([name for name in names if name is not None])
        if not found:
            return UNTRACED
        own = [None if name is None else found.get(name) for name in names]
        of_entity = _of_entities(taken.records, own)
        links: dict[TraceContext, list[TraceContext]] = {}
        for told, *others in of_entity.values():
            links.setdefault(told, []).extend(others)
        contexts = [
            one if record.topic not in _OF_ENTITIES or (record.topic == "timeline" and name is not None) else _first(of_entity, record.key)
            for record, name, one in zip(taken.records, names, own, strict=True)
        ]
        said: Attributes = {"messaging.system": "kafka", "nexus.shard": taken.shard, "nexus.round": taken.number}
        said = {**said, "messaging.batch.message_count": len(taken.records)}
        return RoundTraces(
            Shared(self._spans, "publish", Kind.WRITES, [one for one in contexts if one], said, links), taken.records, contexts
        )


class RoundTraces:
    """The traces of one round. `headers` are those of its records, in their order, or none at all."""

    def __init__(self, shared: Shared | None, records: Sequence[OutputRecord], contexts: Sequence[TraceContext | None]) -> None:
        self._shared = shared
        self.headers: Sequence[Headers] = ()
        if shared is not None:
            self.headers = [NO_HEADERS if one is None else shared.context(one).headers for one in contexts]
            for record, context in zip(records, contexts, strict=True):
                if context is not None and record.topic in {"entities", "timeline"}:
                    shared.name(context, "nexus.entity_ids", record.key)

    def end(self) -> None:
        """Say that the round is committed."""
        if self._shared is not None:
            self._shared.end()


UNTRACED = RoundTraces(None, (), ())


Name = tuple[str, str]


def _name_of(record: OutputRecord) -> Name | None:
    """Name a record on the trail: a line of the timeline by the event that brought it, if one did."""
    if record.topic != "timeline":
        return record.topic, record.key
    value = record.value or {}
    return event_key(value.get("source") or "", value["event_id"]) if value.get("event_id") else None


_OF_ENTITIES = ("entities", "timeline")
"""Topics whose keys are entity ids. An entity's document and its lines without an event carry the first context of all of these."""


def _of_entities(records: Sequence[OutputRecord], own: Sequence[TraceContext | None]) -> dict[str, list[TraceContext]]:
    """Give the contexts in which a round tells of each entity, by its id: that of its document first, and each once."""
    found: dict[str, dict[TraceContext, None]] = {}
    for record, context in sorted(zip(records, own, strict=True), key=lambda one: one[0].topic != "entities"):
        if context is not None and record.topic in _OF_ENTITIES:
            found.setdefault(record.key, {})[context] = None
    return {key: list(contexts) for key, contexts in found.items()}


def _first(of_entity: Mapping[str, Sequence[TraceContext]], key: str) -> TraceContext | None:
    return next(iter(of_entity.get(key, ())), None)


def _partition(place: TopicPartition) -> dict[str, str | int]:
    return {
        "messaging.system": "kafka",
        "messaging.destination.name": place.topic,
        "messaging.destination.partition.id": str(place.partition),
    }


def _place(record: ConsumerRecord) -> dict[str, str | int]:
    return {**_partition(TopicPartition(record.topic, record.partition)), "messaging.kafka.offset": record.offset}
