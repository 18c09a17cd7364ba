"""The resolver in Redis: the same answers as `resolvers.memory`, incremental, shared by any number of workers.

Invariant: every change of the graph happens inside one Lua script, together with what it made dirty and with the
position it came from. What this module adds is writing evidence for the scripts and reading their rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Collection, Sequence
from typing import Any, TypeVar, cast
from uuid import uuid4

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, ReadOnlyError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from resolvers.birth import differences, fixed_at_birth
from resolvers.correction import CorrectionBatch
from resolvers.entity import EntityView, entity_document, identifier_document, membership_document
from resolvers.errors import Fenced, PositionGap, RedisRefuses, RedisUnavailable, SettingsError, StoreLost, StoreMismatch
from resolvers.identifier import Identifier, founder_of, identifier_digest
from resolvers.instant import Clock, at_the_end
from resolvers.link import MOST_LINKED, MOST_LINKS, LinkPage
from resolvers.port import Applied, Backlog, Ends, Ready, Reread, Round, ToldRecord, Waiting
from resolvers.redis_composing import composed, view_of
from resolvers.redis_ready import ready
from resolvers.redis_refusals import forbidden, passing
from resolvers.redis_rows import BIAS_MS, Rows, pack, unpack
from resolvers.redis_settling import settle
from resolvers.redis_taking import Taken, behind, take
from resolvers.redis_told import told_row
from resolvers.redis_writing import correction_row, evidence_row, guard_rows
from resolvers.rules import Rules
from resolvers.scripts import Bounds, Reply, Scripts, Timing
from resolvers.sighting import Batch, Position, Sighting
from resolvers.standing import Standing

Answer = TypeVar("Answer")

SILENCE_SECONDS = 5.0
"""After so long without an answer a connection counts as dead; the stages decide how often a call is tried again."""

_WALK = 200
LINK_COST = 5
"""A link that a walk visits costs as much as so many keys of a sweep."""

NOBODY = bytes(16)


def _pack_ends(ends: Ends) -> bytes:
    return pack([[f"{log}/{partition}", end] for (log, partition), end in ends.items()])


class RedisResolver:
    """One space of the graph in Redis or Valkey. Close it when done."""

    def __init__(
        self,
        url: str,
        rules: Rules,
        space: str = "default",
        shards: int = 6,
        buckets: int = 4096,
        bounds: Bounds | None = None,
        clock: Clock | None = at_the_end,
        timing: Timing = lambda *_: None,
    ) -> None:
        """Keep the address; nothing is asked before `open`. `shards` and `buckets` are fixed when the space is born.

        `clock` tells the present by which values of states lapse; None for Redis's own, which all workers share. `timing` is told of calls.
        """
        self._clock = clock
        self._bounds = bounds = bounds or Bounds()
        self._url = url
        self._rules = rules
        self._base = f"nexus:{{{space}}}"
        self._shards = shards
        self._buckets = buckets
        self._redis: Redis = Redis.from_url(
            url,
            socket_timeout=SILENCE_SECONDS,
            socket_connect_timeout=SILENCE_SECONDS,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=30,
        )
        self._scripts = Scripts(self._redis, self._base, bounds, timing)
        self._rows = Rows(rules, bounds.listed)
        self._codes: dict[tuple[str, str], int] = {}
        self._guards = b""
        self._born = ""
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Create the space, or check that it is the one that these rules make."""
        types = [(entity, kind) for entity, rule in self._rules.entities.items() for kind in rule.identifiers]
        fixed = fixed_at_birth(self._rules, self._shards, self._buckets)
        flat = [part for pair in (*fixed.items(), ("born", uuid4().hex)) for part in pair]
        named = pack([f"{entity}:{kind}" for entity, kind in types])
        word, rest = await self._asked(self._scripts.call("open", pack(flat), named))
        if word is Reply.REMAINS:
            raise StoreMismatch(f"{self._base} in Redis was deleted in part: delete all keys that begin with it, and it will be made anew")
        stored, codes = rest
        found = {name.decode(): value.decode() for name, value in zip(stored[::2], stored[1::2], strict=True)}
        for difference in differences(found, fixed):
            raise StoreMismatch(f"{self._base} in Redis has {difference}")
        self._born = found.get("born", "")
        self._codes = dict(zip(types, codes, strict=True))
        self._guards = pack(list(guard_rows(self._codes, self._rules)))

    async def close(self) -> None:
        """Give the connections back."""
        await self._redis.aclose()

    async def drop(self) -> None:
        """Delete the whole space. For bounded runs and tests; nothing asks twice.

        One that is interrupted leaves remains, which `open` refuses: what comes first and last tells it so.
        """
        first, last = f"{self._base}:meta", f"{self._base}:codes"
        await self._redis.unlink(first)
        async for key in self._redis.scan_iter(match=self._base.replace("[", "\\[") + ":*", count=1000):
            if key != last.encode():
                await self._redis.unlink(key)
        await self._redis.unlink(last)

    async def position(self, log: str, partition: int) -> Position:
        """Tell where the partition's applied evidence ends."""
        stored = await self._asked(self._redis.hget(f"{self._base}:pos", f"{log}/{partition}"))
        if stored is None:
            return Position()
        offset, checksum = cast("bytes", stored).split(b":")
        return Position(int(offset), int(checksum))

    async def apply(self, batch: Batch) -> Applied:
        """Apply a batch in one script call."""
        packed = pack([evidence_row(self._codes, one) for one in batch.evidence])
        where, end = f"{batch.log}/{batch.partition}", f"{batch.end.offset}:{batch.end.checksum}"
        upto = max(batch.end.offset, batch.upto)
        word, rest = await self._call("apply", where, batch.start, end, packed, self._guards, batch.after, batch.mark, upto)
        if word is Reply.GAP:
            raise PositionGap(batch.partition, int(rest[0]), batch.start)
        digests, at, ids = rest[0], 0, []
        for one in batch.evidence:
            ids.append(tuple(self._id(digests[at + 16 * i : at + 16 * i + 16], seen) for i, seen in enumerate(one.sightings)))
            at += 16 * len(one.sightings)
        return Applied(tuple(ids))

    async def pending(self, shard: int, told: int) -> Round | None:
        """Give a kept round back, or undo one that was only taken."""
        taker = uuid4().hex
        word, rest = await self._call("pending", shard, told, taker)
        if word is Reply.BEHIND:
            raise StoreLost(behind(shard, rest[0], told))
        return Round(shard, rest[0], payload=rest[1], taker=taker) if word is Reply.KEPT else None

    async def take(self, shard: int, limit: int, told: int) -> Round | Waiting | None:
        """Take a round and compose its records."""
        taker = uuid4().hex
        taken = await take(self._call, shard, limit, told, self._given(), taker)
        if not isinstance(taken, Taken):
            return taken
        records, remembered = await composed(self._call, self._rules, self._rows, taken.rows, taken.present, self._bounds.patience)
        return Round(shard, taken.number, records, recovery=taken.recovery, taker=taker, remembered=remembered)

    async def correct(self, batch: CorrectionBatch) -> None:
        """Take corrections in, in one script call."""
        packed = pack([correction_row(self._codes, self._rules.identity_key, one) for one in batch.corrections])
        where, end = f"{batch.log}/{batch.partition}", f"{batch.end.offset}:{batch.end.checksum}"
        word, rest = await self._call("correct", where, batch.start, end, packed, self._guards, batch.after, batch.mark)
        if word is Reply.GAP:
            raise PositionGap(batch.partition, int(rest[0]), batch.start)

    async def keep(self, round_: Round, payload: bytes) -> None:
        """Store a round's bytes."""
        word, _ = await self._call("keep", round_.shard, round_.number, payload, round_.taker, pack(list(round_.remembered)))
        if word is Reply.GONE:
            raise Fenced(f"shard {round_.shard}: round {round_.number} is not in flight; another publisher has taken over")

    async def finish(self, round_: Round) -> None:
        """End a round."""
        await self._call("finish", round_.shard, round_.number, round_.taker)

    async def recover(self, ends: Ends, shard: int | None = None, told: int = 0) -> bool:
        """Begin a recovery."""
        _, (began,) = await self._call("recover", "waiting", _pack_ends(ends), "" if shard is None else shard, told)
        return bool(began)

    async def hold(self, ends: Ends) -> None:
        """Hold publishing back."""
        await self._call("recover", "hold", _pack_ends(ends), "", 0)

    async def begin_reading(self, shard: int, reader: str) -> None:
        """Begin to read a shard's topics."""
        self._own(shard, *await self._call("begin_reading", shard, reader))

    async def retell(self, shard: int, reader: str, calls: int, told: Sequence[ToldRecord]) -> None:
        """Say what topics hold, in one call."""
        rows = [told_row(self._rules, record) for record in told]
        self._own(shard, *await self._call("retell", shard, reader, pack(rows), calls))

    async def end_reading(self, shard: int, reader: str, calls: int) -> None:
        """End the reading."""
        self._own(shard, *await self._call("end_reading", shard, reader, calls))

    def _own(self, shard: int, word: Reply, _: list[Any]) -> None:
        if word is Reply.GONE:
            raise Fenced(f"shard {shard}: another worker reads its topics now, or what was read is lost")

    async def tell_again(self) -> None:
        """Make everything dirty as if nothing had been told: the graph goes on on other topics. Nobody may publish meanwhile."""
        last = int(await self._asked(self._redis.hget(f"{self._base}:meta", "nodes")) or 0)
        for start in range(1, last + 1, _WALK):
            await self._call("tell_again", "nodes", start, _WALK)
        for bucket in range(self._buckets):
            await self._call("tell_again", "memberships", bucket, 0)

    async def sweep(self, limit: int) -> int:
        """Go on with the oldest walk and the oldest sweep."""
        left = [await self._call("walk", max(1, limit // LINK_COST), self._guards), await self._call("sweep", limit)]
        left += [await self._call("carry", limit)] if self._rules.states.carried else []
        return sum(int(count) for _, (count,) in left)

    async def settle(self) -> int:
        """Settle a case that is due."""
        return await settle(self._call, self._rules, self._codes, self._bounds)

    async def rereads(self) -> tuple[Reread, ...]:
        """Read what erasures ask for."""
        stretches, digests = await self._look("rereads")
        return tuple(Reread(int(partition), int(start), int(end), frozenset(digests)) for partition, start, end in stretches)

    async def backlog(self) -> Backlog:
        """Count what is not yet told."""
        _, counts = await self._call("backlog", self._given())
        return Backlog(*counts)

    async def ready(self, shards: Collection[int]) -> Ready:
        """Look at queues, without a script."""
        return await self._asked(ready(self._redis, self._base, shards))

    async def identifier(self, identifier: Identifier) -> dict[str, Any] | None:
        """Look an identifier up."""
        row = await self._look("identifier", identifier_digest(self._rules.identity_key, identifier))
        return identifier_document(self._rows.identifier(row[2]), self._rows.entity_id(row[0], row[1])) if row else None

    async def entity(self, entity_id: str) -> dict[str, Any] | None:
        """Look an entity up, or what became of an id that ended."""
        digest, row = await self._entity_row(entity_id)
        if self._lives(entity_id, digest, row):
            return entity_document(await self._living(digest, row))
        return self._rows.ended(entity_id, digest, row)

    async def view(self, entity_id: str) -> EntityView | None:
        """Read a living entity with its histories."""
        digest, row = await self._entity_row(entity_id)
        return await self._living(digest, row) if self._lives(entity_id, digest, row) else None

    async def _entity_row(self, entity_id: str) -> tuple[bytes, list[Any]]:
        try:
            digest = founder_of(entity_id)
        except ValueError:
            return b"", [b"unknown"]
        return digest, await self._look("entity", digest)

    def _lives(self, entity_id: str, digest: bytes, row: list[Any]) -> bool:
        return row[0] == b"living" and self._rows.entity_id(digest, row[1]) == entity_id

    async def links(self, identifier: Identifier, after: int = 0, limit: int = MOST_LINKS) -> LinkPage:
        """Read on in an identifier's chain of links, the newest of which comes first."""
        digest = identifier_digest(self._rules.identity_key, identifier)
        on, rows = await self._look("links", digest, after, max(1, min(limit, MOST_LINKS)), MOST_LINKED)
        return LinkPage(tuple(map(self._rows.link, rows)), on)

    async def standing(self, identifier: Identifier) -> Standing:
        """Read an identifier's flags, and with whom corrections name it."""
        known, flags, forbidden, linked, cutoff = await self._look("standing", identifier_digest(self._rules.identity_key, identifier))
        pairs = sorted((self._rows.named(*named), since - BIAS_MS) for *named, since in linked)
        enemies = tuple(sorted(self._rows.named(*one) for one in forbidden))
        return Standing(known == 1, flags & 1 != 0, flags & 2 != 0, enemies, tuple(pairs), cutoff - BIAS_MS if cutoff else None)

    async def documents(self) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
        """Walk over all nodes in pieces, then over the folds of memberships."""
        last = int(await self._asked(self._redis.hget(f"{self._base}:meta", "nodes")) or 0)
        for start in range(1, last + 1, _WALK):
            for founder, named, row, entity in await self._look("nodes", start, _WALK):
                seen = self._rows.identifier(row)
                yield "identifiers", str(seen.identifier), identifier_document(seen, self._rows.entity_id(founder, named))
                if entity:
                    document = entity_document(await self._living(seen.digest, entity))
                    yield "entities", document["entity_id"], document
        async for key, document in self._membership_documents():
            yield "memberships", key, document

    async def _membership_documents(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        async for bucket in self._redis.scan_iter(match=f"{self._base}:r:*", count=1000):
            for name in await self._redis.hkeys(bucket):
                person, group, view = self._rows.membership(await self._look("membership", cast("bytes", name)))
                if view:
                    yield f"{person}:{group}", membership_document(view)

    def _given(self) -> int | str:
        return self._clock() if self._clock is not None else ""

    async def _now(self) -> int:
        """Tell the present for an answer, in ms: that of what was told last; before anything was, Redis's clock."""
        if self._clock is not None:
            return self._clock()
        if told := await self._asked(self._redis.hget(f"{self._base}:meta", "present")):
            return int(told)
        seconds, micros = await self._asked(self._redis.time())
        return int(seconds) * 1000 + int(micros) // 1000

    async def _living(self, digest: bytes, row: list[Any]) -> EntityView:
        """Read a living entity as it is now."""
        return await view_of(self._call, self._rules, self._rows, digest, row, await self._now())

    async def _look(self, what: str, *arguments: bytes | int) -> list[Any]:
        _, (packed,) = await self._call("look", what, *arguments)
        return unpack(packed)

    async def _call(self, command: str, *arguments: bytes | str | int) -> tuple[Reply, list[Any]]:
        """Run a command of the birth that was opened. Raises StoreLost, with the space opened anew, when it is gone.

        Who never opened it takes the space as it is, and gets StoreMismatch where there is none.
        """
        born = self._born
        word, rest = await self._asked(self._scripts.call(command, *arguments, born or await self._present()))
        if word is Reply.LOST and not born:
            raise StoreMismatch(f"{self._base} is not in Redis")
        if word is Reply.LOST:
            async with self._opening:
                if self._born == born:
                    await self.open()
            raise StoreLost(f"{self._base} is no longer the space that was opened: Redis was emptied or replaced")
        return word, rest

    async def _present(self) -> bytes:
        """Give the birth of the space as it is, empty where there is none."""
        return cast("bytes", await self._asked(self._redis.hget(f"{self._base}:meta", "born")) or b"")

    async def _asked(self, question: Awaitable[Answer]) -> Answer:
        """Wait for an answer to its end: a connection that is left half-way would give it to the next question."""
        asked = asyncio.ensure_future(question)
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            asked.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise
        except (RedisConnectionError, RedisTimeoutError, ResponseError) as error:
            where = self._url.rpartition("@")[2]
            if isinstance(error, ResponseError) and (denial := forbidden(error)):
                raise SettingsError(f"redis.url: Redis at {where} {denial}") from error
            if isinstance(error, ResponseError) and not passing(error):
                raise
            if isinstance(error, ReadOnlyError):  # after a failover the address may lead elsewhere, but not what is connected
                await self._redis.connection_pool.disconnect(inuse_connections=False)
            if isinstance(error, ResponseError | BusyLoadingError):
                raise RedisRefuses(f"Redis at {where} answers, but takes nothing for now: {error}") from error
            raise RedisUnavailable(f"Redis at {where} does not answer: {error}") from error

    def _id(self, founder: bytes, seen: Sighting) -> str | None:
        if founder == NOBODY:
            return None
        return self._rows.entity_id(founder, seen.entity_type.encode() + b":")
