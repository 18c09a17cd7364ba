"""Tokens for Kafka's OAUTHBEARER: a function of the user's own gives them, asked anew for every connection.

Neighbours: `kafka` and `faust_options` give the provider to their clients.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Awaitable, Callable

from aiokafka.abc import AbstractTokenProvider

from resolvers.errors import SettingsError

Give = Callable[[], str | Awaitable[str]]


class Tokens(AbstractTokenProvider):  # type: ignore[misc] # aiokafka tells no types
    """Asks a function, plain or async, for the token that a new connection shows. A plain one runs in a thread."""

    def __init__(self, give: Give) -> None:
        self._give = give

    async def token(self) -> str:
        """Give a token that is not expired; keeping it as long as it is good is the function's business."""
        found = self._give() if inspect.iscoroutinefunction(self._give) else await asyncio.to_thread(self._give)
        return await found if inspect.isawaitable(found) else found


def tokens_of(path: str) -> Tokens:
    """Import the function that `package.module:function` names. Raises SettingsError."""
    module_name, _, function_name = path.partition(":")
    try:  # importing runs the user's code, which may raise anything
        give = getattr(importlib.import_module(module_name), function_name)
    except Exception as error:
        raise SettingsError(f"kafka.security.token_provider: {path!r} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(give):
        raise SettingsError(f"kafka.security.token_provider: {path!r} is not a function that gives a token")
    return Tokens(give)
