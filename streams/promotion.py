"""Promotion: a rebuilt space takes the place of the live one, and goes on on the live one's topics.

Invariant: what the topics say is told on from what they hold: each key's versions rise, what the new graph does not know is
retired, what merged or was split is told. That is what a recovery does, so a promotion is a graph put in the place of another, and a
recovery begun. It can be interrupted anywhere; the same command goes on. Neighbours: `rebuild` makes the space, `nexus diff` shows
first what it changes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from resolvers.errors import NexusError, StoreMismatch
from streams import kafka
from streams.discard import check_idle
from streams.dump import whole_topic
from streams.graph import open_graph
from streams.preflight import make_missing_topics
from streams.recovery import log_ends
from streams.sender import Outgoing, Sender, send_all
from streams.settings import Settings, settings_from
from streams.topics import places_of

AT_ONCE = 500
FIRST, LAST = "meta", "codes"
"""Keys of which a space always has one while it is moved, so that no worker takes it for one that is to be born."""


@dataclass(frozen=True, slots=True)
class Promoted:
    """What was done. `kept_as` is the space that the former live one is now, empty where there was none."""

    space: str
    into: str
    kept_as: str
    participants: int


async def promote(settings: Settings, space: str, kept_as: str, say: Callable[[str], None]) -> Promoted:
    """Put a space in the place of that of the settings, which is kept as another.

    Raises NexusError where workers are at work on either, or where the space has not told everything; StoreMismatch where it was not made
    with these settings; KafkaUnavailable, RedisUnavailable.
    """
    source = _beside(settings, space)
    kept = _beside(settings, kept_as)
    redis: Redis = Redis.from_url(settings.redis.url)
    try:
        moving = _Moving(redis, settings, source, kept)
        async with _idle(settings, source):
            await moving.begin()
            if not await moving.reached("old"):
                say(f"marking everything of space {space} to be told")
                await _tell_again(source, resumed=await moving.reached("marking"), begun=lambda: moving.note("marking"))
                count = await _copy_participants(source, settings)
                await moving.note("old", participants=count)
            say(f"putting space {space} in the place of {settings.space}")
            await moving.move()
            return await moving.end()
    except ResponseError as error:
        raise NexusError(f"Redis refuses to put {space} in the place of {settings.space}: {error}") from error
    finally:
        await redis.aclose()


def _beside(settings: Settings, space: str) -> Settings:
    if space == settings.space:
        raise NexusError(f"{space} is the live space of these settings")
    settings_from({"space": space}, "promote")
    return settings.model_copy(update={"space": space})


@asynccontextmanager
async def _idle(*spaces: Settings) -> AsyncIterator[None]:
    """Check that no worker is at work on these spaces; it is for whoever starts workers to wait."""
    client = await kafka.started(kafka.admin(spaces[0], what="promote"), spaces[0].kafka, "promote")
    try:
        for one in spaces:
            await check_idle(client, one)
    finally:
        await client.close()
    await make_missing_topics(spaces[0])
    yield


async def _tell_again(source: Settings, *, resumed: bool, begun: Callable[[], Any]) -> None:
    """Have everything of the space told once more, after the logs are applied and the topics are read."""
    async with open_graph(source, check=False) as graph:
        try:
            backlog = await graph.backlog()
        except StoreMismatch as error:
            raise NexusError(f"there is no space {source.space} in Redis: `nexus rebuild --into {source.space}` makes it") from error
        await graph.open()
        if not backlog.empty and not resumed:
            raise NexusError(f"space {source.space} has not told everything: run its workers until `nexus verify --space` says that it has")
        await begun()
        await graph.recover(await log_ends(source))
        await graph.tell_again()


async def _copy_participants(source: Settings, target: Settings) -> int:
    """Have the participants of the live topics be those of the new rules; they lie in the same partitions.

    A space that was live before has no topics of its own: what is on the live ones leads to its entities.
    """
    client = await kafka.started(kafka.admin(source, what="promote"), source.kafka, "promote")
    try:
        places = await places_of(client, [source.topic("participants")])
    finally:
        await client.close()
    if not places:
        return 0

    async def producer() -> Any:  # noqa: ANN401 - aiokafka's
        return await kafka.started(kafka.producer(target, what="promote"), target.kafka, "promote")

    sender = Sender(producer, target.kafka.bootstrap_servers, target.kafka.connect_seconds)
    await sender.start()
    count, waiting = 0, list[Outgoing]()
    try:
        async with aclosing(whole_topic(source, places)) as records:
            async for record in records:
                waiting.append(Outgoing(target.topic("participants"), record.key, record.value, partition=record.partition))
                count += 1
                if len(waiting) >= AT_ONCE:
                    await send_all(sender, waiting)
                    waiting = []
        await send_all(sender, waiting)
    finally:
        await sender.stop()
    return count


class _Moving:
    """How far a promotion came, in Redis; and the moving of keys."""

    def __init__(self, redis: Redis, live: Settings, source: Settings, kept: Settings) -> None:
        self._redis: Any = redis
        self._names = live.space, source.space, kept.space
        self._bases = tuple(f"nexus:{{{one.space}}}" for one in (live, source, kept))
        self._marker = f"nexus:promotion:{live.space}"

    async def begin(self) -> None:
        """Look whether it was begun. Raises NexusError where another was, or where what is to be kept would have a name that is taken."""
        _, source, kept = self._names
        begun = {name.decode(): value.decode() for name, value in (await self._redis.hgetall(self._marker)).items()}
        if begun and begun["from"] != source:
            raise NexusError(f"the promotion of {begun['from']} was interrupted: finish it first, with `nexus promote {begun['from']}`")
        if begun:
            self._names = (*self._names[:2], begun["kept"])
            self._bases = (*self._bases[:2], f"nexus:{{{begun['kept']}}}")
            return
        if await self._redis.exists(f"{self._bases[2]}:{FIRST}", f"{self._bases[2]}:{LAST}"):
            raise NexusError(f"there is a space {kept} already: name another with --keep-as")

    async def reached(self, phase: str) -> bool:
        """Say whether a phase was begun."""
        return bool(await self._redis.hexists(self._marker, phase))

    async def note(self, phase: str, **more: int) -> None:
        """Note that a phase begins."""
        _, source, kept = self._names
        await self._redis.hset(self._marker, mapping={"from": source, "kept": kept, phase: 1, **more})

    async def move(self) -> None:
        """Put the live space aside, then the new one in its place. What each key was before decides nothing, so it may be repeated."""
        live, source, kept = self._bases
        if not await self.reached("new"):
            if await self._redis.exists(f"{live}:{LAST}"):
                await self._redis.copy(f"{live}:{LAST}", f"{kept}:{LAST}", replace=True)
            if await self._redis.exists(f"{live}:{FIRST}"):
                await self._redis.rename(f"{live}:{FIRST}", f"{kept}:{FIRST}")
            await self._rename_all(live, kept, {FIRST, LAST})
            await self.note("new")
        await self._rename_all(source, live, {FIRST})
        if await self._redis.exists(f"{source}:{FIRST}"):
            await self._redis.rename(f"{source}:{FIRST}", f"{live}:{FIRST}")

    async def _rename_all(self, base: str, into: str, but: set[str]) -> None:
        left = {f"{base}:{name}".encode() for name in but}
        prefix = f"{base}:".encode()
        some: list[bytes] = []
        async for key in self._redis.scan_iter(match=base.replace("[", "\\[") + ":*", count=1_000):
            if key not in left:
                some.append(key)
            if len(some) >= AT_ONCE:
                await self._rename(some, prefix, into)
                some = []
        await self._rename(some, prefix, into)

    async def _rename(self, keys: list[bytes], prefix: bytes, into: str) -> None:
        async with self._redis.pipeline(transaction=False) as asked:
            for key in dict.fromkeys(keys):
                asked.rename(key, f"{into}:".encode() + key.removeprefix(prefix))
            for answer in await asked.execute(raise_on_error=False):
                if isinstance(answer, ResponseError) and "no such key" not in str(answer):  # a scan may give a key twice
                    raise answer

    async def end(self) -> Promoted:
        """Forget how far it came."""
        live, source, kept = self._names
        count = int(await self._redis.hget(self._marker, "participants") or 0)
        there = await self._redis.exists(f"{self._bases[2]}:{FIRST}")
        await self._redis.delete(self._marker)
        return Promoted(source, live, kept if there else "", count)
