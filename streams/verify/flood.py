"""Flooding, for checking: what pairs of numbers connect, directly or through others."""

from __future__ import annotations

from collections.abc import Iterable


def flooded(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Label each number with its component: a label floods along the pairs until nothing moves."""
    neighbours: list[list[int]] = [[] for _ in range(count)]
    for one, other in pairs:
        neighbours[one].append(other)
        neighbours[other].append(one)
    label = [-1] * count
    for start in range(count):
        waiting = [start] if label[start] < 0 else []
        while waiting:
            number = waiting.pop()
            if label[number] < 0:
                label[number] = start
                waiting += neighbours[number]
    return label
