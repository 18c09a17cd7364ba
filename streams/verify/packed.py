"""Packed records: how one record of each kind in Redis is read, for checking.

Written from docs/reference/redis-layout.md, apart from the scripts that write them. Times become epoch times again on
the way. Neighbours: `dump` puts what is read together.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgpack

from streams.verify.expected import Moment
from streams.verify.instants import HOUR, YEAR_ONE

YEAR_ONE_HOURS = YEAR_ONE // HOUR
_NUMBER = 5

PairName = tuple[int, int]
"""The links of member and group; zeros for none."""

Fact = tuple[Moment, bytes]
"""(event, value): a trait's JSON, or a membership's role."""


class Node(NamedTuple):
    """An identifier in the graph."""

    parent: int
    next: int
    first: int
    last: int
    first_link: int
    head: int
    told: int
    code: int
    digest: bytes
    flags: int = 0

    @property
    def off(self) -> bool:
        """Say whether it connects nothing."""
        return self.flags & 67 != 0

    @property
    def erased(self) -> bool:
        """Say whether an erasure covers it, or left no link of it."""
        return self.flags & 64 != 0

    @property
    def detached(self) -> bool:
        """Say whether it is of no part."""
        return self.flags & 4 != 0


class Part(NamedTuple):
    """The entity of a root."""

    founder: int
    first: int
    last: int
    size: int
    counts: dict[int, int]
    listed: list[int]
    case: int = 0
    flags: int = 0


class LinkRecord(NamedTuple):
    """Identifiers seen together; `members` are (node, that node's next link), the centre first. One that is dead was erased."""

    first: int
    last: int
    members: list[tuple[int, int]]
    source: str
    event_id: str
    traits: dict[str, Fact]
    dead: bool = False


class Pair(NamedTuple):
    """Sightings of a membership between two links, its place in the lists of both, and the founders it was told under.

    One of a link that was erased has no latest any more.
    """

    latest: Fact | None
    ended: bool
    active: Fact | None
    begun: Fact | None
    next_group: PairName
    next_member: PairName
    told: tuple[bytes, bytes]


class Fold(NamedTuple):
    """What the memberships topic says of two entities, and how many pairs are told as this."""

    latest: Fact
    ended: bool
    active: Fact | None
    begun: Fact | None
    pairs: int


class ListHeads(NamedTuple):
    """Where a link's lists of memberships begin: of those to which it belongs, and of those who belong to it."""

    groups: PairName
    members: PairName


def numbers(packed: bytes) -> list[int]:
    """Read numbers of five bytes each."""
    return [int.from_bytes(packed[at : at + _NUMBER], "big") for at in range(0, len(packed), _NUMBER)]


def _cut(packed: bytes, *sizes: int) -> list[int]:
    """Read unsigned numbers of the given sizes, the first byte the highest."""
    found, at = [], 0
    for size in sizes:
        found.append(int.from_bytes(packed[at : at + size], "big"))
        at += size
    return found


def parse_node(packed: bytes) -> Node:
    """Read a record of `n`: 55 bytes."""
    parent, following, first, last, first_link, head, told, code = _cut(packed, 5, 5, 7, 4, 5, 5, 5, 1)
    (flags,) = _cut(packed[53:], 2)
    return Node(parent, following, first - YEAR_ONE, last - YEAR_ONE_HOURS, first_link, head, told, code, packed[37:53], flags)


def parse_part(packed: bytes) -> Part:
    """Read a record of `p`: 56 bytes, 6 for each identifier type, 5 for each identifier listed."""
    founder, first, last, size = _cut(packed, 5, 7, 4, 5)
    case, flags, _, types = _cut(packed[44:], 5, 1, 5, 1)
    counts = {packed[at]: numbers(packed[at + 1 : at + 6])[0] for at in range(56, 56 + 6 * types, 6)}
    return Part(founder, first - YEAR_ONE, last - YEAR_ONE_HOURS, size, counts, numbers(packed[56 + 6 * types :]), case, flags)


def parse_link(packed: bytes) -> LinkRecord:
    """Read a record of `k`: 13 bytes, 10 for each member, then msgpack."""
    first, last, size = _cut(packed, 7, 4, 2)
    flat = numbers(packed[13 : 13 + 10 * size])
    said = _unpacked(packed[13 + 10 * size :])
    source, event_id, traits = said or (b"", b"", {})
    return LinkRecord(
        first - YEAR_ONE,
        last - YEAR_ONE_HOURS,
        list(zip(flat[::2], flat[1::2], strict=True)),
        text(source),
        text(event_id),
        _traits(traits),
        not said,
    )


def parse_traits(packed: bytes) -> dict[str, Fact]:
    """Read a record of `t`."""
    return _traits(_unpacked(packed))


def parse_pair(packed: bytes) -> Pair:
    """Read a record of `m`."""
    latest, ended, active, begun, next_group, next_member, person, group, _ = _unpacked(packed)
    following = pair_name(next_group), pair_name(next_member)
    return Pair(_fact_or_none(latest), ended == 1, *_active_and_begun(active, begun), *following, (person, group))


def pair_name(packed: bytes) -> PairName:
    """Read the name of a record of `m`: 10 bytes."""
    member, group = numbers(packed)
    return member, group


def parse_correction(packed: bytes) -> tuple[int, bytes, bool]:
    """Read a record of `c`: the time, the command's id, whether it holds."""
    issued, command_id, holds = _unpacked(packed)
    return issued, command_id, holds == 1


def parse_erasure(packed: bytes) -> tuple[int, bytes]:
    """Read a record of `y`: the cutoff in ms, and the digest since."""
    return _cut(packed, 7)[0] - YEAR_ONE, packed[7:23]


def parse_fold(packed: bytes) -> Fold:
    """Read a record of `r`."""
    latest, ended, active, begun, pairs, _ = _unpacked(packed)
    return Fold(_fact(latest), ended == 1, *_active_and_begun(active, begun), pairs)


def parse_heads(packed: bytes) -> ListHeads:
    """Read a record of `q`."""
    return ListHeads(pair_name(packed[:10]), pair_name(packed[10:]))


def parse_state(packed: bytes) -> tuple[str, Moment, int, str]:
    """Read a member of a set `o`."""
    state, at, source, event_id, index, value = _unpacked(packed)
    return text(state), (at - YEAR_ONE, text(source), text(event_id)), index, text(value)


def _unpacked(packed: bytes) -> Any:  # noqa: ANN401 - whatever was packed
    return msgpack.unpackb(packed, raw=True, strict_map_key=False)


def text(raw: bytes) -> str:
    """Read text, which may hold what UTF-8 has no word for."""
    return raw.decode("utf-8", "surrogatepass")


def _fact(packed: list[Any]) -> Fact:
    at, source, event_id, value = packed
    return (at - YEAR_ONE, text(source), text(event_id)), value


def _fact_or_none(packed: list[Any] | Literal[False]) -> Fact | None:
    return _fact(packed) if packed else None


def _active_and_begun(active: list[Any] | Literal[False], begun: list[Any] | bool) -> tuple[Fact | None, Fact | None]:
    """Read both; the first of a membership is `True` where it is its active one."""
    return _fact_or_none(active), _fact_or_none(active if begun is True else begun)


def _trait(packed: list[Any]) -> Fact:
    """Read a fact of a trait; one of five parts has an order in the place of its time, and its time last."""
    if len(packed) == 4:
        return _fact(packed)
    order, source, event_id, value, _ = packed
    return (order, text(source), text(event_id)), value


def _traits(packed: dict[bytes, list[Any]] | list[Any]) -> dict[str, Fact]:
    """Lua writes an empty table as an empty list."""
    return {text(name): _trait(fact) for name, fact in packed.items()} if isinstance(packed, dict) else {}
