"""The dump: everything that Redis holds of one space, read record by record, for checking.

The layout is described in docs/reference/redis-layout.md. Neighbours: `packed` reads single records, `read_redis` brings
the keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from streams.verify.expected import Moment
from streams.verify.packed import (
    Fact,
    Fold,
    LinkRecord,
    ListHeads,
    Node,
    Pair,
    Part,
    numbers,
    pair_name,
    parse_correction,
    parse_erasure,
    parse_fold,
    parse_heads,
    parse_link,
    parse_node,
    parse_pair,
    parse_part,
    parse_state,
    parse_traits,
    text,
)

PAGE = 128


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
    near: set[tuple[str, bytes, bytes]] = field(default_factory=set)
    """Whom memberships connect: (`b`, member, group) and (`B`, group, member), by the digests of founders."""

    together: dict[int, set[int]] = field(default_factory=dict)
    states: dict[int, set[tuple[str, Moment, int, str]]] = field(default_factory=dict)
    showing: dict[int, set[int]] = field(default_factory=dict)
    cases: dict[int, set[int]] = field(default_factory=dict)
    case_into: dict[int, int] = field(default_factory=dict)
    rounds: dict[int, int] = field(default_factory=dict)
    corrections: dict[bytes, tuple[int, bytes, bool]] = field(default_factory=dict)
    said: dict[bytes, int] = field(default_factory=dict)
    forbidden: dict[bytes, set[bytes]] = field(default_factory=dict)
    linked: dict[bytes, dict[bytes, int]] = field(default_factory=dict)
    erased: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    first_of: dict[bytes, bytes] = field(default_factory=dict)
    outbox: dict[str, int] = field(default_factory=dict)
    misplaced: list[str] = field(default_factory=list)

    @property
    def sweeps(self) -> int:
        """Count what is still to be swept."""
        return self.outbox.get("sweepq", 0)

    def case(self, number: int) -> int:
        """Give the case that a case has gone into, or itself."""
        while (into := self.case_into.get(number)) is not None:
            number = into
        return number

    def read(self, kind: str, page: str, content: Any) -> None:  # noqa: ANN401 - a hash, a set or a sorted set
        """Take a key in: `nexus:{space}:<kind>:<page>` with all that is under it."""
        reader = _READERS.get(kind)
        if reader is None:
            self.misplaced.append(f"{kind}:{page}".rstrip(":"))
        else:
            reader(self, page, content)


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
    member, group = numbers(name)
    return (member * 31 + group) % buckets


def _meta(dump: Dump, _: str, content: dict[bytes, bytes]) -> None:
    dump.meta |= {text(name): text(value) for name, value in content.items()}


def _names(dump: Dump, _: str, content: dict[bytes, bytes]) -> None:
    dump.names |= {int(code): text(name) for code, name in content.items()}


def _codes(dump: Dump, _: str, content: dict[bytes, bytes]) -> None:
    dump.codes |= {text(name): int(code) for name, code in content.items()}


def _positions(dump: Dump, _: str, content: dict[bytes, bytes]) -> None:
    dump.positions |= {text(place): int(position.split(b":")[0]) for place, position in content.items()}


def _together(dump: Dump, page: str, content: dict[bytes, bytes]) -> None:
    for place, packed in content.items():
        if packed != b"*":  # the set is too large for the page and lies under a key of its own
            dump.together.setdefault(int(page) * PAGE + place[0], set()).update(numbers(packed))


def _together_large(dump: Dump, node: str, content: Iterable[bytes]) -> None:
    dump.together.setdefault(int(node), set()).update(int(number) for number in content)


def _states(dump: Dump, link: str, content: Iterable[bytes]) -> None:
    dump.states.setdefault(int(link), set()).update(parse_state(packed) for packed in content)


def _showing(dump: Dump, node: str, content: Iterable[bytes]) -> None:
    dump.showing[int(node)] = {int(link) for link in content}


def _rounds(dump: Dump, shard: str, content: dict[bytes, bytes]) -> None:
    dump.rounds[int(shard)] = int(content.get(b"number", b"0"))
    if b"payload" in content:
        dump.outbox["rounds in flight"] = dump.outbox.get("rounds in flight", 0) + 1


def _cases(dump: Dump, page: str, content: Any) -> None:  # noqa: ANN401 - a hash of numbers, or a set of roots or of cases
    case, _, what = page.partition(":")
    if what == "roots":
        dump.cases[int(case)] = {int(root) for root in content}
    elif not what and b"into" in content:
        dump.case_into[int(case)] = int(content[b"into"])


def _near(kind: str) -> Reader:
    def read(dump: Dump, page: str, content: Iterable[bytes]) -> None:
        dump.near |= {(kind, page.encode("utf-8", "surrogateescape"), other) for other in content}

    return read


def _forbidden(dump: Dump, page: str, content: Iterable[bytes]) -> None:
    dump.forbidden[page.encode("utf-8", "surrogateescape")] = set(content)


def _linked(dump: Dump, page: str, content: dict[bytes, bytes]) -> None:
    dump.linked[page.encode("utf-8", "surrogateescape")] = {digest: int(since) for digest, since in content.items()}


def _counted(kind: str) -> Reader:
    def read(dump: Dump, _: str, content: Any) -> None:  # noqa: ANN401 - of any shape, only counted
        dump.outbox[kind] = dump.outbox.get(kind, 0) + len(content)

    return read


def _number(packed: bytes) -> int:
    return int.from_bytes(packed, "big")


_COUNTED = (
    *("dirty", "queue", "note", "inflight", "due", "rereads", "Hn"),
    *("sweepq", "sweeps", "walkq", "walks", "freshq", "fresh", "carryq", "carries", "cuts"),
)

_READERS: dict[str, Reader] = {
    "meta": _meta,
    "names": _names,
    "codes": _codes,
    "pos": _positions,
    "marks": lambda *_: None,  # of workers, for workers
    "n": _paged("nodes", parse_node),
    "v": _paged("values", text),
    "V": _paged("values", text),
    "p": _paged("parts", parse_part),
    "t": _paged("traits", parse_traits),
    "k": _paged("links", parse_link),
    "q": _paged("heads", parse_heads),
    "b": _near("b"),
    "B": _near("B"),
    "h": _together,
    "H": _together_large,
    "o": _states,
    "i": _bucketed("node_of", bytes, _number, _by_digest),
    "l": _bucketed("link_of", bytes, _number, _by_digest),
    "r": _bucketed("folds", lambda name: (name[:16], name[16:]), parse_fold, _by_digest),
    "m": _bucketed("pairs", pair_name, parse_pair, _by_pair),
    "c": _bucketed("corrections", bytes, parse_correction, lambda name, buckets: _by_digest(name[1:], buckets)),
    "x": _bucketed("said", bytes, _number, _by_digest),
    "f": _forbidden,
    "j": _linked,
    "g": lambda *_: None,  # which endings were told; the topics show whether they were
    "s": lambda *_: None,  # which states were told
    "w": _showing,
    "lapses": lambda *_: None,  # when values lapse
    "rests": lambda *_: None,  # until when entities of very many observations are not told again
    "tide": lambda *_: None,  # how far the events of each partition have come in time
    "R": lambda *_: None,  # which refusals were told
    "y": _bucketed("erased", bytes, parse_erasure, _by_digest),
    "z": _bucketed("first_of", bytes, bytes, _by_digest),
    "days": lambda *_: None,  # where in the log each day begins
    "trace": lambda *_: None,  # trace contexts on their way to the topics' headers
    "case": _cases,
    "round": _rounds,
    **{kind: _counted(kind) for kind in _COUNTED},
}
