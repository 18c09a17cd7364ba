"""The publish stage: rounds of dirty output keys, each told in one Kafka transaction.

Invariant: a round's bytes are kept before anything is sent and never change; a round is over only when Kafka has
committed it together with its number. Neighbours: the resolver's outbox before, the output topics after; `shards`
decides which worker publishes which shard.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import repeat
from typing import Protocol

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidProducerEpoch, KafkaError, ProducerFenced
from aiokafka.structs import TopicPartition

from resolvers.errors import Fenced, KafkaUnavailable, SettingsError, StoreLost
from resolvers.hiding import Hide
from resolvers.port import OutputRecord, Resolver, Round, Waiting
from streams.batch import Job
from streams.counters import Counters
from streams.metrics.rounds import count_round
from streams.recovery import Recovering
from streams.sender import Outgoing, ended, passing, refusal, send_to, together
from streams.times import format_time
from streams.tracing.context import NO_HEADERS, Headers
from streams.tracing.stages import PublishTraces

log = structlog.get_logger(__name__)

_json = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[tuple[str, bytes, bytes | None]]).decode

LARGE_BYTES = 1024 * 1024
"""A longer round is kept compressed: it has an entity of very many changes, whose records are alike, and one call stores it."""

_COMPRESSED = b"\x78"
"""How zlib's bytes begin, and no list of msgpack does."""


class Turn(Enum):
    """What a shard's turn came to."""

    TOLD = "told"
    NOTHING = "nothing"
    WAITING = "waiting"
    """The shard is in recovery, and the logs are not applied far enough."""

    FENCED = "fenced"
    """Another worker publishes this shard, or our transaction took too long."""

    LOST = "lost"
    """Redis lost writes; a recovery has begun."""


class ShardTurn(Job[Turn]):
    """One turn of one shard, handed to the agent."""

    def __init__(self, publisher: ShardPublisher) -> None:
        super().__init__()
        self.subject = f"shard {publisher.shard}"
        self.publisher = publisher


class RoundNumbers(Protocol):
    """Where the numbers of committed rounds can be read."""

    @property
    def group(self) -> str:
        """Name the consumer group whose offsets the numbers are."""

    async def told(self, shard: int) -> int:
        """Give the number of the last round committed; 0 before the first. Right only after the former publisher is fenced."""

    async def highest(self, shard: int) -> int:
        """Give the highest version on the shard's partitions."""


@dataclass(frozen=True, slots=True)
class Telling:
    """How rounds are written: topic by word (entities, identifiers, memberships, timeline), what ended ids become, what is hidden."""

    topics: Mapping[str, str]
    tombstones: bool = False
    round_keys: int = 1_000
    round_seconds: float = 60.0
    hide: Hide | None = None


class ShardPublisher:
    """The one writer of one shard, as long as nobody else starts one for it."""

    def __init__(
        self,
        shard: int,
        resolver: Resolver,
        telling: Telling,
        numbers: RoundNumbers,
        recovery: Recovering,
        make_producer: Callable[[int], Awaitable[AIOKafkaProducer]],
        counters: Counters,
        clock: Callable[[], int],
        *,
        traces: PublishTraces | None = None,
    ) -> None:
        """`make_producer` gives a started transactional producer of this shard; `clock` gives epoch milliseconds."""
        self.shard = shard
        self._resolver = resolver
        self._telling = telling
        self._numbers = numbers
        self._recovery = recovery
        self._make_producer = make_producer
        self._counters = counters
        self._clock = clock
        self._traces = traces or PublishTraces()
        self._producer: AIOKafkaProducer | None = None
        self._told = 0

    async def turn(self) -> Turn:
        """Tell one round if anything is dirty. Raises Retryable when Kafka or Redis does not answer.

        After any error the next turn starts over: it fences, reads what Kafka has committed, and ends or repeats the
        round in flight.
        """
        try:
            producer = self._producer or await self._open()
            return await self._round(producer)
        except (Fenced, ProducerFenced, InvalidProducerEpoch) as error:
            log.info("another publisher has this shard", shard=self.shard, reason=str(error) or repr(error))
            await self.close()
            return Turn.FENCED
        except StoreLost as loss:
            log.warning("redis has lost what it knew, starting over", shard=self.shard, reason=str(loss))
            await self.close()
            return Turn.LOST
        except (KafkaError, TimeoutError) as error:
            await self.close()
            if passing(error):
                raise KafkaUnavailable(f"a round of shard {self.shard} was not committed: {error!r}") from error
            raise
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let go of the producer; a transaction that is open is aborted by whoever comes next."""
        self._recovery.forget(self.shard)
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await ended(producer)

    async def _open(self) -> AIOKafkaProducer:
        """Fence the former publisher, then end or repeat the round that it left in flight."""
        producer = self._producer = await self._make_producer(self.shard)
        self._told = await self._numbers.told(self.shard)
        try:
            left = await self._resolver.pending(self.shard, self._told)
        except StoreLost as loss:
            self._told = max(self._told, await self._numbers.highest(self.shard))
            await self._recovery.begin(str(loss), self.shard, self._told)
            return producer
        if left is not None and left.payload is not None:
            if left.number > self._told:
                log.info("repeating a round", shard=self.shard, round=left.number)
                await self._tell(producer, left.number, left.payload)
            await self._resolver.finish(left)
        return producer

    async def _round(self, producer: AIOKafkaProducer) -> Turn:
        taken = await self._resolver.take(self.shard, self._telling.round_keys, self._told)
        match taken:
            case None:
                return Turn.NOTHING
            case Waiting.CATCHING_UP:
                await self._recovery.read_ahead(self.shard)
                return Turn.WAITING
            case Waiting.UNREAD:
                await self._recovery.read(self.shard)
                return Turn.TOLD
        if taken.records:
            payload = encode_round(taken, self._clock(), tombstones=self._telling.tombstones, hide=self._telling.hide)
            await self._resolver.keep(taken, payload)
            traces = await self._traces.round(taken)
            await self._tell(producer, taken.number, payload, traces.headers)
            traces.end()
        await self._resolver.finish(taken)
        count_round(self._counters, taken)
        return Turn.TOLD

    async def _tell(self, producer: AIOKafkaProducer, number: int, payload: bytes, headers: Sequence[Headers] = ()) -> None:
        """Write a round's bytes and its number in one transaction. Its `headers` are not kept: a repeated round has none.

        After an error the transaction stays open: whoever opens the shard next aborts it, without waiting for us.
        """
        place = TopicPartition(self._telling.topics["entities"], self.shard)
        async with asyncio.timeout(self._telling.round_seconds):
            await producer.begin_transaction()
            found = by_topic(payload, self._telling.topics, headers)
            writes = (send_to(producer, topic, self.shard, records) for topic, records in found.items())
            *answers, _ = await together(*writes, producer.send_offsets_to_transaction({place: number}, self._numbers.group))
            if refused := [record for answer in answers for record in answer]:
                raise SettingsError(refusal(refused))
            await producer.commit_transaction()
        self._told = number


def encode_round(taken: Round, at_ms: int, *, tombstones: bool = False, hide: Hide | None = None) -> bytes:
    """Write a round's records, each with its version, as the bytes that are kept, and what they hold is sent."""
    recorded_at = format_time(at_ms)
    lines: dict[str, int] = {}
    packed: list[tuple[str, bytes, bytes | None]] = []
    for record in taken.records if hide is None else map(hide, taken.records):
        value = record.value
        if value is not None and record.topic == "timeline":
            line = lines[record.key] = lines.get(record.key, -1) + 1
            value = {"id": f"{record.key}:{taken.number}:{line}", "version": taken.number, "recorded_at": recorded_at} | value
            if value.get("occurred_at", "") is None:  # no event brought it: guards, or a command
                value["occurred_at"] = recorded_at
            if taken.recovery:
                value["recovery"] = True
        elif value is not None:
            value = None if tombstones and ended_id(record) else {**value, "version": taken.number}
        packed.append((record.topic, record.key.encode("utf-8", "surrogatepass"), None if value is None else _json(value)))
    written = _pack(packed)
    return written if len(written) <= LARGE_BYTES else zlib.compress(written, 1)


def ended_id(record: OutputRecord) -> bool:
    """Whether a record says what became of an id that ended."""
    return record.topic == "entities" and (record.value or {}).get("status") in {"merged", "split", "erased"}


def by_topic(payload: bytes, topics: Mapping[str, str], headers: Sequence[Headers] = ()) -> dict[str, Sequence[Outgoing]]:
    """Read a round's bytes back as records to write, in order, by topic; `headers` are those of its records in their order, or none."""
    found: dict[str, list[Outgoing]] = {}
    packed = zlib.decompress(payload) if payload.startswith(_COMPRESSED) else payload
    for (word, key, value), of in zip(_unpack(packed), headers or repeat(NO_HEADERS), strict=False):
        found.setdefault(topics[word], []).append(Outgoing(topics[word], key, value, of))
    return dict(found.items())
