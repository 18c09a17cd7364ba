"""The replay: letters sent back to where they came from, each with its receipt.

Invariant: a letter's record and its receipt are one transaction, and the receipts are read after every other replay
was fenced; so whatever is interrupted, repeated or run twice at once, a letter goes back once. Memory is the ledger
and one transaction's letters.
Neighbours: `reading` gives the letters, the stage that refused a record reads it again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog
from aiokafka.errors import InvalidProducerEpoch, KafkaError, ProducerFenced
from aiokafka.structs import ConsumerRecord

from resolvers.errors import Fenced, KafkaUnavailable, NexusError
from streams import kafka
from streams.letters.letter import Identity, Letter, original, receipt_headers
from streams.letters.reading import fetched, no_letter, read_ledger
from streams.letters.route import NotSent, obstacle, partition_for, warnings
from streams.letters.selection import Selection
from streams.letters.transaction import Dated, NotTaken, write
from streams.sender import ended, passing
from streams.settings import Settings
from streams.topics import Topic, look

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from aiokafka import AIOKafkaProducer

log = structlog.get_logger(__name__)

STAGE = "dead-letters.replay"
TRANSACTION_LETTERS = 200
TRANSACTION_BYTES = 8 * 1024 * 1024
ABORT_SECONDS = 5.0

Kind = tuple[str, str, str]
"""Source, reason and raw topic: what letters are counted by."""

Bundle = list[tuple[Letter, ConsumerRecord]]


@dataclass(slots=True)
class Report:
    """What a replay has found and done so far.

    `to_send` and `passed_over` count what the selection asks for; `sent` is what is committed.
    """

    to_send: Counter[Kind] = field(default_factory=Counter)
    sent: Counter[Kind] = field(default_factory=Counter)
    passed_over: int = 0
    not_sent: list[NotSent] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    sources: dict[str, int] = field(default_factory=dict)


class Replay:
    """One run over the letters that a selection asks for. `report` is right at any moment, also after an error."""

    def __init__(
        self,
        settings: Settings,
        selection: Selection,
        clock: Callable[[], int],
        *,
        again: bool = False,
        advance: Callable[[int, int], None] = lambda _sent, _of: None,
    ) -> None:
        """`again` sends letters that were replayed already, too; `advance` hears of each transaction (sent, to send)."""
        self._settings = settings
        self._selection = selection
        self._clock = clock
        self._again = again
        self._advance = advance
        self._letters_topic = settings.topic("dead-letters")
        self._done: set[Identity] = set()
        self._refused: dict[Identity, NotSent] = {}
        self._alone: set[Identity] = set()
        self.report = Report()

    async def look(self) -> Report:
        """Find out what would be sent, and send nothing. Raises NexusError for names that are no letter's."""
        await self._plan()
        return self.report

    async def run(self) -> Report:
        """Send the letters back. Raises Fenced when another replay takes over, KafkaUnavailable, NexusError.

        After an error some letters may have gone back; another run goes on with the others.
        """
        while not await self._pass():
            log.info("a transaction was refused, finding out whose fault it is", letters=len(self._alone))
        return self.report

    async def _pass(self) -> bool:
        """Fence, read the ledger, and send what is waiting. False where a refusal needs a fresh producer, which fences anew."""
        try:
            async with self._producer() as producer:
                letters, topics = await self._plan()
                async with aclosing(self._bundles(letters)) as bundles:
                    async for bundle in bundles:
                        if not await self._commit(producer, bundle, topics):
                            return False
                return True
        except (ProducerFenced, InvalidProducerEpoch) as error:
            raise Fenced(
                "another `nexus dead-letters replay` has taken over: it sends what it was asked for; what this one sent stays sent"
            ) from error
        except (KafkaError, TimeoutError) as error:
            if passing(error):
                raise KafkaUnavailable(f"a transaction of dead letters was not committed: {error!r}; run the command again") from error
            raise NexusError(f"Kafka refuses a transaction of dead letters: {error!r}") from error

    @asynccontextmanager
    async def _producer(self) -> AsyncIterator[AIOKafkaProducer]:
        """Give a producer that has fenced every other replay; a transaction that is left open is aborted, so that readers go on."""
        transactional = f"{self._settings.topics.prefix}{STAGE}"
        made = kafka.transactional_producer(self._settings, transactional=transactional, what=STAGE)
        producer = await kafka.started(made, self._settings.kafka, "replay")
        try:
            yield producer
        except BaseException:
            await _abort(producer)
            raise
        finally:
            await ended(producer)

    async def _plan(self) -> tuple[list[Letter], Mapping[str, Topic]]:
        """Read what there is, and write into the report what is to be done about it."""
        ledger = await read_ledger(self._settings, self._selection)
        if missing := ledger.missing():
            raise NexusError(no_letter(self._settings, missing))
        known = self._done | self._refused.keys()
        letters = [letter for letter in ledger.letters() if letter.record not in known]
        topics = await self._topics(letters)
        wanted = [letter for letter in letters if self._again or not ledger.went_back(letter)]
        stuck = [NotSent(letter, why) for letter in wanted if (why := obstacle(letter, topics)) is not None]
        staying = {one.letter.record for one in stuck}
        sending = [letter for letter in wanted if letter.record not in staying]
        report = self.report
        report.passed_over = len(letters) - len(wanted)
        report.to_send = report.sent + Counter(map(kind, sending))
        report.not_sent = [*stuck, *self._refused.values()]
        report.warnings = warnings(sending, topics, self._clock(), [self._settings.topic("commands")])
        report.sources = ledger.sources()
        return sending, topics

    async def _topics(self, letters: Sequence[Letter]) -> Mapping[str, Topic]:
        client = await kafka.started(kafka.admin(self._settings, what="letters"), self._settings.kafka, "letters")
        try:
            return await look(client, {letter.record.topic for letter in letters} - {""})
        finally:
            await client.close()

    async def _bundles(self, letters: Sequence[Letter]) -> AsyncGenerator[Bundle]:
        """Cut letters into transactions of bounded count and about bounded size; those under suspicion go alone."""
        bundle: Bundle = []
        size = 0
        async with aclosing(fetched(self._settings, letters)) as records:
            async for letter, record in records:
                alone = letter.record in self._alone
                if bundle and (alone or len(bundle) >= TRANSACTION_LETTERS or size >= TRANSACTION_BYTES):
                    yield bundle
                    bundle, size = [], 0
                bundle.append((letter, record))
                size += TRANSACTION_BYTES if alone else len(record.value or b"")
        if bundle:
            yield bundle

    async def _commit(self, producer: AIOKafkaProducer, bundle: Bundle, topics: Mapping[str, Topic]) -> bool:
        """Send letters with their receipts; False where Kafka refuses one of them, and none was sent."""
        at_ms = self._clock()
        records = [each for letter, record in bundle for each in self._pair(letter, record, topics[letter.record.topic], at_ms)]
        async with asyncio.timeout(self._settings.kafka.transaction_timeout_ms / 1000):
            await producer.begin_transaction()
            try:
                await write(producer, records)
            except NotTaken as refusal:
                await _abort(producer)
                self._suspect(bundle, str(refusal))
                return False
            await producer.commit_transaction()
        self._done |= {letter.record for letter, _ in bundle}
        self.report.sent += Counter(kind(letter) for letter, _ in bundle)
        self._advance(self.report.sent.total(), self.report.to_send.total())
        return True

    def _suspect(self, bundle: Bundle, why: str) -> None:
        """Have the letters of a refused transaction sent alone, or give up one that was alone."""
        if len(bundle) == 1:
            letter = bundle[0][0]
            self._refused[letter.record] = NotSent(letter, why)
        self._alone |= {letter.record for letter, _ in bundle}

    def _pair(self, letter: Letter, record: ConsumerRecord, topic: Topic, at_ms: int) -> tuple[Dated, Dated]:
        """Make the record that goes back and its receipt, which lies on the letter's partition so that it outlives the letter."""
        back = original(record)
        partition = partition_for(letter, back.key, topic)
        headers = receipt_headers(letter, at_ms, f"{letter.record.topic}/{partition}")
        timestamp_ms = back.timestamp_ms if back.timestamp_ms >= 0 else at_ms
        return (
            Dated(letter.record.topic, partition, back.key, back.value, back.headers, timestamp_ms),
            Dated(self._letters_topic, letter.name.partition, record.key, None, headers, at_ms),
        )


def kind(letter: Letter) -> Kind:
    """Give what a letter is counted by."""
    return letter.source, letter.reason, letter.record.topic


async def _abort(producer: AIOKafkaProducer) -> None:
    """Abort what is open, if the producer still can; whoever comes next does it otherwise."""
    with suppress(Exception):  # the error that led here is the one to show
        async with asyncio.timeout(ABORT_SECONDS):
            await producer.abort_transaction()
