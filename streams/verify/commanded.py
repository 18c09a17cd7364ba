"""Commands, for checking: what operators have said, and which of their words stand.

Written apart from the pipeline's own reading. What it must have refused is left out; of each subject the latest by (issued, command id)
stands. Neighbours: `recompute` asks what is blocked, forbidden and linked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from streams.verify.instants import YEAR_ONE, milliseconds
from streams.verify.usable import Name, Usable

DAY = 86_400_000
WORDS = {"block": "b", "unblock": "b", "forbid": "f", "permit": "f", "link": "l", "unlink": "l"}
TAKE_BACK = {"unblock", "permit", "unlink"}


@dataclass(frozen=True, slots=True)
class Said:
    """The latest command about one subject: its time in ms, its id, whether it says the thing, and the identifiers."""

    issued: int
    command_id: str
    holds: bool
    names: tuple[Name, ...]


class Commanded:
    """Commands gathered so far. Adding one again changes nothing but the counts."""

    def __init__(self, usable: Usable, entity_types: dict[str, list[str]]) -> None:
        """`entity_types` gives for an identifier type the entity types that declare it, in the order of the settings."""
        self._usable = usable
        self._entity_types = entity_types
        self.latest: dict[tuple[str, tuple[bytes, ...]], Said] = {}
        self.ever: set[tuple[str, tuple[bytes, ...]]] = set()
        """Every subject that any command was about, whichever stands."""

        self.cutoffs: dict[bytes, int] = {}
        """Of each erased identifier, by the digest of its first generation, the latest cutoff in ms."""

        self.former: dict[bytes, bytes] = {}
        """Digests that erasures have ended or may have given, to that of the first generation."""

        self.read = 0
        self.refused = 0

    def add(self, value: bytes | None, written: int) -> None:
        """Take a record of the commands topic in; `written` is its timestamp in ms."""
        self.read += 1
        if self._erases(_object(value), written):
            return
        found = self._read(value, written)
        if found is None:
            self.refused += 1
            return
        kind, said = found
        subject = kind, tuple(sorted(name.digest for name in said.names))
        if said.holds:
            self.ever.add(subject)
        known = self.latest.get(subject)
        if known is None or (known.issued, known.command_id.encode()) < (said.issued, said.command_id.encode()):
            self.latest[subject] = said

    def _read(self, value: bytes | None, written: int) -> tuple[str, Said] | None:
        told = _object(value)
        command_id, issued = told.get("command_id", ""), milliseconds(told.get("issued_at", ""))
        if told.get("command") not in WORDS or not 0 < len(command_id) <= 1_000 or issued is None or issued > written + DAY:
            return None
        kind, names = WORDS[told["command"]], [self._name(one) for one in told["identifiers"]]
        usable = tuple(name for name in names if name is not None)
        different = len({name.digest for name in usable}) == len(names) == (1 if kind == "b" else 2)
        if not different or len({name.entity_type for name in usable}) > 1:
            return None
        return kind, Said(issued, command_id, told["command"] not in TAKE_BACK, usable)

    def _erases(self, told: dict[str, Any], written: int) -> bool:
        """Take an erasure in; says whether it is one."""
        times = [milliseconds(str(told.get(name, ""))) for name in ("issued_at", "cutoff")]
        names = [self._name(one) for one in told.get("identifiers", [])]
        if told.get("command") != "erase" or not 0 < len(told.get("command_id", "")) <= 1_000 or not 0 < len(names) <= 500:
            return False
        if any(at is None or at > written + DAY for at in times) or not all(one and not one.value for one in names):
            return False
        for name in names:
            cutoff = times[1]
            if name is not None and cutoff is not None:
                self.former |= {name.digest: name.digest, self._usable.later(name.digest, cutoff): name.digest}
                self.cutoffs[name.digest] = max(cutoff, self.cutoffs.get(name.digest, cutoff))
        return True

    def known_as(self, digest: bytes) -> bytes:
        """Give the digest that an identifier has since it was erased last."""
        cutoff = self.cutoffs.get(digest)
        return digest if cutoff is None else self._usable.later(digest, cutoff)

    def _name(self, named: object) -> Name | None:
        told = _present(named)
        if not isinstance(told.get("type"), str):
            return None
        value, digest = told.get("value", ""), told.get("digest", "")
        if not isinstance(value, str) or not isinstance(digest, str) or (value and digest):
            return None
        declaring = self._entity_types.get(told["type"], [])
        if not isinstance(told.get("entity_type", ""), str):
            return None
        entity_type = told.get("entity_type") or (declaring[0] if declaring else "")
        if entity_type not in declaring:
            return None
        return self._usable.named(entity_type, told["type"], digest) if digest else self._usable.judge(entity_type, told["type"], value)

    def in_force(self, kind: str) -> list[Said]:
        """List what is said and not taken back."""
        return [said for (one, _), said in self.latest.items() if one == kind and said.holds]

    @property
    def records(self) -> dict[bytes, tuple[int, bytes, bool]]:
        """Give what Redis must keep of each subject, by its name there."""
        return {
            kind.encode() + b"".join(digests): (said.issued + YEAR_ONE, said.command_id.encode(), said.holds)
            for (kind, digests), said in self.latest.items()
        }

    @property
    def flags(self) -> dict[bytes, int]:
        """Give what Redis must keep of each identifier: 1 blocked, 8 forbidden with another, 32 linked with another."""
        found: dict[bytes, int] = {}
        for kind, flag in (("b", 1), ("f", 8), ("l", 32)):
            for said in self.in_force(kind):
                for digest in map(self.known_as, (name.digest for name in said.names)):
                    found[digest] = found.get(digest, 0) | flag
        return found

    def pairs(self, kind: str) -> dict[bytes, dict[bytes, int]]:
        """Give for each identifier with which others it is named, and since when."""
        found: dict[bytes, dict[bytes, int]] = {}
        for said in self.in_force(kind):
            for one, other in (said.names, said.names[::-1]):
                found.setdefault(self.known_as(one.digest), {})[self.known_as(other.digest)] = said.issued + YEAR_ONE
        return found


def _present(told: object) -> dict[str, Any]:
    """Leave out what is null, which counts as absent; of what is no object nothing is left."""
    return {name: one for name, one in told.items() if one is not None} if isinstance(told, dict) else {}


def _object(value: bytes | None) -> dict[str, Any]:
    """Read a record that has the form of a command; gives nothing for another."""
    try:
        told = _present(orjson.loads(value or b""))
    except orjson.JSONDecodeError:
        return {}
    texts = ("command", "command_id", "issued_at", "actor", "reason")
    if not all(isinstance(told.get(name, ""), str) for name in texts):
        return {}
    return told if isinstance(told.get("identifiers"), list) else {}
