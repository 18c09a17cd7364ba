"""The two sides of a comparison with Redis: what is expected, what was found, and which number there is which node here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

from streams.verify.dump import Dump
from streams.verify.expected import Expected
from streams.verify.report import Difference
from streams.verify.usable import link_digest

_SHOWN = 120


class Sides:
    """Expected and found, with what both comparisons of identifiers and of parts need to know of each."""

    def __init__(self, expected: Expected, dump: Dump) -> None:
        """Take both sides; neither is changed."""
        self.expected = expected
        self.dump = dump

    @cached_property
    def node_of(self) -> list[int | None]:
        """Give the node of each expected identifier."""
        return [self.dump.node_of.get(name.digest) for name in self.expected.identifiers]

    @cached_property
    def number_of(self) -> dict[int, int]:
        """Give the expected identifier of each node."""
        return {node: number for number, node in enumerate(self.node_of) if node is not None}

    def link_of(self, identifiers: tuple[int, ...]) -> int | None:
        """Give the number of the link of these identifiers."""
        return self.dump.link_of.get(link_digest(self.expected.identifiers[one] for one in identifiers))

    @cached_property
    def links_of(self) -> dict[int, list[int]]:
        """Give the links that each node is in, read from the links."""
        found: dict[int, list[int]] = {}
        for number, link in self.dump.links.items():
            if link.dead:
                continue
            for node, _ in link.members:
                found.setdefault(node, []).append(number)
        return found

    def chain(self, node: int) -> list[int] | None:
        """Follow a node's own list of its links; None when it goes nowhere or in a circle."""
        found: list[int] = []
        passed = 0
        number = self.dump.nodes[node].head
        while number:
            link = self.dump.links.get(number)
            following = None if link is None else dict(link.members).get(node)
            if following is None or passed > len(self.dump.links):
                return None
            passed += 1
            if link is not None and not link.dead:
                found.append(number)
            number = following
        return found

    def name(self, node: int) -> str:
        """Name a node for people."""
        record = self.dump.nodes.get(node)
        if record is None:
            return f"node {node}"
        return f"{self.dump.names.get(record.code, '?')}:{self.dump.values.get(node, '?')}"


def differing(kind: str, subject: str, wanted: object, found: object, show: Callable[[Any], str] | None = None) -> Iterator[Difference]:
    """Give a difference if two values are not the same."""
    if wanted != found:
        shown = [shorten(show(one) if show and one is not None else repr(one)) for one in (wanted, found)]
        yield Difference(kind, subject, f"expected {shown[0]}, found {shown[1]}")


def shorten(text: str) -> str:
    """Cut a text that is too long to be read in a line."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def shortened(names: Sequence[str], most: int = 3) -> str:
    """List a few of many names."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
