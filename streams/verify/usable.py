"""Usable identifiers, for checking: which values of an event connect, their digests, and the ids made of these.

Written apart from the resolver's rules: the settings are read anew, the list of junk stands here a second time.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import re2

from streams.settings import EntitySettings, Settings
from streams.verify.normal import normal_form

_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_QUOTES = "\"'`"
_LONGEST = 512
_JUNK = frozenset(
    {"-1", "null", "none", "nil", "undefined", "nan", "anonymous", "guest", "unknown", "true", "false", "id", "email", "blank"}
    | {"distinct_id", "not_authenticated", "[object object]", "n/a"}
)
_JUNK_ADDRESSES = frozenset({"test@test.com", "test@example.com"})


@dataclass(frozen=True, slots=True)
class Name:
    """An identifier that connects: what it is, its digest and its strength, 1 being the strongest."""

    entity_type: str
    type: str
    value: str
    digest: bytes = field(repr=False)
    priority: int
    told: str = ""
    """What the topics say for its value: that, or its first digest where the type is hashed."""

    @property
    def key(self) -> str:
        """Give its key on the identifiers topic."""
        return f"{self.entity_type}:{self.type}:{self.told}"


@dataclass(frozen=True, slots=True)
class _Kind:
    form: Callable[[str], str]
    priority: int
    blocked: frozenset[str]
    patterns: tuple[str, ...]
    hashed: bool = False


class Usable:
    """Judges identifiers under the settings of a space."""

    def __init__(self, settings: Settings) -> None:
        """Read the settings; nothing else decides."""
        secret = settings.identity_key.get_secret_value().encode("utf-8", "surrogatepass")
        self._secret = secret if len(secret) <= 64 else hashlib.blake2b(secret).digest()
        self._prefixes = {name: str(entity.prefix) for name, entity in settings.entities.items()}
        self._kinds = {
            (name, kind): _Kind(
                normal_form(one.normalise, one.region), one.priority or 0, *_blocked([*entity.blocked, *one.blocked]), one.hashed
            )
            for name, entity in settings.entities.items()
            for kind, one in entity.identifiers.items()
        }
        self.hubs = {pair: over for name, entity in settings.entities.items() for pair, over in _hubs(name, entity)}
        """(entity type, type that may be a hub, type that is counted), to how many of these are not too many."""

        self.limits = {
            (name, kind): one.limit
            for name, entity in settings.entities.items()
            for kind, one in entity.identifiers.items()
            if one.limit is not None
        }
        """(entity type, identifier type), to the most values of it that one entity may have."""

        self.sizes = {name: entity.size for name, entity in settings.entities.items()}
        """Entity type, to the most identifiers that one entity may have."""

    def judge(self, entity_type: str, kind: str, value: str) -> Name | None:
        """Give the identifier that a value is, or None when it connects nothing."""
        declared = self._kinds.get((entity_type, kind))
        if declared is None or value.strip() == "":
            return None
        form = declared.form(value)
        if not 0 < len(form) <= _LONGEST or any(_is_blocked(one.casefold(), declared) for one in (value.strip(), form)):
            return None
        digest = self.digest(entity_type, kind, form)
        return Name(entity_type, kind, form, digest, declared.priority, digest.hex() if declared.hashed else form)

    def digest(self, entity_type: str, kind: str, value: str) -> bytes:
        """Digest an identifier that no erasure has covered."""
        text = f"{entity_type}\x1f{kind}\x1f\x1f{value}"
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=self._secret, digest_size=16).digest()

    def told_digest(self, entity_type: str, kind: str, told: str) -> bytes:
        """Give the first digest of an identifier as a topic names it."""
        declared = self._kinds.get((entity_type, kind))
        return bytes.fromhex(told) if declared is not None and declared.hashed else self.digest(entity_type, kind, told)

    def named(self, entity_type: str, kind: str, digest: str) -> Name | None:
        """Give the identifier that a digest in hex names, without its value; None where it is no digest."""
        declared = self._kinds.get((entity_type, kind))
        if declared is None or len(digest) != 32 or not set(digest) <= set("0123456789abcdef"):
            return None
        return Name(entity_type, kind, "", bytes.fromhex(digest), declared.priority)

    def later(self, digest: bytes, cutoff: int) -> bytes:
        """Digest an identifier that was erased anew, from the digest that it had at first."""
        return hashlib.blake2b(digest + b"\x1f" + str(cutoff).encode(), key=self._secret, digest_size=16).digest()

    def entity_id(self, founder: Name) -> str:
        """Write the id of the entity that an identifier founds: 26 letters for 128 bits, two of them spare."""
        bits = int.from_bytes(founder.digest, "big") << 2
        letters = [_LETTERS[(bits >> place) & 31] for place in range(125, -1, -5)]
        return f"{self._prefixes[founder.entity_type]}_{''.join(letters)}"


def founding_digest(entity_id: str) -> bytes | None:
    """Read the digest out of an entity id; None when it is not one."""
    _, _, letters = entity_id.rpartition("_")
    try:
        digest = base64.b32decode(letters.upper() + "======")
    except ValueError:
        return None
    return digest if len(digest) == 16 else None


def link_digest(names: Iterable[Name]) -> bytes:
    """Digest a set of identifiers seen together."""
    return hashlib.sha1(b"".join(sorted(name.digest for name in names)), usedforsecurity=False).digest()[:16]


def _blocked(entries: list[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    values = frozenset(entry.strip().casefold() for entry in entries if not entry.startswith("re:"))
    return values, tuple(entry.removeprefix("re:") for entry in entries if entry.startswith("re:"))


def _is_blocked(form: str, kind: _Kind) -> bool:
    """Say whether a casefolded form of a value is junk or on the user's lists."""
    inner = form[1:-1] if len(form) > 2 and form[0] == form[-1] and form[0] in _QUOTES else form
    if set(form) <= {"0", "-"} or inner in _JUNK or form in _JUNK_ADDRESSES or form in kind.blocked:
        return True
    return any(re2.search(f"(?i){pattern}", form) for pattern in kind.patterns)


def _hubs(name: str, entity: EntitySettings) -> Iterable[tuple[tuple[str, str, str], int]]:
    """List what is counted for hubs, and how many are allowed: by default five of the strongest type for each weaker one."""
    strength = sorted(entity.identifiers.items(), key=lambda item: item[1].priority or 0)
    for place, (kind, one) in enumerate(strength):
        if one.hub is not None or place > 0:
            of, over = (one.hub.of, one.hub.over) if one.hub is not None else (strength[0][0], 5)
            yield (name, kind, of), over
