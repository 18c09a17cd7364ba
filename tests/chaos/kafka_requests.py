"""Kafka's requests, as far as a proxy has to understand them: where each begins, and whose transaction it begins or ends.

Invariant: bytes are only looked at. Neighbours: `proxy` feeds what clients send, `late_commit` waits for some of it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

INIT_PRODUCER_ID = 22
END_TXN = 26
_FLEXIBLE = {INIT_PRODUCER_ID: 2, END_TXN: 3}
"""From these versions on strings are written otherwise; the workers' client writes older ones."""

_HEADER = struct.Struct(">hhi")
_LOOKED_AT = 1_024
"""A header with the first field behind it is shorter than so many bytes."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `transactional_id` of the two kinds whose first field it is."""

    api_key: int
    transactional_id: str | None = None


class Requests:
    """The requests of one connection, fed with its bytes in chunks of any size."""

    def __init__(self) -> None:
        self._begun = b""
        self._to_skip = 0

    def feed(self, chunk: bytes) -> Iterator[Request]:
        """Give the requests whose beginning is complete with this chunk."""
        while chunk:
            skipped = min(self._to_skip, len(chunk))
            self._to_skip -= skipped
            self._begun += chunk[skipped : skipped + _LOOKED_AT]
            chunk = chunk[skipped + _LOOKED_AT :]
            while self._begun and (found := self._next()) is not None:
                yield found

    def _next(self) -> Request | None:
        """Read the request that `_begun` begins with, and pass over it; None while too little of it is there."""
        if len(self._begun) < 4:
            return None
        size = int.from_bytes(self._begun[:4], "big")
        if len(self._begun) < 4 + min(size, _LOOKED_AT):
            return None
        found = read_request(self._begun[4 : 4 + size])
        self._to_skip = max(0, 4 + size - len(self._begun))
        self._begun = self._begun[4 + size :]
        return found


def read_request(body: bytes) -> Request:
    """Read a request from its header on; a little more than the header is enough."""
    api_key, version, _ = _HEADER.unpack_from(body)
    if api_key not in _FLEXIBLE or version >= _FLEXIBLE[api_key]:
        return Request(api_key)
    _, at = _string(body, _HEADER.size)
    transactional_id, _ = _string(body, at)
    return Request(api_key, transactional_id)


def _string(body: bytes, at: int) -> tuple[str | None, int]:
    """Read a string and where it ends; -1 as its length means that there is none."""
    (length,) = struct.unpack_from(">h", body, at)
    end = at + 2 + max(length, 0)
    return (None if length < 0 else body[at + 2 : end].decode()), end
