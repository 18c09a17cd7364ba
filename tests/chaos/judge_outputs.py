"""The output topics beyond what `nexus verify` looks at: the partition of every key, living or not, and lives that lack a line.

Pure functions over what was read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from streams.verify import Difference
from streams.verify.compacted import read_object
from streams.verify.usable import Usable, founding_digest
from tests.chaos.judge_read import Line, Seen

BY_DIGEST = ("entities", "identifiers", "memberships", "timeline")


def check_partitions(seen: Seen, usable: Usable, shards: int) -> Iterator[Difference]:
    """Check that each key, tombstones and ids that ended included, lies only where its digest puts it: with its one writer."""
    for word in BY_DIGEST:
        reported = set()
        for line in seen.topics[word]:
            key = (line.key or b"").decode("utf-8", "surrogatepass")
            digest = _digest(word, key, usable)
            if digest is None:
                yield Difference("outputs.key", f"{word}, {key}", f"the key at {line.place} is none of this topic")
            elif int.from_bytes(digest[:4], "big") % shards != line.partition and (key, line.partition) not in reported:
                reported.add((key, line.partition))
                text = f"it belongs in partition {int.from_bytes(digest[:4], 'big') % shards}, and is at {line.place}"
                yield Difference("outputs.partition", f"{word}, {key}", text)


def _digest(word: str, key: str, usable: Usable) -> bytes | None:
    if word != "identifiers":
        return founding_digest(key.partition(":")[0])
    entity_type, _, rest = key.partition(":")
    kind, colon, value = rest.partition(":")
    return usable.digest(entity_type, kind, value) if colon else None


def last_documents(lines: list[Line]) -> dict[str, dict[str, Any]]:
    """Give the last document of every key that has one."""
    found: dict[str, dict[str, Any]] = {}
    for line in lines:
        key = (line.key or b"").decode("utf-8", "replace")
        document = None if line.value is None else read_object(line.value)
        if document is None:
            found.pop(key, None)
        else:
            found[key] = document
    return found
