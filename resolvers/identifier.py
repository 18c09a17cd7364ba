"""The identifier: what connects participants, its digest, and the entity ids made of such digests.

Invariant: a digest is a function of (entity type, identifier type, normalised value, generation) and the identity
key alone, so an entity id leads back to its founding identifier without any forwarding record. The digest of a later generation is
made of that of the first, so that an erasure needs to know no value.
"""

from __future__ import annotations

from base64 import b32decode, b32encode
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b, sha1

DIGEST_BYTES = 16
_SEPARATOR = "\x1f"
_ID_CHARACTERS = 26


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """One normalised value of one identifier type of one entity type. Ordered by these three."""

    entity_type: str
    type: str
    value: str

    def __str__(self) -> str:
        """Give the key of the identifiers topic: `entity type:identifier type:value`."""
        return f"{self.entity_type}:{self.type}:{self.value}"


def identifier_digest(key: bytes, identifier: Identifier) -> bytes:
    """Digest an identifier that no erasure covers into 16 bytes, keyed."""
    parts = (identifier.entity_type, identifier.type, "", identifier.value)
    return blake2b(_SEPARATOR.join(parts).encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES, key=key).digest()


def later_digest(key: bytes, digest: bytes, cutoff: int) -> bytes:
    """Digest an identifier anew, keyed, as it is known since the latest erasure that covers it; `cutoff` is that one's, in epoch ms."""
    return blake2b(digest + f"{_SEPARATOR}{cutoff}".encode(), digest_size=DIGEST_BYTES, key=key).digest()


def link_digest(digests: Collection[bytes]) -> bytes:
    """Digest a set of identifiers, given by their digests in any order, into the 16 bytes that name their link.

    SHA-1, cut: what scripts in Redis can compute as well. What it digests is keyed, so nobody chooses it.
    """
    return sha1(b"".join(sorted(digests)), usedforsecurity=False).digest()[:DIGEST_BYTES]


@lru_cache(maxsize=100_000)
def entity_id(prefix: str, founder: bytes) -> str:
    """Write the public id of the entity that the identifier with this digest founds: `per_` and 26 characters."""
    return f"{prefix}_{b32encode(founder).decode('ascii').rstrip('=').lower()}"


def founder_of(entity: str) -> bytes:
    """Read the founding identifier's digest out of an entity id. Raises ValueError when it is not one."""
    prefix, _, body = entity.rpartition("_")
    if not prefix or len(body) != _ID_CHARACTERS:
        raise ValueError(f"{entity!r} is not an entity id; one looks like per_ and {_ID_CHARACTERS} letters and digits")
    try:
        return b32decode(body.upper() + "======")
    except ValueError as error:
        raise ValueError(f"{entity!r} is not an entity id: {error}") from error
