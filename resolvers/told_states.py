"""Told states: how a store remembers which histories a round told of an entity, so that the next one tells what changed.

Neighbours: `compose` writes what a round tells; `redis_told` what a topic says, of which only the present is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import msgpack

from resolvers.entity import EntityView, Point, Refusal


def pack_states(view: EntityView) -> bytes:
    """Write an entity's histories and refusals; nothing of one that has none."""
    if not any(view.states.values()) and not view.refused and view.whole:
        return b""
    histories = {name: [[one.since, one.value, one.source, one.event_id] for one in history] for name, history in view.states.items()}
    refused = [[one.occurred_at, one.source, one.event_id, one.index, one.state, one.value] for one in view.refused]
    packed: bytes = msgpack.packb([view.whole, histories, refused], unicode_errors="surrogatepass")
    return packed


def histories_told(packed: bytes) -> dict[str, tuple[Point, ...]]:
    """Read the histories that were written of an entity."""
    if not packed:
        return {}
    histories = msgpack.unpackb(packed, unicode_errors="surrogatepass")[1]
    return {name: tuple(Point(*one) for one in history) for name, history in histories.items()}


def told_whole(packed: bytes) -> bool:
    """Say whether all is known that was told, and not only the present."""
    return not packed or bool(msgpack.unpackb(packed, unicode_errors="surrogatepass")[0])


def with_told_states(view: EntityView, packed: bytes) -> EntityView:
    """Give a view the histories and refusals that were written of it."""
    if not packed:
        return replace(view, states={}, refused=(), whole=True)
    whole, histories, refused = msgpack.unpackb(packed, unicode_errors="surrogatepass")
    states: Mapping[str, tuple[Point, ...]] = {name: tuple(Point(*one) for one in history) for name, history in histories.items()}
    return replace(view, states=states, refused=tuple(Refusal(*one) for one in refused), whole=whole)
