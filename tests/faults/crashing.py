"""A life: one process's calls to the outside, numbered, and what befalls it after one of them.

A process that dies before a call leaves behind what it left after the call before, and a question changes nothing;
so dying after each call that changes something is dying at every moment there is.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import KafkaConnectionError

from resolvers.errors import RedisUnavailable

QUESTIONS = frozenset({"backlog", "bounds", "committed", "fetch", "metadata", "position"})
"""Calls that change nothing outside."""


MOST_CALLS = 2_000
"""More calls than any worker needs until nothing is left to do."""


class Crash(BaseException):
    """The process is dead: nothing that it does from now on has an effect."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call to the outside; `name` says whose, which and which of that name."""

    name: str
    changes: bool

    @property
    def asks_the_store(self) -> bool:
        """Say whether it is one of the graph's, not of Kafka's."""
        return self.name.startswith("resolver ")


class Life:
    """What one process has asked of the outside so far; it may be told to die or to freeze after a call, or not to get its answer.

    Calls are numbered from 1. Something else may be made to happen after a call: `then` is awaited with its number.
    """

    def __init__(
        self,
        *,
        dies_after: int | None = None,
        freezes_after: int | None = None,
        unanswered: int | None = None,
        then: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        self.calls: list[Call] = []
        self.dead = False
        self.frozen = asyncio.Event()
        self.thaw = asyncio.Event()
        self._dies_after = dies_after
        self._freezes_after = freezes_after
        self._unanswered = unanswered
        self._then = then
        self._seen: Counter[str] = Counter()

    async def step(self, name: str, call: Callable[[], Awaitable[Any]], *, changes: bool) -> Any:
        """Make a call, unless this life is over; its answer may come late, or never."""
        if self.dead:
            raise Crash(name)
        try:
            return await call()
        finally:
            self._seen[name] += 1
            assert len(self.calls) < MOST_CALLS, f"the worker does not come to rest: {[call.name for call in self.calls[-9:]]}"
            self.calls.append(Call(f"{name} #{self._seen[name]}", changes))
            await self._befall(len(self.calls))

    async def _befall(self, number: int) -> None:
        if self._then is not None:
            await self._then(number)
        if number == self._freezes_after:
            self.frozen.set()
            await self.thaw.wait()
        if self.dead or number == self._dies_after:
            self.dead = True
            raise Crash(self.calls[number - 1].name)
        if number == self._unanswered:
            call = self.calls[number - 1]
            raise RedisUnavailable(call.name) if call.asks_the_store else KafkaConnectionError(call.name)


class Watched:
    """Something outside as one life sees it: every coroutine method is a step of that life."""

    def __init__(self, outside: Any, life: Life, name: str) -> None:
        self._outside = outside
        self._life = life
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        method = getattr(self._outside, attribute)
        if not inspect.iscoroutinefunction(method):
            return method

        async def call(*arguments: Any, **named: Any) -> Any:
            return await self._life.step(
                f"{self._name} {attribute}", lambda: method(*arguments, **named), changes=attribute not in QUESTIONS
            )

        return call
