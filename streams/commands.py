"""Commands: operators' corrections, read from their own log and taken in by the graph.

Invariant: a batch's position moves only once its dead letters are acknowledged; until then it may be taken in again, which
changes nothing. Neighbours: a source like that of events, with positions kept by the resolver; `command` reads one record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog
from aiokafka.structs import ConsumerRecord

from resolvers.correction import Correction
from resolvers.erasure import Erasure
from resolvers.errors import PositionGap, Rejected, StoreLost, why
from resolvers.port import Resolver
from resolvers.rules import Rules
from streams.batch import Outcome, SourceBatch
from streams.command import read_command
from streams.counters import Counters
from streams.dead_letters import dead_letter
from streams.patience import Trouble, patiently
from streams.poison import Doubt, sifted
from streams.positions import AppliedPositions, Progress
from streams.sender import Outgoing, Sender, send_all

log = structlog.get_logger(__name__)

AT_ONCE = 100
"""Corrections of one call."""

Read = tuple[ConsumerRecord, Correction | Erasure]


class CommandStage:
    """Handles batches of commands. One instance serves every partition of a worker."""

    def __init__(
        self,
        rules: Rules,
        resolver: Resolver,
        positions: AppliedPositions,
        sender: Sender,
        counters: Counters,
        clock: Callable[[], int],
        dirty: asyncio.Event,
        *,
        dead_letters_topic: str,
        patience_seconds: float,
        trouble: Trouble | None = None,
    ) -> None:
        """`clock` gives epoch milliseconds; `dirty` is set when there may be something to publish."""
        self._rules = rules
        self._resolver = resolver
        self._positions = positions
        self._sender = sender
        self._counters = counters
        self._clock = clock
        self._dirty = dirty
        self._dead_letters_topic = dead_letters_topic
        self._patience_seconds = patience_seconds
        self._trouble = trouble
        self._applying = Doubt()

    async def __call__(self, batch: SourceBatch) -> Outcome:
        """Take a batch in, and wait until what came of it is acknowledged."""
        self._counters.add("commands_read", count=len(batch.records))
        read: list[Read] = []
        letters: list[Outgoing] = []
        for record in batch.records:
            try:
                read.append((record, read_command(self._rules, record.value, record.timestamp)))
            except Rejected as error:
                letters.append(self._dead_letter(record, error))
        try:
            letters += await self._take_in(batch, read)
        except PositionGap as gap:
            return await self._positions.overtaken(gap)
        except StoreLost as loss:
            log.warning("redis has lost what it knew, starting over", partition=batch.place.partition, reason=str(loss))
            return Outcome.OVERTAKEN
        self._dirty.set()
        await send_all(self._sender, letters)
        return Outcome.DONE

    async def _take_in(self, batch: SourceBatch, read: Sequence[Read]) -> list[Outgoing]:
        """Have the graph take in what was read; gives dead letters of what it can't."""
        progress = self._positions.progress(batch.place.partition)
        failed: list[tuple[Read, Exception]] = []

        async def work(portion: Sequence[Read]) -> None:
            await self._call(batch, progress, tuple(correction for _, correction in portion))

        for at in range(0, len(read), AT_ONCE):
            _, bad = await sifted(read[at : at + AT_ONCE], work)
            failed += bad
        if failed or not read:
            await self._call(batch, progress, ())  # the position moves, and a store that takes not even this is broken
        if read:
            self._applying.weigh([error for _, error in failed], len(read) - len(failed))
        self._counters.add("commands_applied", count=len(read) - len(failed))
        return [self._dead_letter(record, error, with_traceback=True) for (record, _), error in failed]

    async def _call(self, batch: SourceBatch, progress: Progress, corrections: tuple[Correction | Erasure, ...]) -> None:
        asked = progress.corrections(self._positions.log, batch.place.partition, corrections)
        what = f"taking in commands of partition {batch.place.partition}"
        await patiently(lambda: self._resolver.correct(asked), what, self._patience_seconds, self._trouble)
        progress.applied(asked)

    def _dead_letter(self, record: ConsumerRecord, error: Exception, *, with_traceback: bool = False) -> Outgoing:
        self._counters.add("commands_rejected")
        self._counters.add("dead_letters", "commands", why(error).value)
        return dead_letter(self._dead_letters_topic, record, error, self._clock(), source="commands", with_traceback=with_traceback)
