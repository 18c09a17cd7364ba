"""The dump: everything that Redis holds of one space, read record by record, for checking.

The layout is described in docs/reference/redis-layout.md. The parsers here are written from that page, apart from the
scripts that write the records. Times become epoch times again on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgpack

from streams.verify.expected import Moment
from streams.verify.instants import HOUR, YEAR_ONE

YEAR_ONE_HOURS = YEAR_ONE // HOUR
PAGE = 128
_NUMBER = 5

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


class Part(NamedTuple):
    """The entity of a root."""

    founder: int
    first: int
    last: int
    size: int
    counts: dict[int, int]
    listed: list[int]


class LinkRecord(NamedTuple):
    """Identifiers seen together; `members` are (node, that node's next link), the centre first."""

    first: int
    last: int
    members: list[tuple[int, int]]
    source: str
    event_id: str
    traits: dict[str, Fact]


class Pair(NamedTuple):
    """Sightings of a membership between two nodes, its place in both lists, and the founders it was told under."""

    latest: Fact
    ended: bool
    active: Fact | None
    next_group: int
    next_member: int
    told: tuple[bytes, bytes]


class Fold(NamedTuple):
    """What the memberships topic says of two entities."""

    latest: Fact
    ended: bool
    active: Fact | None


class ListHeads(NamedTuple):
    """Where a node's lists of memberships begin, and how long they are."""

    groups: int
    group_count: int
    members: int
    member_count: int


@dataclass(slots=True)
class Dump:
    """A space in Redis. `misplaced` names records that lie under a key where nothing would look for them."""

    meta: dict[str, str] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    nodes: dict[int, Node] = field(default_factory=dict)
    values: dict[int, str] = field(default_factory=dict)
    node_of: dict[bytes, int] = field(default_factory=dict)
    parts: dict[int, Part] = field(default_factory=dict)
    traits: dict[int, dict[str, Fact]] = field(default_factory=dict)
    links: dict[int, LinkRecord] = field(default_factory=dict)
    link_of: dict[bytes, int] = field(default_factory=dict)
    pairs: dict[tuple[int, int], Pair] = field(default_factory=dict)
    heads: dict[int, ListHeads] = field(default_factory=dict)
    folds: dict[tuple[bytes, bytes], Fold] = field(default_factory=dict)
    together: dict[int, set[int]] = field(default_factory=dict)
    states: dict[int, set[tuple[str, Moment, int, str]]] = field(default_factory=dict)
    rounds: dict[int, int] = field(default_factory=dict)
    outbox: dict[str, int] = field(default_factory=dict)
    misplaced: list[str] = field(default_factory=list)

    @property
    def sweeps(self) -> int:
        """Count what is still to be swept."""
        return self.outbox.get("sweepq", 0)

    def read(self, kind: str, page: str, content: Any) -> None:  # noqa: ANN401 - a hash, a set or a sorted set
        """Take a key in: `nexus:{space}:<kind>:<page>` with all that is under it."""
        reader = _READERS.get(kind)
        if reader is None:
            self.misplaced.append(f"{kind}:{page}".rstrip(":"))
        else:
            reader(self, page, content)


def _numbers(packed: bytes) -> list[int]:
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
    """Read a record of `n`: 53 bytes."""
    parent, following, first, last, first_link, head, told, code = _cut(packed, 5, 5, 7, 4, 5, 5, 5, 1)
    return Node(parent, following, first - YEAR_ONE, last - YEAR_ONE_HOURS, first_link, head, told, code, packed[37:53])


def parse_part(packed: bytes) -> Part:
    """Read a record of `p`: 45 bytes, 6 for each identifier type, 5 for each identifier listed."""
    founder, first, last, size = _cut(packed, 5, 7, 4, 5)
    types = packed[44]
    counts = {packed[at]: _numbers(packed[at + 1 : at + 6])[0] for at in range(45, 45 + 6 * types, 6)}
    return Part(founder, first - YEAR_ONE, last - YEAR_ONE_HOURS, size, counts, _numbers(packed[45 + 6 * types :]))


def parse_link(packed: bytes) -> LinkRecord:
    """Read a record of `k`: 13 bytes, 10 for each member, then msgpack."""
    first, last, size = _cut(packed, 7, 4, 2)
    numbers = _numbers(packed[13 : 13 + 10 * size])
    source, event_id, traits = _unpacked(packed[13 + 10 * size :])
    return LinkRecord(
        first - YEAR_ONE,
        last - YEAR_ONE_HOURS,
        list(zip(numbers[::2], numbers[1::2], strict=True)),
        _text(source),
        _text(event_id),
        _traits(traits),
    )


def parse_traits(packed: bytes) -> dict[str, Fact]:
    """Read a record of `t`."""
    return _traits(_unpacked(packed))


def parse_pair(packed: bytes) -> Pair:
    """Read a record of `m`."""
    latest, ended, active, next_group, next_member, person, group = _unpacked(packed)
    return Pair(_fact(latest), ended == 1, _fact(active) if active else None, next_group, next_member, (person, group))


def parse_fold(packed: bytes) -> Fold:
    """Read a record of `r`."""
    latest, ended, active = _unpacked(packed)
    return Fold(_fact(latest), ended == 1, _fact(active) if active else None)


def parse_heads(packed: bytes) -> ListHeads:
    """Read a record of `q`."""
    return ListHeads(*_cut(packed, 5, 4, 5, 4))


def parse_state(packed: bytes) -> tuple[str, Moment, int, str]:
    """Read a member of a set `o`."""
    state, at, source, event_id, index, value = _unpacked(packed)
    return _text(state), (at - YEAR_ONE, _text(source), _text(event_id)), index, _text(value)


def _unpacked(packed: bytes) -> Any:  # noqa: ANN401 - whatever was packed
    return msgpack.unpackb(packed, raw=True, strict_map_key=False)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


def _fact(packed: list[Any]) -> Fact:
    at, source, event_id, value = packed
    return (at - YEAR_ONE, _text(source), _text(event_id)), value


def _traits(packed: dict[bytes, list[Any]] | list[Any]) -> dict[str, Fact]:
    """Lua writes an empty table as an empty list."""
    return {_text(name): _fact(fact) for name, fact in packed.items()} if isinstance(packed, dict) else {}


Reader = Callable[[Dump, str, Any], None]


def _paged(attribute: str, parse: Callable[[bytes], Any]) -> Reader:
    def read(dump: Dump, page: str, content: dict[bytes, bytes]) -> None:
        found = getattr(dump, attribute)
        for place, packed in content.items():
            found[int(page) * PAGE + place[0]] = parse(packed)

    return read


def _bucketed(
    attribute: str, name_of: Callable[[bytes], Any], parse: Callable[[bytes], Any], bucket_of: Callable[[bytes, int], int]
) -> Reader:
    def read(dump: Dump, page: str, content: dict[bytes, bytes]) -> None:
        found, buckets = getattr(dump, attribute), int(dump.meta.get("buckets", "0") or 1)
        for name, packed in content.items():
            if bucket_of(name, buckets) != int(page):
                dump.misplaced.append(f"{attribute} {name.hex()} in bucket {page}")
            found[name_of(name)] = parse(packed)

    return read


def _by_digest(name: bytes, buckets: int) -> int:
    return int.from_bytes(name[4:8], "big") % buckets


def _by_pair(name: bytes, buckets: int) -> int:
    member, group = _numbers(name)
    return (member * 31 + group) % buckets


def _meta(dump: Dump, _: str, content: dict[bytes, bytes]) -> None:
    dump.meta |= {_text(name): _text(value) for name, value in content.items()}


def _names(dump: Dump, _: str, content: dict[bytes, bytes]) -> None:
    dump.names |= {int(code): _text(name) for code, name in content.items()}


def _codes(dump: Dump, _: str, content: dict[bytes, bytes]) -> None:
    dump.codes |= {_text(name): int(code) for name, code in content.items()}


def _positions(dump: Dump, _: str, content: dict[bytes, bytes]) -> None:
    dump.positions |= {_text(place): int(position.split(b":")[0]) for place, position in content.items()}


def _together(dump: Dump, page: str, content: dict[bytes, bytes]) -> None:
    for place, packed in content.items():
        if packed != b"*":  # the set is too large for the page and lies under a key of its own
            dump.together.setdefault(int(page) * PAGE + place[0], set()).update(_numbers(packed))


def _together_large(dump: Dump, node: str, content: Iterable[bytes]) -> None:
    dump.together.setdefault(int(node), set()).update(int(number) for number in content)


def _states(dump: Dump, link: str, content: Iterable[bytes]) -> None:
    dump.states.setdefault(int(link), set()).update(parse_state(packed) for packed in content)


def _rounds(dump: Dump, shard: str, content: dict[bytes, bytes]) -> None:
    dump.rounds[int(shard)] = int(content.get(b"number", b"0"))
    if b"payload" in content:
        dump.outbox["rounds in flight"] = dump.outbox.get("rounds in flight", 0) + 1


def _counted(kind: str) -> Reader:
    def read(dump: Dump, _: str, content: Any) -> None:  # noqa: ANN401 - of any shape, only counted
        dump.outbox[kind] = dump.outbox.get(kind, 0) + len(content)

    return read


def _number(packed: bytes) -> int:
    return int.from_bytes(packed, "big")


def _pair_name(name: bytes) -> tuple[int, int]:
    member, group = _numbers(name)
    return member, group


_READERS: dict[str, Reader] = {
    "meta": _meta,
    "names": _names,
    "codes": _codes,
    "pos": _positions,
    "n": _paged("nodes", parse_node),
    "v": _paged("values", _text),
    "V": _paged("values", _text),
    "p": _paged("parts", parse_part),
    "t": _paged("traits", parse_traits),
    "k": _paged("links", parse_link),
    "q": _paged("heads", parse_heads),
    "h": _together,
    "H": _together_large,
    "o": _states,
    "i": _bucketed("node_of", bytes, _number, _by_digest),
    "l": _bucketed("link_of", bytes, _number, _by_digest),
    "r": _bucketed("folds", lambda name: (name[:16], name[16:]), parse_fold, _by_digest),
    "m": _bucketed("pairs", _pair_name, parse_pair, _by_pair),
    "round": _rounds,
    **{kind: _counted(kind) for kind in ("dirty", "queue", "notes", "inflight", "sweepq", "sweeps")},
}
