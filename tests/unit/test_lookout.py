from __future__ import annotations

import asyncio

from resolvers.errors import RedisUnavailable, StoreLost
from streams.lookout import Lookout


class Told:
    """Remembers what was said, and is done after so many words."""

    def __init__(self, words: int) -> None:
        self.said: list[str] = []
        self.done = asyncio.Event()
        self._words = words

    def fails(self, call: object, what: str, error: Exception) -> None:
        self._say(f"{what}: {error}")

    def over(self, call: object) -> None:
        self._say("answers")

    def _say(self, word: str) -> None:
        self.said.append(word)
        if len(self.said) >= self._words:
            self.done.set()


async def looked(told: Told, answers: list[Exception | None]) -> list[str]:
    async def ask() -> None:
        if answers and (error := answers.pop(0)):
            raise error

    lookout = Lookout(told, {"asking Redis": ask}, every_seconds=0)
    await lookout.start()
    await told.done.wait()
    await lookout.stop()
    return told.said[:4]


async def test_what_does_not_answer_is_told_until_it_does() -> None:
    said = await looked(Told(4), [None, RedisUnavailable("gone"), RedisUnavailable("loading")])
    assert said == ["answers", "asking Redis: gone", "asking Redis: loading", "answers"]


async def test_an_answer_that_others_must_act_on_is_an_answer() -> None:
    assert await looked(Told(2), [StoreLost("emptied")]) == ["answers", "answers"]
